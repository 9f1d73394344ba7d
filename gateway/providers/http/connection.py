"""One HTTP/1.1 connection to a provider: it sends one request at a time and reads the response.

It does not open connections (client.py does) and does not choose among them (pool.py does). The event loop passes
received bytes through the parser to `Sink.feed` by plain calls, without a task in between. The caller's task sleeps
until the response ends, or until the body asks for a pause. Used by client.py and pool.py only.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

import httptools

from gateway.errors import ProviderError
from gateway.providers.base import Sink
from gateway.providers.http.causes import cause_of

CONNECTION_BROKE = "The connection to the provider broke."
_MAX_HEAD = 65_536  # bytes of the headers, of the trailers, and of the framing between two pieces of a body
_LINGER_S = 0.05  # seconds to wait for the end of a body whose consumer is done
_PIECE = 1_048_576  # bytes of a compressed body that are decompressed at once


OnHead = Callable[[int, Mapping[str, str]], Sink]  # takes the status and the headers, whose names are lower case


class Owner(Protocol):
    """The pool that a connection belongs to. The connection reports its state here."""

    def opened(self, connection: Connection) -> None:
        """Register a connection that was established."""

    def became_idle(self, connection: Connection) -> None:
        """Take back a connection that can serve another request."""

    def lost(self, connection: Connection) -> None:
        """Forget a connection that has ended."""


class Connection(asyncio.Protocol):
    """Serves one request after another. `data_received` does the work while `request` waits."""

    transport: asyncio.Transport
    tunnel: asyncio.StreamWriter | None = None  # the connection to the proxy that TLS runs over
    _early: bytes | None = b""  # what came before the first request, such as that the server is full

    def __init__(self, owner: Owner) -> None:
        self.response_began = False  # at least one byte of the response arrived
        self._owner = owner
        self._lost = False
        self._waiter: _Waiter | None = None  # set until the response has ended, also for the linger after `done`
        self._timer: asyncio.TimerHandle | None = None  # set while the connection lingers for the end of a body
        self._parts: list[bytes] = []
        self.on_body = self._parts.append  # called by the parser

    async def request(self, message: list[bytes], on_head: OnHead) -> None:
        """Send `message`, and return when the response is complete or its Sink is done.

        The list is emptied as soon as the response begins, so that a long answer doesn't keep the request in memory.
        Raises ProviderError, and whatever the Sink raises. When cancelled, it closes the connection at once.
        """
        self._parser: Any = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self._on_head: OnHead | None = on_head
        self._headers: dict[str, str] = {}
        self._status = self._head_size = self._since_body = 0
        self._complete = self._reusable = self._paused = self.response_began = False
        self._body: Sink | None = None
        self._feed: Any = None
        early, self._early = self._early, None
        if self._lost and not early:
            raise _broken("connection closed")
        # When this request ends, another one may use the connection before this task runs again. The outcome is
        # therefore kept in `waiter` and not on the connection.
        waiter = self._waiter = _Waiter()
        self._message = message
        if not self._lost:
            self.transport.write(message[0])
        if early:
            self.data_received(early)
            if self._lost:
                self.connection_lost(None)
        try:
            while not await waiter.ended_or_paused():
                await self._body.drain()  # type: ignore[attr-defined]  # only `feed` asks for a pause
                if waiter.ended:
                    break
                self._paused = False
                self.transport.resume_reading()
        finally:
            if not waiter.ended:  # this task was cancelled, or `drain` raised
                waiter.end(None)
                self._release(keep=False)
        if waiter.error is not None:
            raise waiter.error

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._owner.opened(self)

    def data_received(self, data: bytes) -> None:
        waiter = self._waiter
        if waiter is None:  # the server sends although nothing was requested
            if self._early is None or len(self._early) > _MAX_HEAD:
                self.transport.abort()
            else:
                self._early += data
            return
        self.response_began, broken = True, False
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            broken = True
        full = False
        try:  # the body that came before an error in the framing still counts
            if self._body is None and self._status:
                self._begin_body()
            if parts := self._parts:
                data = parts[0] if len(parts) == 1 else b"".join(parts)
                parts.clear()
                self._since_body = 0
                full = not waiter.ended and self._feed(data)
            elif not self._complete:
                self._since_body += len(data)
                broken = broken or self._since_body > _MAX_HEAD
        except Exception as error:
            self._parts.clear()
            waiter.end(_broken("bad compression") if isinstance(error, zlib.error) else error)
            self._release(keep=False)
            return
        if full or broken or self._complete:
            self._check_state(waiter, broken=broken)

    def eof_received(self) -> None:
        self.connection_lost(None)  # at once, even if part of the request is still unsent

    def connection_lost(self, exc: Exception | None) -> None:
        self._owner.lost(self)
        self._lost = True
        if self._waiter is not None:
            whole = exc is None and self._until_close()
            self._waiter.end(None if whole else _broken("connection closed" if exc is None else cause_of(exc)))
            self._release(keep=False)
        self.transport.abort()

    # The parser's callbacks. What they raise becomes an HttpParserError.

    def on_message_begin(self) -> None:
        if self._complete:
            raise ValueError("a second response")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_size += len(name) + len(value)
        if self._head_size > _MAX_HEAD:
            raise ValueError("the headers are too long")
        if not self._status:  # afterwards they are trailers
            key, text = name.decode("latin-1").lower(), value.decode("latin-1")
            self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            self._headers.clear()
        else:
            self._status, self._reusable = status, self._parser.should_keep_alive()

    def on_message_complete(self) -> None:
        self._complete = self._status > 0

    def _begin_body(self) -> None:
        """Pass the head on, and choose how the body is decoded. Raise ProviderError for an unknown encoding."""
        self._message.clear()
        assert self._on_head is not None  # noqa: S101 - for mypy
        body = self._body = self._on_head(self._status, self._headers)
        coding = self._headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("identity", "", "gzip", "x-gzip", "deflate"):
            raise ProviderError("The provider's reply has an unsupported Content-Encoding.")
        self._feed = body.feed if coding in ("identity", "") else _decompressing(body.feed)

    def _check_state(self, waiter: _Waiter, *, broken: bool) -> None:
        """End, pause or go on, after a read that brought more than one more piece of the body."""
        body = self._body
        if self._complete:
            waiter.end(None)
            self._release(keep=not broken)
        elif broken:
            waiter.end(None if body is not None and body.done else _broken("bad HTTP"))
            self._release(keep=False)
        elif body is not None and body.done:
            # The caller need not wait for the end of the body, but the connection can only serve again after it.
            waiter.end(None)
            self._timer = asyncio.get_running_loop().call_later(_LINGER_S, self._release, False)
        elif not self._paused:
            self._paused = True
            self.transport.pause_reading()
            waiter.wake()

    def _until_close(self) -> bool:
        """Return True if the response ends where the connection ends: it has neither a length nor chunks."""
        coding = self._headers.get("transfer-encoding")
        if coding is None:
            return self._status > 0 and "content-length" not in self._headers
        return self._status > 0 and coding.rpartition(",")[2].strip().lower() != "chunked"

    def _release(self, keep: bool) -> None:
        """Finish the request on this connection's side: keep the connection for the next one, or close it."""
        if self._timer is not None:
            self._timer.cancel()
        self._waiter = self._parser = self._feed = self._on_head = self._body = self._timer = None
        if (
            keep
            and not self._lost
            and self._reusable
            and not self._paused
            and not self.transport.get_write_buffer_size()
        ):
            self._owner.became_idle(self)
        else:
            self.transport.abort()


