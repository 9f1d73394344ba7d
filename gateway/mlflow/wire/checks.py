"""Checks that all of wire/ shares, and the two errors that they and the handlers raise."""

from __future__ import annotations

from collections.abc import Sized
from typing import NoReturn

from gateway.errors import InvalidValue, NotFound

MAX_KEY, MAX_VALUE = 250, 8_000  # characters, of tags and parameters


def invalid(message: str) -> NoReturn:
    """Raise InvalidValue: 400 INVALID_PARAMETER_VALUE."""
    raise InvalidValue(message)


def missing(message: str) -> NoReturn:
    """Raise NotFound: 404 RESOURCE_DOES_NOT_EXIST."""
    raise NotFound(message)


def check_length(what: str, text: Sized, most: int, least: int = 0) -> None:
    """Raise InvalidValue for a text that is too long or too short."""
    if not least <= len(text) <= most:
        invalid(f"{what} must have {least} to {most} characters; it has {len(text)}.")


def check_count(what: str, items: Sized, most: int) -> None:
    """Raise InvalidValue for too many items."""
    if len(items) > most:
        invalid(f"At most {most} {what} are allowed; there are {len(items)}.")


def check_tag(key: str, value: str) -> None:
    """Raise InvalidValue for a key or value that is too long, or an empty key."""
    check_length("A tag's key", key, MAX_KEY, 1)
    check_length("A tag's value", value, MAX_VALUE)
