"""The error tree: each with a stable code and a status, all of them drawn."""

from __future__ import annotations

import re

import pytest

from gateway import errors
from gateway.errors import GatewayError, ProviderRefused


def tree(kind: type[GatewayError]) -> list[type[GatewayError]]:
    return [kind, *(sub for child in kind.__subclasses__() for sub in tree(child))]


ALL = [kind for kind in tree(GatewayError) if kind.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", [kind for kind in ALL if kind is not GatewayError])
def test_every_error_is_drawn_with_its_status(kind: type[GatewayError]) -> None:
    """The docstring shows the whole tree."""
    line = re.search(rf"{kind.__name__}  +(\d\d\d)", errors.__doc__ or "")
    shown = line is not None and int(line[1])
    assert shown == (400 if kind is ProviderRefused else kind.status) or kind.__name__ == "MethodNotAllowed"


def test_codes_tell_errors_apart() -> None:
    """No two errors share a code, and all codes have the same form."""
    codes = [kind.code for kind in ALL]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z_]+", code) for code in codes)


def test_an_error_carries_what_it_is_given() -> None:
    """An error has its message, its code, a time to wait, and the fields that are wrong."""
    error = GatewayError("Short.", code="special", retry_after=2, details=[("a", "b")])
    assert (str(error), error.code, error.retry_after, error.details) == ("Short.", "special", 2, (("a", "b"),))
    assert ProviderRefused("No.", status=404).status == 404
