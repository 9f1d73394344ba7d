"""uvicorn's server, with signals left to app.py, and its WebSocket protocol with bounds. Made by app.py.

What it does with HTTP connections is http_protocol.py's.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Callable, Generator
from typing import Any, cast

import uvicorn
from sse_starlette.sse import AppStatus
from starlette.types import ASGIApp
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import State

from gateway.access.memory import Memory
from gateway.config.current import Current
from gateway.domain.messages import LARGE
from gateway.errors import GatewayError, Unavailable
from gateway.web.http_protocol import KEEP_ALIVE_S, HTTPProtocol, LimitedConfig, check_timeouts
from gateway.wire.errors import Wire

SWEEP_S = 1.0
_EXIT_S = 5  # after the drain: how long responses may still take to reach their clients
_LINGER_S = 5  # after a frame that is too large: how long the rest of it is taken in
_TICKS = round(SWEEP_S * 10)  # of uvicorn's, in a sweep
_MAX_FRAGMENTS = 1000  # of one WebSocket message: an empty one takes memory, too
_MAX_PONGS = 65_536  # bytes of answers to pings that wait for a client


class SocketProtocol(WebSocketsSansIOProtocol):
    """Bounds a message's fragments and the answers to pings, and counts what there is of a long message.

    The scope's `gateway.abort` and `gateway.push` are as in http_protocol.py; what is pushed is a frame of text.
    """

    _counted = 0  # bytes

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if scope := getattr(self, "scope", None):
            scope["extensions"] |= {"gateway.abort": self.transport.abort, "gateway.push": self._push}

    def _push(self, data: bytes) -> bool:
        """Send a text as `send` does, where that can be done without waiting; else return False."""
        if not self.writable.is_set() or self.disconnected or self.conn.state is not State.OPEN:
            return False
        self.conn.send_text(data)
        self.transport.write(b"".join(self.conn.data_to_send()))
        return True

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        held = len(self.conn.reader.buffer) + (sum(map(len, self.frames)) if self.frames else 0)
        if held > LARGE or self._counted:
            self._count(0 if self.close_sent or held <= LARGE else held)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._counted:
            self._count(0)

    def _count(self, held: int) -> None:
        """Count so many bytes of a message that is still coming, in place of those before."""
        memory = cast(LimitedConfig, self.config).memory
        memory.give_back(self._counted)
        self._counted = 0
        try:
            memory.take(held)
            self._counted = held
        except Unavailable:
            self.conn.fail(1013, "The server is busy. Please try again.")
            self.handle_parser_exception()

    def handle_cont(self, event: Any) -> None:
        if len(self.frames) >= _MAX_FRAGMENTS and not self.close_sent:
            self.conn.fail(1009, "The message has too many fragments.")
            self.handle_parser_exception()
        elif not self.close_sent:
            super().handle_cont(event)

    def handle_ping(self) -> None:
        super().handle_ping()
        if self.transport.get_write_buffer_size() > _MAX_PONGS and not self.writable.is_set():
            self.transport.abort()

    def handle_parser_exception(self) -> None:
        """Close on a bad frame, and take in what still comes: closing on it would reset the connection, and with it
        the close frame that says why. Called for each further piece, too."""
        if self.close_sent:
            return
        code = self.conn.close_sent.code if self.conn.close_sent else 1006
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.transport.write_eof()
        self.close_sent = True
        self.transport.resume_reading()
        self.close_timer = self.loop.call_later(_LINGER_S, self.transport.close)


class Server(uvicorn.Server):
    """Signals are app.py's: uvicorn would close its listeners before the streams have ended."""

    config: LimitedConfig

    def __init__(
        self,
        config: LimitedConfig,
        current: Current,
        memory: Memory,
        refused: Callable[[int], None],
        wire_of: Callable[[str], Wire],
    ) -> None:
        super().__init__(config)
        config.current, config.refused, config.wire_of, config.memory = current, refused, wire_of, memory
        self._memory = memory

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def on_tick(self, counter: int) -> bool:
        """Do what is due; uvicorn calls this ten times a second."""
        if counter % _TICKS == 0:
            config = self.config.current.value
            check_timeouts(self.server_state.connections, config.server, SWEEP_S)
            self._memory.measure()
            self.config.ws_max_size = config.limits.socket_frame_bytes or config.server.max_body_bytes
        return await super().on_tick(counter)


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket, bound before anything else starts. Raise GatewayError where it can't be had."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, proto)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.setblocking(False)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        hint = " Choose another one with --port." if error.errno == errno.EADDRINUSE else ""
        raise GatewayError(f"Can't listen on {host}:{port}: {error.strerror or error}.{hint}") from None
    return listener


def server(
    app: ASGIApp, current: Current, memory: Memory, refused: Callable[[int], None], wire_of: Callable[[str], Wire]
) -> Server:
    """Return a server for `app`; run it with the socket of `listen`. It has `memory` measured.

    `refused` hears the status of each request that doesn't reach `app`, and `wire_of` its path, to write the error.
    """
    AppStatus.enable_automatic_graceful_drain = False  # it would cut the live feed before our own drain
    config = current.value
    return Server(
        LimitedConfig(
            app,
            http=HTTPProtocol,
            ws=SocketProtocol,
            interface="asgi3",  # uvicorn guesses by whether `app` is a coroutine function
            loop="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=4096,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=_EXIT_S,
            ws_max_size=config.server.max_body_bytes,
            ws_per_message_deflate=False,
            ws_ping_interval=config.streaming.heartbeat_s,
            ws_ping_timeout=config.streaming.send_timeout_s,
        ),
        current,
        memory,
        refused,
        wire_of,
    )
