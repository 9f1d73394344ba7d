"""One HTTP request and its response, for handlers: the body with its bound, parameters, replies, errors."""

from __future__ import annotations

import asyncio
import contextlib
import math
from typing import Any, cast
from urllib.parse import parse_qsl

import msgspec
import starlette.requests

from gateway.access.principal import KEYLESS, Principal
from gateway.errors import GatewayError, InvalidValue, TooLarge, UnsupportedType
from gateway.mlflow.wire import errors as mlflow
from gateway.web.types import RawHeaders, Receive, Scope, Send, Services
from gateway.wire import native, openai
from gateway.wire.rating_body import Problems, once, refuse

TEXT = b"text/plain; charset=utf-8"
PIECE_BYTES = 65_536  # what a client must take within send_timeout_s, so that a slow one isn't taken for a dead one
_LINGER_BYTES, _LINGER_S = 64 * 1024 * 1024, 5  # what is taken in, at most, of a body that is refused


class ClientGone(Exception):
    """The client left before its request was whole, or before it got an answer."""


class Request(starlette.requests.Request):
    """Starlette's request, with what the gateway's handlers share.

    `trace_id` is set as soon as the chat's row is committed: from then on every response carries it.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, services: Services, request_id: str) -> None:
        super().__init__(scope, receive, send)
        self.send = send
        self.services = services
        self.request_id = request_id
        self.principal: Principal = KEYLESS
        self.address = ""  # the caller's, where a limit asks for it
        self.trace_id: str | None = None
        self.started = False  # the response's head went out
        self.extra_headers: RawHeaders = []  # what every response of this request carries, such as CORS
        self._unread = False  # the body was refused before its end

    @property
    def path(self) -> str:
        """The path, decoded."""
        return cast(str, self.scope["path"])

    @property
    def client_host(self) -> str | None:
        """The address of the connection's other end, where it has one."""
        client = self.scope.get("client")
        return client[0] if client else None

    @property
    def raw_headers(self) -> RawHeaders:
        """The headers as they came, names in lower case."""
        return cast(RawHeaders, self.scope["headers"])

    def header(self, name: bytes) -> str | None:
        """One header's value; None where it isn't there."""
        for key, value in self.raw_headers:
            if key == name:
                return value.decode("latin-1")
        return None

    def query(self) -> list[tuple[str, str]]:
        """Query parameters in order. InvalidValue for bytes that are not UTF-8."""
        try:
            return parse_qsl(self.scope["query_string"].decode(), keep_blank_values=True, errors="strict")
        except (UnicodeDecodeError, ValueError):
            raise InvalidValue("The query is not valid UTF-8.") from None

    def query_dict(self) -> dict[str, str]:
        """The same, each name once. InvalidValue names what is given twice."""
        problems: Problems = []
        found = once(self.query(), problems)
        if problems:
            refuse(problems)
        return found

    async def json_body(self) -> bytes:
        """The body, which must say that it is JSON: so no web page can send it unasked. Raises TooLarge."""
        self.require_json()
        return await self.body()

    def require_json(self) -> None:
        kind = (self.header(b"content-type") or "").partition(";")[0].strip().lower()
        if kind != "application/json" and not kind.endswith("+json"):
            raise UnsupportedType("Send the body as Content-Type: application/json.")

    async def body(self) -> bytes:
        """The whole body. Raises TooLarge beyond max_body_bytes, before reading on."""
        limit = self.services.config.server.max_body_bytes
        length = self.header(b"content-length")
        if length is not None and length.isdigit() and int(length) > limit:
            self._unread = True
            raise TooLarge(f"The body is larger than {limit} bytes.")
        message = await self.receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            data: bytes = message.get("body", b"")
            if len(data) <= limit:
                return data
        chunks: list[bytes] = []
        size = 0
        memory = self.services.limits.memory
        try:
            while True:
                if message["type"] == "http.disconnect":
                    raise ClientGone
                chunk = message.get("body", b"")
                self._unread = bool(message.get("more_body"))
                if size + len(chunk) > limit:
                    raise TooLarge(f"The body is larger than {limit} bytes.")
                memory.take(len(chunk))
                size += len(chunk)
                chunks.append(chunk)
                if not self._unread:
                    return b"".join(chunks)
                message = await self.receive()
        finally:
            memory.give_back(size)

    def response_headers(self, content_type: bytes | None) -> RawHeaders:
        """What every response carries."""
        headers: RawHeaders = [(b"x-request-id", self.request_id.encode("latin-1"))]
        if content_type is not None:
            headers.append((b"content-type", content_type))
        if self.trace_id is not None:
            headers.append((b"x-trace-id", self.trace_id.encode()))
        return headers + self.extra_headers

    async def head(self, status: int, content_type: bytes | None, extra: RawHeaders | None = None) -> None:
        """The status line and headers."""
        self.started = True
        headers = self.response_headers(content_type) + (extra or [])
        await self.send({"type": "http.response.start", "status": status, "headers": headers})

    async def reply(
        self,
        value: Any,
        status: int = 200,
        *,
        content_type: bytes = b"application/json",
        extra: RawHeaders | None = None,
    ) -> None:
        """A whole response: JSON of `value`, or bytes as they are."""
        body = value if isinstance(value, bytes) else msgspec.json.encode(value)
        length = [(b"content-length", str(len(body)).encode())]
        await self.head(status, content_type, length + (extra or []))
        if self.scope["method"] == "HEAD":
            body = b""
        if len(body) > PIECE_BYTES:
            await self._in_pieces(body)
            return
        await self.send({"type": "http.response.body", "body": body, "more_body": self._unread})
        if self._unread:
            await self._linger()

    async def _in_pieces(self, body: bytes) -> None:
        """A large body. A server waits for the client before a write, so the last one is empty; a client that takes
        nothing is cut off."""
        seconds = self.services.config.streaming.send_timeout_s
        try:
            for at in range(0, len(body) + PIECE_BYTES, PIECE_BYTES):
                piece = body[at : at + PIECE_BYTES]
                async with asyncio.timeout(seconds):
                    await self.send({"type": "http.response.body", "body": piece, "more_body": bool(piece)})
        except TimeoutError:
            self.services.metrics.send_timeout()
            self.abort()
            raise ClientGone from None

    async def no_content(self) -> None:
        """204."""
        await self.head(204, None)
        await self.send({"type": "http.response.body", "body": b""})

    async def fail(self, error: GatewayError) -> None:
        """An error in the shape of the path's wire."""
        extra: RawHeaders = []
        if error.retry_after is not None or error.status in (429, 503):
            seconds = max(1, math.ceil(error.retry_after if error.retry_after is not None else 1))
            extra.append((b"retry-after", str(seconds).encode()))
        if error.status == 401:
            extra.append((b"www-authenticate", b"Bearer"))
        if self._unread:
            extra.append((b"connection", b"close"))
        if self.path == mlflow.OTLP_PATH:
            await self.reply(mlflow.otlp_body(error), error.status, extra=extra)
        elif mlflow.is_mlflow(self.path):
            await self.reply(mlflow.error_body(error), mlflow.error_status(error), extra=extra)
        elif self.path.startswith("/v1/"):
            await self.reply(openai.error_body(error), openai.error_status(error), extra=extra)
        elif self.path.startswith("/api/chat"):  # the AI SDK's clients show the body to people as it is
            await self.reply(error.message.encode(), error.status, content_type=TEXT, extra=extra)
        else:
            await self.reply(native.error_fields(error, self.trace_id), error.status, extra=extra)

    async def _linger(self) -> None:
        """Take in what still comes: closing on it would reset the connection, and the client might lose the reply."""
        left = _LINGER_BYTES
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_S):
                message = await self.receive()
                while left > 0 and message.get("more_body"):
                    left -= len(message["body"])
                    message = await self.receive()
        await self.send({"type": "http.response.body", "body": b""})

    def extension(self, name: str) -> Any:
        """What our server gives beyond ASGI, see server.py; None on another server."""
        return self.scope.get("extensions", {}).get(name)

    def abort(self) -> None:
        """Cut the connection: the client takes nothing, so there is no other way to be rid of it."""
        abort = self.extension("gateway.abort")
        if abort is not None:
            abort()


async def until_gone(receive: Receive) -> None:
    """Return when the client has left. Other messages, such as a late body, mean nothing here."""
    while (await receive())["type"] not in ("http.disconnect", "websocket.disconnect"):
        pass
