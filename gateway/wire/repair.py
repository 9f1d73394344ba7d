"""Repairs what is nearly JSON: bad UTF-8, bare control characters, and characters cut into two surrogates.

msgspec takes none of these, servers send them all. Called by the decoders of what providers send.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

# A lone surrogate stands in for itself as one of the last 2,048 private-use characters until its other half comes.
_LONE = 0x10F800
_ESCAPE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u([dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f]")
_STRING_OR_NO_NUMBER = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|-?\b(?:NaN|Infinity)\b', re.DOTALL)
_HALVES = re.compile("([\U0010f800-\U0010fbff])([\U0010fc00-\U0010ffff])|[\U0010f800-\U0010ffff]")


def finite(payload: bytes) -> bytes:
    """Return JSON with null for each NaN and Infinity, which Python's servers write and only Python reads."""
    if b"NaN" not in payload and b"Infinity" not in payload:
        return payload
    return _STRING_OR_NO_NUMBER.sub(lambda m: m[0] if m[0].startswith(b'"') else b"null", payload)


def repair(payload: bytes) -> bytes:
    """Return JSON that msgspec takes, from JSON with bad UTF-8, lone surrogates or bare control characters."""
    text = _ESCAPE.sub(
        lambda m: chr(int(m[1], 16) - 0xD800 + _LONE) if m[1] else m[0], payload.decode("utf-8", "replace")
    )
    return _CONTROL.sub(lambda m: f"\\u{ord(m[0]):04x}", text).encode()


def is_first_surrogate(character: str) -> bool:
    """Return True for a character that, after `repair`, stands in for the first surrogate of a pair."""
    return "\U0010f800" <= character <= "\U0010fbff"


def join_surrogates(text: str) -> str:
    """Return the text with each pair of surrogates as the character it means, and a lone one as U+FFFD."""
    return _HALVES.sub(
        lambda m: chr(0x10000 + ((ord(m[1]) - _LONE) << 10) + (ord(m[2]) - _LONE - 0x400)) if m[1] else "\ufffd", text
    )


def decode_repaired(payload: bytes) -> Any:
    """Return a whole JSON value, repaired where it has to be. Raises ValueError for what can't be."""
    try:
        return msgspec.json.decode(payload)
    except ValueError:
        return msgspec.json.decode(join_surrogates(repair(finite(payload)).decode()))
