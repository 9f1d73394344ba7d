"""Finds JSON that could not be decoded wherever it is read again: what is stored must not fail there.

A decoder that skips a field skips its faults too: a number that no float holds, and nesting, of which it takes as much
as the interpreter's stack has room for, so that how much depends on who calls it. Called by the codecs and the
provider's decoder, with text that is JSON, or is about to be refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

import msgspec

MAX_DEPTH = 200
MAX_VALUES = 500_000  # of a client's body: more of them make a hundred times as many bytes of objects

_BLOCK, _PART, _PIECE = 1_000_000, 65_536, 128
_OVERLAP = 200  # as long as what is looked for
_BUT_MARKS, _BUT_COMMAS = (bytes(set(range(256)) - set(kept)) for kept in (b'[]{}"', b'[]{}",'))
_ALIKE = bytes.maketrans(b"{}", b"[]")
_DIGITS = bytes.maketrans(b"123456789E", b"000000000e")
_POWER, _LONG = b"0e000", b"0" * 200  # so seen, a number over 10^308 has one of these in it; other text may, too


def body_problem(text: bytes, most: int = MAX_VALUES) -> str | None:
    """Return what is wrong with the JSON of a client's body, which has at most so many values, too."""
    if _too_many(text, most):
        return f"has more than {most:,} values"
    return json_problem(text)


def json_problem(text: bytes) -> str | None:
    """Return what is wrong with the JSON, as words that follow its name, or None where nothing is."""
    if text.count(b"[") + text.count(b"{") > MAX_DEPTH and _too_deep(text):
        return f"is nested deeper than {MAX_DEPTH} levels"
    if _has_large_number(text):
        try:
            msgspec.json.decode(text)
        except msgspec.ValidationError:
            return "has a number that is too large"
        except ValueError:
            pass  # no JSON: the caller says so
    return None


def _has_large_number(text: bytes) -> bool:
    """Tell whether there may be one. Passes of a nanosecond a byte, where a regular expression takes forty."""
    for begin in range(0, len(text), _BLOCK):
        digits = text[max(0, begin - _OVERLAP) : begin + _BLOCK].translate(_DIGITS, b"+")
        if _POWER in digits or _LONG in digits:
            return True
    return False


def _too_many(text: bytes, most: int) -> bool:
    if len(text) <= 2 * most or _values(text) <= most:
        return False
    found = 0
    for piece in _without_strings(text, _BUT_COMMAS):  # commas and brackets are words of a text, too
        found += _values(piece)
        if found > most:
            return True
    return False


def _values(text: bytes) -> int:
    return text.count(b",") + text.count(b"[") + text.count(b"{")


def _without_strings(text: bytes, dropped: bytes) -> Iterator[bytes]:
    """Yield what is outside of strings, piece by piece, with `[]` for each pair of brackets and without `dropped`.

    Passes over a million bytes, as a loop over twenty million characters would hold up every stream, and so would one
    pass over all of them in a thread.
    """
    inside = 0
    for block in _blocks(text):
        bare = block.replace(b"\\\\", b"").replace(b'\\"', b"").translate(_ALIKE, dropped).replace(b'""', b"")
        for at in range(0, len(bare), _PART):
            parts = bare[at : at + _PART].split(b'"')
            yield b"".join(parts[inside::2])  # every other part is within a string
            inside = (inside + len(parts) - 1) % 2


def _blocks(text: bytes) -> Iterator[bytes]:
    """Yield the text in blocks, none of which ends within an escape."""
    begin = 0
    while begin < len(text):
        end = begin + _BLOCK
        while text[end - 1 : end] == b"\\":
            end += 1
        yield text[begin:end]
        begin = end


def _too_deep(text: bytes) -> bool:
    depth = 0
    for brackets in _without_strings(text, _BUT_MARKS):
        for at in range(0, len(brackets), _PIECE):
            piece = brackets[at : at + _PIECE]
            opened = piece.count(b"[")
            if depth + opened > MAX_DEPTH and depth + max(accumulate(92 - each for each in piece)) > MAX_DEPTH:
                return True
            depth += 2 * opened - len(piece)
    return False
