"""uvicorn, with what it lacks for streams: a way to cut off a client that takes nothing, and signals left to us."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Generator
from typing import Any

import uvicorn
from sse_starlette.sse import AppStatus
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from gateway.config import Config
from gateway.errors import GatewayError

_EXIT_S = 5  # after the drain: how long responses may still take to reach their clients


class HttpProtocol(HttpToolsProtocol):
    """Hands the application `gateway.abort`: ASGI itself can only close politely, which waits for the client."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {"gateway.abort": self.transport.abort}  # type: ignore[dict-item]


class SocketProtocol(WebSocketsSansIOProtocol):
    """The same for WebSockets."""

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if scope := getattr(self, "scope", None):
            scope["extensions"]["gateway.abort"] = self.transport.abort


class Server(uvicorn.Server):
    """Signals are app.py's: uvicorn would close its listeners before the streams have ended."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


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


def server(app: Any, config: Config) -> Server:
    """A server for `app`; run it with the socket of `listen`."""
    AppStatus.enable_automatic_graceful_drain = False  # it would cut the live feed before our own drain
    streaming = config.streaming
    return Server(
        uvicorn.Config(
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
            timeout_keep_alive=75,
            timeout_graceful_shutdown=_EXIT_S,
            ws_max_size=config.server.max_body_bytes,
            ws_per_message_deflate=False,
            ws_ping_interval=streaming.heartbeat_s,
            ws_ping_timeout=streaming.send_timeout_s,
        )
    )
