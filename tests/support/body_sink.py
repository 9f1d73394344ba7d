"""Helpers for tests of the HTTP client: a consumer that keeps a body, and requests to a server written by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from gateway.providers.http.client import Client
from tests.support.upstream import Raw, whole

OK = whole(200, b"ok")


class BodySink:
    """Keeps a body. While `free` is cleared it takes no more; `enough` is the end of what it needs."""

    def __init__(self, enough: bytes = b"\0", refuse: Exception | None = None) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.data = b""
        self.pieces = 0
        self.free = asyncio.Event()
        self.free.set()
        self.came = asyncio.Event()
        self._enough, self._refuse = enough, refuse

    def answered(self, status: int, headers: Mapping[str, str]) -> BodySink:
        self.status, self.headers = status, dict(headers)
        return self

    @property
    def done(self) -> bool:
        return self.data.endswith(self._enough)

    def feed(self, data: bytes) -> bool:
        self.data += data
        self.pieces += 1
        self.came.set()
        if self._refuse is not None:
            raise self._refuse
        return self.done or not self.free.is_set()

    async def drain(self) -> None:
        await self.free.wait()


async def post(client: Client, sink: BodySink | None = None, *, body: bytes = b"{}") -> BodySink:
    sink = sink or BodySink()
    await client.post("", "text/plain", body, sink.answered, 2)
    return sink


async def served(raw: Raw, client: Client) -> list[int]:
    """Send one more request, and return the number of the connection of each request so far."""
    await post(client)
    return [number for number, _, _ in raw.seen]


def head(*lines: bytes, status: bytes = b"200 OK") -> bytes:
    return b"\r\n".join([b"HTTP/1.1 " + status, *lines, b"", b""])
