"""A small HTTP/1.1 server on a socket, written by hand: it answers with exactly the bytes that a test gives it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"


def part(data: bytes) -> bytes:
    """Return one chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def whole(status: int, body: bytes, kind: str = "application/json", **headers: str) -> bytes:
    """Return a response with a Content-Length."""
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    length = f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    return f"HTTP/1.1 {status} X\r\n{length}{more}\r\n".encode() + body


class Raw:
    """Plays a list of steps for each request: bytes are written, events awaited; "close" and "reset" end it."""

    def __init__(self) -> None:
        self.replies: list[list[Any]] = []
        self.seen: list[tuple[int, bytes, Any]] = []  # connection, head, body
        self.connections = 0
        self.gone = asyncio.Event()  # a client closed its connection amid a reply
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                self.seen.append((number, head, json.loads(await reader.readexactly(length))))
                for step in self.replies.pop(0):
                    if step == "close":
                        return
                    if step == "reset":
                        writer.transport.abort()
                        return
                    if step == "gone":
                        await reader.read()
                        self.gone.set()
                        return
                    if isinstance(step, asyncio.Event):
                        await step.wait()
                    else:
                        writer.write(step)
                        await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def raw_server() -> AsyncIterator[Raw]:
    raw = Raw()
    server = await asyncio.start_server(raw.serve, "127.0.0.1", 0)
    raw.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/"
    try:
        yield raw
    finally:
        server.close()
        for _ in range(3):  # the handlers see their connections closed
            await asyncio.sleep(0.005)
