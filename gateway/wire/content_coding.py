"""Unpacks the body of a request that says it is packed: RFC 9110, section 8.4, gzip and deflate.

It comes out in pieces, so that whoever asks for them can count, stop, and let others run in between. It does no I/O.
Called by web/packed_body.py; what providers send is providers/http/connection.py's.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from gateway.errors import BadRequest, UnsupportedMediaType

ACCEPTED = b"gzip, deflate"
_PIECE = 262_144  # bytes that come out at once: a millisecond's work
_STEP = 65_536  # bytes that go in at once: what doesn't fit a piece is copied, again for each piece
_WINDOW = {"gzip": 31, "x-gzip": 31, "deflate": 47}  # zlib's wbits; 47 detects zlib's and gzip's header


class Unpacker:
    """Unpacks one body. Raise UnsupportedMediaType where its Content-Encoding isn't known."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding.strip().lower()
        if self._encoding not in _WINDOW:
            name = self._encoding if self._encoding.isprintable() else "that"
            raise UnsupportedMediaType(f"Content-Encoding must be gzip or deflate, not {name[:50]}.")
        self._zlib = zlib.decompressobj(_WINDOW[self._encoding])

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Yield what the next bytes of the body give. Raise BadRequest for what isn't packed so."""
        for at in range(0, len(data), _STEP):
            rest, piece = data[at : at + _STEP], b""
            while rest or len(piece) == _PIECE:  # a full piece may have left some inside
                try:
                    piece = self._zlib.decompress(rest, _PIECE)
                except zlib.error:
                    raise BadRequest(f"The body is not {self._encoding}.") from None
                if self._zlib.unused_data:
                    raise BadRequest(f"The body goes on after the end of its {self._encoding}.")
                rest = self._zlib.unconsumed_tail
                if piece:
                    yield piece

    def end(self) -> None:
        """Note that the body is whole. Raise BadRequest where it ended too soon."""
        if not self._zlib.eof:
            raise BadRequest(f"The body is {self._encoding} that ends too soon.")
