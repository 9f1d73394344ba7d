"""The one loop that takes an answer from its log to a client, whatever the wire: read, encode, send, or else wait.

It is called by the handlers of streams, through `stream` for an HTTP response and `pump` for a socket's frames; `whole`
waits for an answer that is sent in one piece. What the bytes look like is the wire's Encoder. A client that leaves, or
takes nothing for `send_timeout_s`, ends the loop from outside, by the timer around it (ClientConnected).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from types import TracebackType
from typing import Any, Protocol

from starlette.types import Receive

from gateway.domain.events import Done, Failed
from gateway.errors import GatewayError
from gateway.observability.metrics import Metrics
from gateway.streaming.reader import Reader, Write
from gateway.web.request import PIECE_BYTES, ClientGone, Request
from gateway.wire.encoder import Encoder


class Client(Protocol):
    """Where a stream goes."""

    @property
    def started(self) -> bool:
        """Return True once `start` was called, or where there is nothing to start."""

    @property
    def push(self) -> Write | None:
        """Return what sends at once, if that needs no waiting; None on a server that can't."""

    async def start(self, encoder: Encoder) -> None:
        """Send what comes before the stream."""

    def cut(self, pieces: list[bytes]) -> Iterable[bytes]:
        """Return the pieces of one `encode` as they are to be sent, one at a time."""

    def send(self, data: bytes) -> Awaitable[None]:
        """Send one of them."""

    async def end(self) -> None:
        """Send what comes after the stream."""


class Response:
    """An HTTP response as a Client."""

    __slots__ = ("_request", "push", "started")

    def __init__(self, request: Request) -> None:
        self._request = request
        self.push: Write | None = request.extension("gateway.push")
        self.started = False

    async def start(self, encoder: Encoder) -> None:
        self.started = True
        await self._request.head(200, encoder.content_type, list(encoder.headers))

    def cut(self, pieces: list[bytes]) -> Iterable[bytes]:
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if len(data) <= PIECE_BYTES:
            return (data,)
        # One at a time: a second copy of all that a slow client is behind would last as long as it takes.
        return (data[at : at + PIECE_BYTES] for at in range(0, len(data), PIECE_BYTES))

    def send(self, data: bytes) -> Awaitable[None]:
        return self._request.piece(data)

    async def end(self) -> None:
        # A server waits for the client before a write, not after: this empty one waits for the last.
        await self._request.send({"type": "http.response.body", "body": b""})


class ClientConnected:
    """While the client is there. Raises ClientGone when it leaves or is timed out; the latter is also cut off.

    `gone` and `receive` are two ways to hear that it left: a set of callbacks of our own server, else ASGI's messages.
    """

    __slots__ = ("_abort", "_gone", "_inside", "_reader", "_receive", "_timer", "_watch")

    def __init__(self, reader: Reader, abort: Any, gone: Any = None, receive: Any = None) -> None:
        self._reader, self._abort = reader, abort
        self._gone, self._receive = gone, receive
        self._watch: asyncio.Future[None] | None = None
        self._timer = asyncio.timeout(None)  # ends the loop from outside
        self._inside = False

    async def __aenter__(self) -> None:
        await self._timer.__aenter__()
        self._inside = True
        self._reader.connect(self._end)
        if self._gone is not None:
            self._gone.add(self._end)
            if self._gone.happened:
                self._end()
        elif self._receive is not None:
            self._watch = asyncio.ensure_future(_until_gone(self._receive))
            self._watch.add_done_callback(self._end)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inside = False
        self._reader.disconnect()
        try:
            await self._timer.__aexit__(kind, error, trace)
        except TimeoutError as expired:
            error = expired
        finally:
            if self._gone is not None:
                self._gone.discard(self._end)
            left = self._watch.done() if self._watch is not None else self._gone is not None and self._gone.happened
            if self._watch is not None:
                self._watch.cancel()
                await asyncio.gather(self._watch, return_exceptions=True)
        if isinstance(error, OSError):  # TimeoutError is one; else it is how an ASGI 2.4 server says that it left
            if not left:
                self._abort()
                await asyncio.sleep(0)  # lets the server see that the connection is gone
            raise ClientGone from None

    def _end(self, _: object = None) -> None:
        if self._inside and self._timer.when() is None:
            self._timer.reschedule(asyncio.get_running_loop().time())


async def pump(client: Client, reader: Reader, encoder: Encoder, metrics: Metrics) -> None:
    """Send what the reader reads until its terminal event. Raises the error of an answer that failed before anything
    was sent."""
    pieces: list[bytes] = []
    if encoder.connected:
        await client.start(encoder)
        pieces.append(encoder.connected)
    if client.push is not None:
        reader.push_with(encoder.text, client.push)
    ended = False
    while not ended:
        # No await between this read and the wait: a reader that waits has had everything, see Reader.
        if events := reader.read():
            last = events[-1][1]
            ended = isinstance(last, Done | Failed)
            if isinstance(last, Failed) and not client.started:
                pieces += encoder.encode(events[:-1])
                if not pieces:
                    raise as_error(last)
                events = events[-1:]
            pieces += encoder.encode(events)
            if not pieces and not ended:  # nothing that this wire shows, so it must not begin the response
                reader.sent()
                continue
        elif not pieces:
            if await reader.wait() or not encoder.heartbeat:
                continue
            pieces.append(encoder.heartbeat)
        if not client.started:
            await client.start(encoder)
        for piece in client.cut(pieces):
            with reader.sending():
                await client.send(piece)
        if ended:
            with reader.sending():
                await client.end()
        pieces.clear()
        reader.sent()
        if reader.merged:
            metrics.merged(reader.take_merged())


async def stream(request: Request, reader: Reader, encoder: Encoder) -> None:
    """Send the stream as the response. Nothing goes out before the trace's row is committed."""
    await reader.ready()
    request.trace_id = reader.trace_id
    async with _connected(request, reader):
        await pump(Response(request), reader, encoder, request.services.metrics)


async def whole(request: Request, reader: Reader) -> tuple[Done, bytes]:
    """Wait for the end of an answer that is sent in one piece. Return its end, and the body of a raw one.

    Raises the error that it ended in, or ClientGone.
    """
    await reader.ready()
    request.trace_id = reader.trace_id
    body: list[bytes] = []
    async with _connected(request, reader):
        while True:
            body += (event for _, event in reader.read() if isinstance(event, bytes))
            reader.sent()  # it holds nobody up meanwhile
            if (end := reader.log.closed) is not None:
                break
            await reader.wait()
    if isinstance(end, Failed):
        raise as_error(end)
    return end, b"".join(body)


def as_error(failed: Failed) -> GatewayError:
    """Return a terminal failure as the error that a plain response shows."""
    error = GatewayError(failed.error, code=failed.code, retry_after=failed.retry_after)
    error.status, error.retryable, error.said = failed.status, failed.retryable, failed.said
    return error


def _connected(request: Request, reader: Reader) -> ClientConnected:
    return ClientConnected(reader, request.abort, request.extension("gateway.gone"), request.receive)


async def _until_gone(receive: Receive) -> None:
    """Return when the client has left. Other messages, such as a late body, mean nothing here."""
    while (await receive())["type"] not in ("http.disconnect", "websocket.disconnect"):
        pass
