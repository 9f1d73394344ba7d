"""Read and write the small parts of MLflow's JSON: bodies, times, durations, page tokens. Called by all of wire/.

Unknown fields are ignored, as newer clients send more of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from gateway.errors import BadRequest
from gateway.mlflow.wire.checks import invalid
from gateway.wire.json_safety import body_problem

T = TypeVar("T")
MAX_TIME = 253_402_300_799_999  # the end of the year 9999

_SECONDS = re.compile(r"(\d{1,12})(?:\.(\d{1,9}))?s")


class KeyValue(msgspec.Struct, frozen=True):
    """A tag or a parameter."""

    key: str
    value: str = ""


def decode(body: bytes, kind: type[T]) -> T:
    """Return the body as `kind`. Raise BadRequest for what isn't JSON, InvalidValue for a missing or wrong field."""
    if problem := body_problem(body):
        invalid(f"The body {problem}.")
    try:
        return msgspec.json.decode(body or b"{}", type=kind, strict=False)
    except msgspec.ValidationError as error:
        invalid(f"Invalid request: {error}".replace("`$.", "`"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequest("The body is not JSON.") from None


def decode_text(text: str, kind: type[T], what: str) -> T:
    """Return the JSON within a string as `kind`. Raise InvalidValue, which calls the field `what`."""
    try:
        data = text.encode()
        if problem := body_problem(data):
            invalid(f"{what} {problem}.")
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        invalid(f"{what} must be a JSON string of the documented form.")


def read_time(text: str | None, what: str) -> int | None:
    """Return milliseconds from RFC 3339. Raise InvalidValue."""
    if text is None:
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        invalid(f"{what} must be a time such as 2026-01-31T10:00:00.000Z.")
    parsed = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    since = parsed - datetime(1970, 1, 1, tzinfo=UTC)
    return max(0, (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000)


def write_time(ms: int) -> str:
    """Return RFC 3339 from milliseconds."""
    whole = datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{ms % 1000:03d}Z" if ms % 1000 else f"{whole}Z"


def read_duration(text: str | None) -> int | None:
    """Return milliseconds from protobuf's `"1.5s"`. Raise InvalidValue."""
    if text is None:
        return None
    match = _SECONDS.fullmatch(text)
    if match is None:
        invalid('execution_duration must be seconds, such as "1.5s".')
    return int(match[1]) * 1000 + int((match[2] or "").ljust(9, "0")) // 1_000_000


def write_duration(ms: int) -> str:
    """Return protobuf's `"1.500s"` from milliseconds."""
    return f"{ms // 1000}.{ms % 1000:03d}s" if ms % 1000 else f"{ms // 1000}s"


def dumps(value: Any) -> str:
    """Return the JSON of a value as text."""
    return msgspec.json.encode(value).decode()


def read_offset(token: str | None) -> int:
    """Return the offset that a page token of `write_page` holds. Raise InvalidValue."""
    if not token:
        return 0
    if not token.isdecimal() or len(token) > 15:
        invalid("Invalid page token.")
    return int(token)


def write_page(name: str, items: Sequence[Any], offset: int, *, more: bool) -> dict[str, Any]:
    """Return the JSON of one page of a list, with the token of the next page where there are more items."""
    token = str(offset + len(items)) if items and more else None
    return without_none([(name, items), ("next_page_token", token)])


def without_none(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return a message of the fields that are set."""
    return {name: value for name, value in pairs if value is not None}
