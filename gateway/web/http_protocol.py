"""uvicorn's HTTP protocol, with what it lacks: bounds for clients that are slow, and what ASGI can't say.

A connection is idle, or its client owes the rest of a head or of a body, or the gateway owes an answer. Each of the
client's turns has its timeout, which one sweep a second checks for all connections, so that a request costs no timer.
It is not what a client may ask for (access/limits.py), nor how slowly one may read (streaming/). Made by server.py.
"""

from __future__ import annotations

import math
import resource
import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, cast

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from gateway.access.memory import Memory
from gateway.config.current import Current
from gateway.config.schema import Server
from gateway.domain.ids import new_request_id
from gateway.errors import BadRequest, ContentTooLarge, GatewayError, RequestTimeout, Unavailable
from gateway.wire.errors import Wire

IDLE, HEAD, BODY, ANSWER = range(4)
KEEP_ALIVE_S = 75
BODY_BYTES_PER_S = 10_000  # a body that comes this fast may take as long as it needs
MAX_PIPELINED = 100  # requests that wait for their turn on one connection: each takes a hundred times its bytes
_MAX_HEAD = 65_536
_SPARE_FILES = 100  # for the store, the log and the like
_HOP_BY_HOP = (b"upgrade", b"http2-settings")


class LimitedConfig(uvicorn.Config):
    """uvicorn's settings, the configuration in force, and what is done with a request that is refused here.

    `refused` hears its status. `wire_of` gives the wire of its path, which writes the error. `memory` counts what there
    is of the messages of WebSockets.
    """

    current: Current
    memory: Memory
    refused: Callable[[int], None]
    wire_of: Callable[[str], Wire]


class Gone(set[Callable[[], None]]):
    """The functions to call when the client has left."""

    happened = False


class _Dropped(list[tuple[bytes, bytes]]):
    """The headers of a request whose head is complete: it takes in no trailers, which would be headers else."""

    def append(self, header: tuple[bytes, bytes]) -> None:
        pass


_DROPPED = _Dropped()


