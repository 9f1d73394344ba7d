"""One connection to a provider, and the exchange of a request and its reply on it. Who connects, and where, is http.py.

Bytes go from the event loop through the parser to `Body.feed` with no task in between; the caller's task sleeps until
the body's end, or until there is no room for more of it. Used by http.py only.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

import httptools

from gateway.errors import ProviderError

BROKE = "The connection to the provider broke."
_MAX_HEAD = 65_536  # bytes: of a head, of trailers, and of all that is no body between two pieces of a body
_MAX_IDLE, _MAX_IDLE_S = 1_000, 30.0
_LINGER_S = 0.05  # how long the end of a body may take once no more of it is wanted
_PIECE = 1_048_576  # bytes of a compressed body unpacked at once


class Body(Protocol):
    """Where a reply's body goes. What `feed` raises reaches the caller."""

    @property
    def done(self) -> bool:
        """No more is wanted."""

    def feed(self, data: bytes) -> bool:
        """True: it is done, or wants no more for now. (False costs no further look.)"""

    async def room(self) -> None:
        """Wait until more can be taken."""


Answered = Callable[[int, Mapping[str, str]], Body]  # of status and headers, whose names are lower case


class Idle(dict["Connection", float]):
    """Connections that are kept for the next request, and since when; the longest first."""

    closed = False

    def take(self) -> Connection | None:
        """The one used last, since it is the likeliest to be still open."""
        self._drop_old()
        return self.popitem()[0] if self else None

    def keep(self, connection: Connection) -> None:
        self._drop_old()
        if self.closed or len(self) >= _MAX_IDLE:
            connection.transport.abort()
        else:
            self[connection] = asyncio.get_running_loop().time()

    def _drop_old(self) -> None:
        limit = asyncio.get_running_loop().time() - _MAX_IDLE_S
        while self and self[oldest := next(iter(self))] < limit:
            del self[oldest]
            oldest.transport.abort()


