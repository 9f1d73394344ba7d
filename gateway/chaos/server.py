"""The chaos upstream's sockets: it plays scripts byte for byte, and counts what clients do. It knows no case by name.

Each socket is one `Connection`. Its only task reads a request, plays the reply, and reads the next request. When the
client leaves, that task is cancelled. Called by command.py, conformance.py and tests.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from typing import cast

import httptools

from gateway.chaos.answer import HTTPRequest, reply_to
from gateway.chaos.case import Act, Step
from gateway.chaos.stats import ClientClose, Stats

LINGER = 0.02  # seconds before an abrupt end; without them the client's kernel may drop bytes that it hasn't read
MAX_BODY = 64 * 1024 * 1024  # bytes of a request


class Connection(asyncio.Protocol):
    """One client's socket."""

    def __init__(self, stats: Stats, open_connections: set[Connection]) -> None:
        self._stats = stats
        self._all = open_connections
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: asyncio.Queue[HTTPRequest | None] = (
            asyncio.Queue()
        )  # None: the client sent bytes that aren't HTTP
        self._writable = asyncio.Event()
        self._writable.set()
        self._request = HTTPRequest()
        self._sent = 0
        self._playing = ""  # the model whose reply is being sent
        self._closed_here = False  # this side ended the connection
        self._close_next = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._socket: socket.socket = transport.get_extra_info("socket")
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stats.connections += 1
        self._stats.open += 1
        self._all.add(self)
        self.task = asyncio.get_running_loop().create_task(self._serve())

    def data_received(self, data: bytes) -> None:
        if self._close_next:
            self._end(Act.CLOSE)
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._waiting.put_nowait(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.discard(self)
        self._stats.open -= 1
        if not self._closed_here:
            self._stats.closed_by_client.append(ClientClose(self._playing, time.monotonic(), self._sent))
        self._writable.set()
        self.task.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # httptools' callbacks

    def on_message_begin(self) -> None:
        self._request = HTTPRequest()

    def on_url(self, url: bytes) -> None:
        self._request.path += url.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._request.headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        self._request.method = self._parser.get_method().decode("latin-1")
        self._request.keep_alive = self._parser.should_keep_alive()
        if ("expect", "100-continue") in self._request.headers:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._request.body += body
        if len(self._request.body) > MAX_BODY:
            self._end(Act.CLOSE)

    def on_message_complete(self) -> None:
        self._waiting.put_nowait(self._request)

    # the task

    async def _serve(self) -> None:
        while not self._close_next:
            request = await self._waiting.get()
            if request is None:
                break
            model, steps = reply_to(request, self._stats)
            self._playing, self._sent = model, 0
            self._stats.running[model] += 1
            try:
                for step in steps:
                    await self._play(step)
            finally:
                self._stats.running[model] -= 1
            self._playing = ""
            if not request.keep_alive:
                break
        else:
            return
        await self._flush()
        self._end(Act.CLOSE)

    async def _play(self, step: Step) -> None:
        if isinstance(step, bytes):
            self._transport.write(step)
            self._sent += len(step)
            await asyncio.sleep(0)
            await self._writable.wait()
        elif isinstance(step, float):
            await asyncio.sleep(step)
        elif step is Act.CLOSE_NEXT:
            self._close_next = True
        else:
            if step is not Act.STALL:
                await self._flush()
                await asyncio.sleep(LINGER)
                self._end(step)
            await asyncio.Event().wait()  # the end of the connection cancels this

    async def _flush(self) -> None:
        self._transport.set_write_buffer_limits(0)
        await self._writable.wait()

    def _end(self, act: Act) -> None:
        if act is Act.HALF_CLOSE:
            self._transport.write_eof()
            return
        self._closed_here = True
        if act is Act.RESET:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
        else:
            self._transport.close()

    def drop(self) -> None:
        """Close the connection at once, because the server stops."""
        self._closed_here = True
        self._transport.abort()


class ChaosServer:
    """A running chaos upstream. `url` is its base URL; nobody listens on the port of `refused_url`."""

    def __init__(self, server: asyncio.Server, host: str, stats: Stats, connections: set[Connection]) -> None:
        self.stats = stats
        self._server = server
        self._connections = connections
        self.port: int = server.sockets[0].getsockname()[1]
        shown = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
        self.url = f"http://{f'[{shown}]' if ':' in shown else shown}:{self.port}/v1"
        # Bound but not listening: connections to it are refused, and nobody else can take the port meanwhile.
        self._closed_port = socket.socket()
        self._closed_port.bind(("127.0.0.1", 0))
        self.refused_url = f"http://127.0.0.1:{self._closed_port.getsockname()[1]}/v1"

    async def close(self) -> None:
        """Stop listening, and close every connection."""
        self._server.close()
        connections = list(self._connections)
        for connection in connections:
            connection.drop()
        await asyncio.gather(*(connection.task for connection in connections), return_exceptions=True)
        await self._server.wait_closed()
        self._closed_port.close()


async def start(host: str = "127.0.0.1", port: int = 0) -> ChaosServer:
    """Return a chaos upstream that runs on this loop. The caller closes it.

    Port 0 takes a free one. Raises OSError if it can't listen.
    """
    stats, connections = Stats(), set[Connection]()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(stats, connections), host, port)
    return ChaosServer(server, host, stats, connections)