class HTTPProtocol(HttpToolsProtocol):
    """Bounds the time and size of a request's head, the time of its body, and the number of connections and of
    pipelined requests. What is no HTTP is refused in a wire's shape. Trailers are dropped, and bounded as a head is.

    A request that asks for another protocol (`Upgrade: h2c`, as some clients do by default) is answered as if it had
    not asked, where uvicorn loses the body.

    The application gets what ASGI lacks, as extensions of the scope:

    `gateway.abort()` cuts the connection, where ASGI can only close politely, which waits for the client;
    `gateway.gone`, a set of functions, is called when the client has left, so that no task need wait for it;
    `gateway.push(data)` writes a piece of a chunked body at once, or says False where `send` would have to wait.
    """

    # Beyond 30 attributes an instance's dictionary takes 1.5 kB more; uvicorn's own are nearly as many.
    __slots__ = ("_body_size", "_declined", "_gone", "_head_size", "_read_size", "_turn", "_waited_s")

    def connection_made(self, transport: Any) -> None:
        self._turn = IDLE
        self._waited_s = 0.0  # since the turn began
        self._head_size: int | None = None  # of a head, or of trailers, that go on from one read to the next
        self._read_size = 0  # of the data read last
        self._body_size = 0  # so far
        self._declined: int | None = None  # where in the data read last a request ends whose upgrade isn't made
        self._gone = Gone()
        super().connection_made(transport)
        most = most_connections(cast(LimitedConfig, self.config).current.value.server.max_connections)
        if len(self.connections) > most:
            self.refuse(Unavailable("There are too many connections.", code="too_busy", retry_after=1))

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._gone.happened = True
        for callback in tuple(self._gone):
            callback()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        scope = self.scope  # a new one for each request
        self._read_size = len(data)
        super().data_received(data)
        if self._declined is not None:
            rest, self._declined = data[self._declined :], None
            self._without_upgrade(rest)
        elif self._head_size is not None and self.scope is scope:
            self._head_size += len(data)
            if self._head_size > _MAX_HEAD:
                self._refuse_unless_answered(_too_large("head" if self._turn == HEAD else "trailer"))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._turn, self._waited_s, self._head_size = HEAD, 0.0, 0
        self.scope["extensions"] = {"gateway.abort": self.transport.abort, "gateway.gone": self._gone}  # type: ignore[dict-item]

    def on_headers_complete(self) -> None:
        self._turn, self._waited_s, self._head_size, self._body_size = BODY, 0.0, None, 0
        if self._declines():
            return
        if len(self.pipeline) >= MAX_PIPELINED:
            raise BadRequest("There are too many requests at once on this connection.")
        super().on_headers_complete()
        if self.cycle is not None:  # not a WebSocket's
            self.scope["extensions"]["gateway.push"] = partial(_push, self.cycle)  # type: ignore[assignment]
            if self.scope["http_version"] == "1.0":
                self.cycle.send = partial(_send_until_close, self.cycle)  # type: ignore[method-assign]

    def on_chunk_header(self) -> None:
        """Count from here on, until a body comes: after the last chunk come trailers."""
        self._head_size, self.headers = -self._read_size, _DROPPED

    def on_chunk_complete(self) -> None:
        """Count no more."""
        self._head_size = None

    def on_body(self, body: bytes) -> None:
        self._body_size += len(body)
        self._head_size = None
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._declines():
            return  # its body, if it has one, is still to come
        self._turn = ANSWER
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._turn == ANSWER and self.cycle.response_complete:
            self._turn, self._waited_s = IDLE, 0.0

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection; one that still hasn't taken its last response would never close politely."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    def send_400_response(self, msg: str) -> None:
        self.refuse(BadRequest(msg))

    def check_timeout(self, seconds: float, head_s: float, body_s: float) -> None:
        """Count so many seconds more. End the connection where its client has used up its turn."""
        if self._turn == ANSWER or self.flow.read_paused or self.pipeline:
            return
        if self._turn == HEAD and self.cycle is not None and not self.cycle.response_complete:
            return  # the head of a request that has to wait for its turn
        self._waited_s += seconds
        allowed = (KEEP_ALIVE_S, head_s, body_s + self._body_size / BODY_BYTES_PER_S)[self._turn]
        if self._waited_s <= allowed or self.transport.is_closing():
            return
        if self._turn == IDLE:
            self.transport.abort()  # also where it hasn't taken its last answer
            return
        part = "head" if self._turn == HEAD else "body"
        self._refuse_unless_answered(RequestTimeout(f"The request's {part} took too long."))

    def _refuse_unless_answered(self, error: GatewayError) -> None:
        """Refuse the request, or cut the connection where its answer is on its way already."""
        if self._turn == BODY and self.cycle is not None and self.cycle.response_started:
            self.transport.abort()
        else:
            self.refuse(error)

    def refuse(self, error: GatewayError) -> None:
        """Answer what reaches no route, in the shape of its path's wire where that much is known, and close."""
        path = self.scope.get("path", "") if self.scope and self._turn == BODY else ""
        wire = cast(LimitedConfig, self.config).wire_of(path)
        status, body = wire.write(error, None)
        head = b"content-type: %b\r\ncontent-length: %d\r\nconnection: close\r\n" % (wire.content_type, len(body))
        if error.retry_after is not None:
            head += b"retry-after: %d\r\n" % math.ceil(error.retry_after)
        head += b"x-request-id: %b\r\n\r\n" % new_request_id().encode()
        if self.cycle is not None:
            self.cycle.disconnected = True  # a handler that still runs can't write into this
            self.cycle.message_event.set()
        self.transport.write(STATUS_LINE[status] + head + body)
        self.transport.close()
        cast(LimitedConfig, self.config).refused(error.status)

    def _declines(self) -> bool:
        """Return True for a request for an upgrade that isn't made; a CONNECT looks like one to the parser."""
        return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT" and not self._should_upgrade()

    def _unsupported_upgrade_warning(self) -> None:
        """Note where the request ended. uvicorn calls this while it handles the parser's exception, which knows."""
        error = sys.exception()
        if isinstance(error, httptools.HttpParserUpgrade) and self._declines():
            self._declined = error.args[0]

    def _without_upgrade(self, rest: bytes) -> None:
        """Read the request once more, as if it hadn't asked: the parser would take its body for another protocol."""
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        for name, value in self.headers:
            if name == b"connection":
                value = b", ".join(word for word in value.split(b",") if word.strip().lower() != b"upgrade")
            if name not in _HOP_BY_HOP:
                lines.append(name + b": " + value)
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.data_received(b"\r\n".join(lines) + b"\r\n\r\n" + rest)


def _too_large(part: str) -> ContentTooLarge:
    return ContentTooLarge(f"The request's {part} is larger than {_MAX_HEAD} bytes.")


async def _send_until_close(cycle: RequestResponseCycle, message: Any) -> None:
    """Send a message to a client of HTTP/1.0, which knows no chunks: a body whose length isn't said ends with the
    connection (RFC 9112, sections 6.1 and 6.3). uvicorn says `Connection: close` to all of them."""
    if message["type"] == "http.response.start":
        if all(name.lower() != b"content-length" for name, _ in message["headers"]):
            cycle.chunked_encoding = False
            cycle.body_until_close = True  # type: ignore[attr-defined]
    elif getattr(cycle, "body_until_close", False):
        cycle.expected_content_length = len(message.get("body", b""))
    await RequestResponseCycle.send(cycle, message)


def _push(cycle: RequestResponseCycle, data: bytes) -> bool:
    """Do what `cycle.send` does with a piece of a body, and say True, where that needs no waiting."""
    if cycle.flow.write_paused or cycle.disconnected or not cycle.chunked_encoding or cycle.response_complete:
        return False
    cycle.transport.write(b"%x\r\n%b\r\n" % (len(data), data))
    return True


def check_timeouts(connections: Iterable[object], config: Server, seconds: float) -> None:
    """Count so many seconds more for every HTTP connection."""
    head_s, body_s = config.head_timeout_s, config.body_timeout_s
    for connection in tuple(connections):
        if isinstance(connection, HTTPProtocol):
            connection.check_timeout(seconds, head_s, body_s)


def most_connections(wanted: int) -> int:
    """Return how many connections there may be. A stream takes two files, and files have a limit."""
    files = max(_SPARE_FILES, (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _SPARE_FILES) // 2)
    return min(wanted or files, files)