class Connection(asyncio.Protocol):
    """One exchange after another. `data_received` does the work while `exchange` waits."""

    transport: asyncio.Transport
    tunnel: asyncio.StreamWriter | None = None  # below TLS, where a proxy is between

    def __init__(self, idle: Idle, every: set[Connection]) -> None:
        self.heard = False  # a byte of the reply came
        self._idle, self._every = idle, every
        self._lost = False
        self._caller: _Caller | None = None  # while a reply is due, or its end
        self._timer: asyncio.TimerHandle | None = None  # while only the body's end is due
        self._parts: list[bytes] = []
        self.on_body = self._parts.append  # of the parser

    async def exchange(self, request: list[bytes], answered: Answered) -> None:
        """Returns when the reply is whole, or its Body done. Raises ProviderError, and what the Body raises.

        Cancelled: the connection is closed at once. `request` is emptied as soon as the reply begins.
        """
        self._parser: Any = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self._answered: Answered | None = answered
        self._headers: dict[str, str] = {}
        self._status = self._head_size = self._since_body = 0
        self._whole = self._reusable = self._paused = self.heard = False
        self._body: Body | None = None
        self._feed: Any = None
        if self._lost:
            raise ProviderError(BROKE)
        # Once it is over this connection may already serve somebody else: what the caller gets is in `caller`.
        caller = self._caller = _Caller()
        self._request = request
        self.transport.write(request[0])
        try:
            while not await caller.over():
                await self._body.room()  # type: ignore[attr-defined]  # there is none only before the head
                if caller.ended:
                    break
                self._paused = False
                self.transport.resume_reading()
        finally:
            if not caller.ended:  # it was cancelled, or there is no waiting for room
                caller.end(None)
                self._free(keep=False)
        if caller.error is not None:
            raise caller.error

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._every.add(self)

    def data_received(self, data: bytes) -> None:
        caller = self._caller
        if caller is None:  # nobody asked for it
            self.transport.abort()
            return
        self.heard, broken = True, False
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            broken = True
        full = False
        try:  # what came before it counts first
            if self._body is None and self._status:
                self._begin()
            if parts := self._parts:
                data = parts[0] if len(parts) == 1 else b"".join(parts)
                parts.clear()
                self._since_body = 0
                full = not caller.ended and self._feed(data)
            elif not self._whole:
                self._since_body += len(data)
                broken = broken or self._since_body > _MAX_HEAD
        except Exception as error:
            self._parts.clear()
            caller.end(ProviderError(BROKE) if isinstance(error, zlib.error) else error)
            self._free(keep=False)
            return
        if full or broken or self._whole:
            self._look(caller, broken=broken)

    def eof_received(self) -> None:
        self.connection_lost(None)  # at once, whatever is still to be written

    def connection_lost(self, exc: Exception | None) -> None:
        self._every.discard(self)
        self._idle.pop(self, None)
        self._lost = True
        if self._caller is not None:
            self._caller.end(None if exc is None and self._until_close() else ProviderError(BROKE))
            self._free(keep=False)
        self.transport.abort()

    # of the parser, but for on_body

    def on_message_begin(self) -> None:
        if self._whole:
            raise ValueError("a second reply")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_size += len(name) + len(value)
        if self._head_size > _MAX_HEAD:
            raise ValueError("the head is too long")
        if not self._status:  # else it is a trailer
            key, text = name.decode("latin-1").lower(), value.decode("latin-1")
            self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            self._headers.clear()
        else:
            self._status, self._reusable = status, self._parser.should_keep_alive()

    def on_message_complete(self) -> None:
        self._whole = self._status > 0

    # the rest

    def _begin(self) -> None:
        """The head is here."""
        self._request.clear()
        assert self._answered is not None  # noqa: S101 - for mypy
        body = self._body = self._answered(self._status, self._headers)
        coding = self._headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("identity", "", "gzip", "x-gzip", "deflate"):
            raise ProviderError("The provider's reply is packed in a way that was not asked for.")
        self._feed = body.feed if coding in ("identity", "") else _unpacking(body.feed)

    def _look(self, caller: _Caller, *, broken: bool) -> None:
        """After a read that was not just one more piece of the body."""
        body = self._body
        if self._whole:
            caller.end(None)
            self._free(keep=not broken)
        elif broken:
            caller.end(None if body is not None and body.done else ProviderError(BROKE))
            self._free(keep=False)
        elif body is not None and body.done:
            # Let the end come for a moment, so that the connection can serve again; the caller need not wait for it.
            caller.end(None)
            self._timer = asyncio.get_running_loop().call_later(_LINGER_S, self._free, False)
        elif not self._paused:
            self._paused = True
            self.transport.pause_reading()
            caller.wake()

    def _until_close(self) -> bool:
        """Whether the reply has no other end than the connection's."""
        coding = self._headers.get("transfer-encoding")
        if coding is None:
            return self._status > 0 and "content-length" not in self._headers
        return self._status > 0 and coding.rpartition(",")[2].strip().lower() != "chunked"

    def _free(self, keep: bool) -> None:
        """This exchange is over for the connection, too."""
        if self._timer is not None:
            self._timer.cancel()
        self._caller = self._parser = self._feed = self._answered = self._body = self._timer = None
        if keep and self._reusable and not self._paused and not self.transport.get_write_buffer_size():
            self._idle.keep(self)
        else:
            self.transport.abort()


class _Caller:
    """Who waits for an exchange's end."""

    __slots__ = ("_woken", "ended", "error")

    def __init__(self) -> None:
        self.ended = False
        self.error: Exception | None = None
        self._woken = asyncio.get_running_loop().create_future()

    async def over(self) -> bool:
        """Wait for the end: True; or until there may be no room: False."""
        if not self.ended:
            await self._woken
            self._woken = asyncio.get_running_loop().create_future()
        return self.ended

    def end(self, error: Exception | None) -> None:
        if not self.ended:
            self.ended, self.error = True, error
            self.wake()

    def wake(self) -> None:
        if not self._woken.done():
            self._woken.set_result(None)


def _unpacking(feed: Callable[[bytes], bool]) -> Callable[[bytes], bool]:
    """For a body that comes compressed though nobody asked for it; in pieces, so that a bomb can't fill the memory."""
    unpack = zlib.decompressobj(47)  # gzip or zlib

    def feed_packed(data: bytes) -> bool:
        look = False
        while data:
            piece = unpack.decompress(data, _PIECE)
            data = unpack.unconsumed_tail
            look = (bool(piece) and feed(piece)) or look
        return look

    return feed_packed