class _Waiter:
    """The outcome of one request, and the future that its caller sleeps on."""

    __slots__ = ("_woken", "ended", "error")

    def __init__(self) -> None:
        self.ended = False
        self.error: Exception | None = None
        self._woken = asyncio.get_running_loop().create_future()

    async def ended_or_paused(self) -> bool:
        """Wait until the request has ended, and return True; or until reading was paused, and return False."""
        if not self.ended:
            await self._woken
            self._woken = asyncio.get_running_loop().create_future()
        return self.ended

    def end(self, error: Exception | None) -> None:
        """Set the outcome; later ones are ignored."""
        if not self.ended:
            self.ended, self.error = True, error
            self.wake()

    def wake(self) -> None:
        if not self._woken.done():
            self._woken.set_result(None)


def _broken(cause: str) -> ProviderError:
    error = ProviderError(CONNECTION_BROKE)
    error.cause = cause
    return error


def _decompressing(feed: Callable[[bytes], bool]) -> Callable[[bytes], bool]:
    """Return a `feed` for gzip or zlib data, which some servers send unasked.

    It decompresses in pieces, so that a decompression bomb can't fill the memory.
    """
    decompressor = zlib.decompressobj(47)  # detects gzip or zlib

    def feed_compressed(data: bytes) -> bool:
        check = False
        while data:
            piece = decompressor.decompress(data, _PIECE)
            data = decompressor.unconsumed_tail
            check = (bool(piece) and feed(piece)) or check
        return check

    return feed_compressed
