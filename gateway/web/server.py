"""uvicorn, with what it lacks for streams: a way to cut off a client that takes nothing, and signals left to us."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Generator
from functools import partial
from typing import Any

import uvicorn
from sse_starlette.sse import AppStatus
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from gateway.access.limits import Limits
from gateway.config.schema import Config
from gateway.errors import BadRequest, GatewayError, TooLarge
from gateway.web.pace import KEEP_ALIVE_S, SWEEP_S, LimitedConfig, PacedProtocol, sweep

_MAX_HEAD = 65_536
_EXIT_S = 5  # after the drain: how long responses may still take to reach their clients
_LINGER_S = 5  # after a frame that is too large: how long the rest of it is taken in
_TICKS = round(SWEEP_S * 10)  # of uvicorn's, in a sweep
_MAX_FRAGMENTS = 1000  # of one WebSocket message: an empty one takes memory, too
_MAX_PONGS = 65_536  # bytes of answers to pings that wait for a client


class HttpProtocol(PacedProtocol):
    """Hands the application what ASGI lacks, as extensions of the scope:

    `gateway.abort()` cuts the connection, where ASGI can only close politely, which waits for the client;
    `gateway.gone`, a set of functions, is called when the client has left, so that no task need wait for it;
    `gateway.push(data)` writes a piece of a chunked body at once, or says False where `send` would have to wait.

    It also bounds a request's head, and refuses what is no HTTP in the native shape.
    """

    __slots__ = ("_gone", "_head")

    def connection_made(self, transport: Any) -> None:
        self._head: int | None = None  # bytes of a head that goes on from one read to the next
        self._gone = Gone()
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._gone.happened = True
        for callback in tuple(self._gone):
            callback()

    def data_received(self, data: bytes) -> None:
        scope = self.scope  # a new one for each request
        super().data_received(data)
        if self._head is not None and self.scope is scope:
            self._head += len(data)
            if self._head > _MAX_HEAD:
                self.refuse(TooLarge(f"The request's head is larger than {_MAX_HEAD} bytes."))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head = 0
        self.scope["extensions"] = {"gateway.abort": self.transport.abort, "gateway.gone": self._gone}  # type: ignore[dict-item]

    def on_headers_complete(self) -> None:
        self._head = None
        super().on_headers_complete()
        if self.cycle is not None:  # not a WebSocket's
            self.scope["extensions"]["gateway.push"] = partial(_push, self.cycle)  # type: ignore[assignment]

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection; one that still hasn't taken its last response would never close politely."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    def send_400_response(self, msg: str) -> None:
        self.refuse(BadRequest(msg))


class Gone(set[Callable[[], None]]):
    """Who wants to know that the client has left."""

    happened = False


def _push(cycle: RequestResponseCycle, data: bytes) -> bool:
    """What `cycle.send` does with a piece of a body, where it can do it without waiting."""
    if cycle.flow.write_paused or cycle.disconnected or not cycle.chunked_encoding or cycle.response_complete:
        return False
    cycle.transport.write(b"%x\r\n%b\r\n" % (len(data), data))
    return True


class SocketProtocol(WebSocketsSansIOProtocol):
    """The same for WebSockets."""

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if scope := getattr(self, "scope", None):
            scope["extensions"]["gateway.abort"] = self.transport.abort

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

    def __init__(self, config: LimitedConfig, limits: Limits, refused: Callable[[int], None]) -> None:
        super().__init__(config)
        config.limits, config.refused = limits, refused

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second."""
        if counter % _TICKS == 0:
            limits = self.config.limits
            sweep(self.server_state.connections, limits, SWEEP_S)
            limits.memory.measure()
            self.config.ws_max_size = limits.config.socket_frame_bytes or limits.server.max_body_bytes
        return await super().on_tick(counter)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, bound before anything else starts. GatewayError where the address can't be had."""
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
        raise GatewayError(f"can't listen on {host}:{port}: {error.strerror or error}") from None
    return listener


def server(app: Any, config: Config, limits: Limits, refused: Callable[[int], None]) -> Server:
    """A server for `app`; run it with the socket of `listen`. `limits` may change while it runs; `refused` hears the
    status of each request that doesn't reach `app`."""
    AppStatus.enable_automatic_graceful_drain = False  # it would cut the live feed before our own drain
    streaming = config.streaming
    return Server(
        LimitedConfig(
            app,
            http=HttpProtocol,
            ws=SocketProtocol,
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
            ws_ping_interval=streaming.heartbeat_s,
            ws_ping_timeout=streaming.send_timeout_s,
        ),
        limits,
        refused,
    )
