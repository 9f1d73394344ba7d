"""Reads a request's body that is packed by its Content-Encoding; how it is unpacked is wire/content_coding.py's.

Packed or not, it keeps to one limit, what came out of it counts as memory, and others run between its pieces. Used by
request.py only.
"""

from __future__ import annotations

import asyncio

from starlette.types import Receive

from gateway.access.memory import Memory
from gateway.errors import ContentTooLarge
from gateway.wire.content_coding import Unpacker


class PackedBody:
    """One body. `unread` says whether more of it may come: it was refused before its end."""

    def __init__(self, limit: int, memory: Memory) -> None:
        self.unread = True
        self._limit, self._memory = limit, memory
        self._size = 0  # of what came out
        self._chunks: list[bytes] = []

    async def read(self, encoding: str, receive: Receive) -> bytes | None:
        """Return the body; None where its client left. Raise UnsupportedMediaType, BadRequest, ContentTooLarge."""
        unpacker = Unpacker(encoding)
        came = 0
        try:
            while self.unread:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                data = message.get("body", b"")
                self.unread = bool(message.get("more_body"))
                self._bound(came := came + len(data))
                for piece in unpacker.pieces(data):
                    self._take(piece)
                    await asyncio.sleep(0)
            unpacker.end()
            return b"".join(self._chunks)
        finally:
            self._memory.give_back(self._size)

    def _take(self, piece: bytes) -> None:
        self._bound(self._size + len(piece))
        self._memory.take(len(piece))
        self._size += len(piece)
        self._chunks.append(piece)

    def _bound(self, size: int) -> None:
        if size > self._limit:
            raise ContentTooLarge(f"The body is larger than {self._limit} bytes.")
