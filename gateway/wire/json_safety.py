"""Finds JSON that could not be decoded wherever it is read again: what is stored must not fail there.

A decoder that skips a field skips its faults too: a number that no float holds, and nesting, of which it takes as much
as the interpreter's stack has room for, so that how much depends on who calls it. Called by the codecs and the
provider's decoder, with text that is JSON, or is about to be refused.
"""

from __future__ import annotations

from itertools import accumulate

import msgspec

MAX_DEPTH = 200

_PART, _PIECE = 65_536, 128
_OTHERS = bytes(set(range(256)) - set(b'[]{}"'))
_ALIKE = bytes.maketrans(b"{}", b"[]")
_DIGITS = bytes.maketrans(b"123456789E", b"000000000e")
_POWER, _LONG = b"0e000", b"0" * 200  # so seen, a number over 10^308 has one of these in it; other text may, too


def json_problem(text: bytes) -> str | None:
    """Return what is wrong with the JSON, as words that follow its name, or None where nothing is."""
    if _too_deep(text):
        return f"is nested deeper than {MAX_DEPTH} levels"
    digits = text.translate(_DIGITS, b"+")  # passes of a nanosecond a byte, where a regular expression takes forty
    if _POWER in digits or _LONG in digits:
        try:
            msgspec.json.decode(text)
        except msgspec.ValidationError:
            return "has a number that is too large"
        except ValueError:
            pass  # no JSON: the caller says so
    return None


def _too_deep(text: bytes) -> bool:
    if text.count(b"[") + text.count(b"{") <= MAX_DEPTH:
        return False
    # Whole passes over the text, as a loop over twenty million characters would hold up every stream.
    bare = text.replace(b"\\\\", b"").replace(b'\\"', b"").translate(_ALIKE, _OTHERS).replace(b'""', b"")
    brackets, inside = bytearray(), 0
    for at in range(0, len(bare), _PART):
        parts = bare[at : at + _PART].split(b'"')
        brackets += b"".join(parts[inside::2])  # every other part is within a string
        inside = (inside + len(parts) - 1) % 2
    depth = 0
    for at in range(0, len(brackets), _PIECE):
        piece = brackets[at : at + _PIECE]
        opened = piece.count(b"[")
        if depth + opened > MAX_DEPTH and depth + max(accumulate(92 - each for each in piece)) > MAX_DEPTH:
            return True
        depth += 2 * opened - len(piece)
    return False
