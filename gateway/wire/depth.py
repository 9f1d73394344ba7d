"""How deep JSON is nested. What is stored is decoded again in other places: it must not fail there.

Decoders stop where the interpreter's stack ends, so that how much they take depends on who calls them. Called by the
codecs and the provider's decoder, with text that is JSON, or is about to be refused.
"""

from __future__ import annotations

from itertools import accumulate

MAX_DEPTH = 200
TOO_DEEP = f"is nested deeper than {MAX_DEPTH} levels"

_PART, _PIECE = 65_536, 128
_OTHERS = bytes(set(range(256)) - set(b'[]{}"'))
_ALIKE = bytes.maketrans(b"{}", b"[]")


def too_deep(text: bytes) -> bool:
    """Whether arrays and objects are nested deeper than MAX_DEPTH."""
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
