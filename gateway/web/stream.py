"""From a run's log to one HTTP client: the loop that every streamed answer goes through, and the wait of a plain one.

A client that leaves, or takes nothing for `send_timeout_s`, ends the loop from outside by the timer around it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any

from gateway.domain.events import Done, Failed, Terminal
from gateway.errors import GatewayError
from gateway.streaming.log import EventLog
from gateway.streaming.reader import Reader
from gateway.web.request import PIECE_BYTES, ClientGone, Request, until_gone
from gateway.wire import native, openai

SSE = b"text/event-stream; charset=utf-8"
SSE_HEADERS = [(b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]


class attended:
    """While the client is there. Raises ClientGone when it leaves or is dropped; a dropped one is cut off."""

    def __init__(self, request: Request, reader: Reader) -> None:
        self._request, self._reader = request, reader
        self._left: Any = request.extension("gateway.gone")
        self._watch: asyncio.Future[None] | None = None  # on a server that can't call
        self._timer = asyncio.timeout(None)  # ends the loop from outside

    async def __aenter__(self) -> None:
        await self._timer.__aenter__()
        self._reader.drop = self._end
        if self._left is None:
            self._watch = asyncio.ensure_future(until_gone(self._request.receive))
            self._watch.add_done_callback(self._end)
        else:
            self._left.add(self._end)
            if self._left.happened:
                self._end()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.drop = self._reader.push = None
        try:
            await self._timer.__aexit__(kind, error, trace)
        except TimeoutError as expired:
            error = expired
        finally:
            if self._left is not None:
                self._left.discard(self._end)
            gone = self._watch.done() if self._watch is not None else self._left.happened
            if self._watch is not None:
                self._watch.cancel()
                await asyncio.gather(self._watch, return_exceptions=True)
        if isinstance(error, OSError):  # TimeoutError is one; else it is how an ASGI 2.4 server says that it left
            if not gone:
                self._request.abort()
                await asyncio.sleep(0)  # lets the server see that the connection is gone
            raise ClientGone from None

    def _end(self, _: object = None) -> None:
        if self._timer.when() is None and self._reader.drop is not None:
            self._timer.reschedule(asyncio.get_running_loop().time())


async def send_events(request: Request, log: EventLog, reader: Reader) -> None:
    """The native stream, from the reader's cursor to the terminal event."""
    async with attended(request, reader):
        await request.head(200, SSE, SSE_HEADERS)
        if write := request.extension("gateway.push"):
            reader.push = lambda text, _, position: write(native.TOKEN % (position, text))
        data, more = native.CONNECTED, True
        while more:
            if events := reader.read():
                data += native.sse(events)
                more = log.closed is None or not isinstance(events[-1][1], (Done, Failed))
            if not data:
                if await reader.wait():
                    continue
                data = native.HEARTBEAT
            await send_data(request, reader, data, more=more)
            data = b""


async def send_raw(request: Request, log: EventLog, reader: Reader, end: Callable[[Terminal], bytes]) -> None:
    """OpenAI's stream: the provider's frames, then `end`. A failure before the first frame is an HTTP error."""
    async with attended(request, reader):
        if write := request.extension("gateway.push"):
            reader.push = lambda _, raw, __: write(raw)
        more = True
        while more:
            data = reader.read_raw()
            if log.closed is not None:
                if isinstance(log.closed, Failed) and not request.started and not data:
                    raise as_error(log.closed)
                data += end(log.closed)
                more = False
            if not data:
                if await reader.wait():
                    continue
                data = openai.HEARTBEAT
            if not request.started:
                await request.head(200, SSE, SSE_HEADERS)
            await send_data(request, reader, data, more=more)


async def send_data(request: Request, reader: Reader, data: bytes, *, more: bool) -> None:
    """All of `data`, piece by piece, each watched by the sweep while the client doesn't take it."""
    loop = asyncio.get_running_loop()
    for at in range(0, len(data), PIECE_BYTES):
        reader.sending_since = loop.time()
        await request.send({"type": "http.response.body", "body": data[at : at + PIECE_BYTES], "more_body": True})
    if not more:  # a server waits for the client before a write, not after: this one waits for the last
        reader.sending_since = loop.time()
        await request.send({"type": "http.response.body", "body": b""})
    reader.sending_since = None
    reader.idle_since = loop.time()
    reader.sent()
    if reader.merged:
        request.services.metrics.merged(reader.take_merged())


async def wait_whole(request: Request, log: EventLog, reader: Reader) -> tuple[Terminal, bytes]:
    """The end of a plain answer, and its raw body. Raises the error that it ended in, or ClientGone."""
    async with attended(request, reader):
        raw = b""
        while True:
            if reader.raw:
                raw += reader.read_raw()
            else:
                reader.read()
            reader.sent()
            if log.closed is not None:
                break
            await reader.wait()
    if isinstance(log.closed, Failed):
        raise as_error(log.closed)
    return log.closed, raw


def as_error(failed: Failed) -> GatewayError:
    """A terminal failure as the error that a plain response shows."""
    error = GatewayError(failed.error, code=failed.code, retry_after=failed.retry_after)
    error.status, error.retryable = failed.status, failed.retryable
    return error
