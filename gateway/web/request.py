"""HTTP requests as handlers see them: bounded bodies, strict queries, and replies for those that write their own.

Made by middleware.py, one for each request. Handlers of cold routes return a response (responses.py); those of streams
and ratings send here, without one. How an error is written is the wire's to say (wire/errors.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
from collections.abc import Awaitable, Iterator, Sequence
from typing import Any, cast
from urllib.parse import parse_qsl

import msgspec
import starlette.requests
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from gateway.access.principal import KEYLESS, Principal, Role, require
from gateway.domain import ids
from gateway.errors import ContentTooLarge, GatewayError, InvalidValue, UnsupportedMediaType
from gateway.web.cookie import kept_cookie
from gateway.web.packed_body import PackedBody
from gateway.web.types import RawHeaders, Services
from gateway.wire.content_coding import ACCEPTED
from gateway.wire.errors import JSON, NATIVE, Wire
from gateway.wire.rating_body import Problems, once, refuse

PIECE_BYTES = 65_536  # what a client must take within send_timeout_s, so that a slow one isn't taken for a dead one
_LINGER_BYTES, _LINGER_S = 64 * 1024 * 1024, 5  # what is taken in, at most, of a body that is refused
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
_KEY = "gateway.request"  # where the scope has it


class ClientGone(ClientDisconnect):
    """The client left before its request was whole, or before it got an answer."""


class Request(starlette.requests.Request):
    """Starlette's request, with what the gateway's handlers share.

    `wire` writes its errors. `trace_id` is set as soon as the chat's row is committed: from then on every response
    carries it.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, services: Services, request_id: str) -> None:
        super().__init__(scope, receive, send)
        self.raw_headers: RawHeaders = scope["headers"]  # as they came, with names in lower case
        self.services = services
        self.request_id = request_id
        self.wire: Wire | None = None
        self.principal: Principal = KEYLESS
        self.address = ""  # the caller's, where a limit asks for it
        self.trace_id: str | None = None
        self.extra_headers: RawHeaders = []  # what the response carries beside its own
        self.started = False  # the response's head went out
        self.counted = 0  # bytes of a large body, or of a large reply, until `let_go`
        self._unread = False  # the body was refused before its end

    @staticmethod
    def of(scope: Scope) -> Request:
        """Return the request that was put into this scope."""
        return cast(Request, scope[_KEY])

    @contextlib.contextmanager
    def in_scope(self) -> Iterator[None]:
        """Let `of` find this request meanwhile. Left there it would be a cycle, which no count of references frees."""
        self.scope[_KEY] = self
        try:
            yield
        finally:
            del self.scope[_KEY]

    # What came

    @property
    def path(self) -> str:
        """Return the path, decoded."""
        return cast(str, self.scope["path"])

    @property
    def client_host(self) -> str | None:
        """Return the address of the connection's other end, where it has one."""
        client = self.scope.get("client")
        return client[0] if client else None

    def header(self, name: bytes) -> str | None:
        """Return one header's value; None where it isn't there. Ten times as fast as Starlette's `headers`."""
        for key, value in self.raw_headers:
            if key == name:
                return value.decode("latin-1")
        return None

    def query(self) -> list[tuple[str, str]]:
        """Return the query parameters in order. Raise InvalidValue for bytes that are not UTF-8."""
        try:
            return parse_qsl(self.scope["query_string"].decode(), keep_blank_values=True, errors="strict")
        except (UnicodeDecodeError, ValueError):
            raise InvalidValue("The query is not valid UTF-8.") from None

    def query_dict(self) -> dict[str, str]:
        """Return the query parameters, each name once. Raise InvalidValue that names what is given twice."""
        problems: Problems = []
        found = once(self.query(), problems)
        if problems:
            refuse(problems)
        return found

    async def json_body(self) -> bytes:
        """Return the body, declared as JSON so that no web page can send it unasked. Raise ContentTooLarge."""
        self.require_json()
        return await self.body()

    def require_json(self) -> None:
        """Raise UnsupportedMediaType for a body that doesn't say that it is JSON."""
        kind = (self.header(b"content-type") or "").partition(";")[0].strip().lower()
        if kind != "application/json" and not kind.endswith("+json"):
            raise UnsupportedMediaType("Send the body as Content-Type: application/json.")

    async def body(self) -> bytes:
        """Return the whole body, unpacked. Raise ContentTooLarge beyond max_body_bytes, before reading on."""
        limit = self.services.config.server.max_body_bytes
        length = encoding = b""
        headers: RawHeaders = self.scope["headers"]
        for name, value in headers:
            if name == b"content-length":
                length = value
            elif name == b"content-encoding":
                encoding = value
        if length.isdigit() and int(length) > limit:
            self._unread = True
            raise ContentTooLarge(f"The body is larger than {limit} bytes.")
        if encoding and encoding.lower() != b"identity":
            return await self._unpacked(PackedBody(limit, self.services.limits.memory), encoding.decode("latin-1"))
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            data: bytes = message.get("body", b"")
            if len(data) <= limit:
                return data
        whole = bytearray()  # one block, which is given back as such: pieces would leave the heap full of holes
        while True:
            if message["type"] == "http.disconnect":
                raise ClientGone
            chunk = message.get("body", b"")
            self._unread = bool(message.get("more_body"))
            if len(whole) + len(chunk) > limit:
                raise ContentTooLarge(f"The body is larger than {limit} bytes.")
            self.count(len(chunk))
            whole += chunk
            if not self._unread:
                return bytes(whole)
            message = await self._receive()

    def count(self, size: int) -> None:
        """Count so many bytes more for this request, until it is over or lets go. Raise Unavailable."""
        self.services.limits.memory.take(size)
        self.counted += size

    def let_go(self) -> None:
        """Give back what was counted."""
        self.services.limits.memory.give_back(self.counted)
        self.counted = 0

    async def _unpacked(self, packed: PackedBody, encoding: str) -> bytes:
        try:
            body = await packed.read(encoding, self._receive)
        except UnsupportedMediaType:
            self.extra_headers.append((b"accept-encoding", ACCEPTED))
            raise
        finally:
            self._unread = packed.unread
        if body is None:
            raise ClientGone
        return body

    def authenticate(self, roles: Sequence[Role] | None) -> None:
        """Find out who calls, and count it. Raise Unauthorized, Forbidden, TooManyRequests.

        `roles`: those that the route is for; None where there is no route, which anybody with a key may learn.
        """
        limits = self.services.limits
        self.address = limits.arrive(self.raw_headers, self.client_host)
        ask, method = self.services.authenticator.authenticate, self.scope["method"]
        self.principal = ask(self.raw_headers, self.client_host, roles or (), method)
        # Whoever rates by a token has a limit by address: a key's is for its own requests.
        key_id = None if self.principal.token else self.principal.key_id
        limits.request(key_id, self.address, self.principal.requests_per_minute)
        if self.principal.renewed:
            self.extra_headers.append(kept_cookie(self.scope, self.services.config.server))
        if roles is not None:
            require(self.principal, *roles)

    # What goes out

    async def send(self, message: Message) -> None:
        """Send one ASGI message. A head gets what every response carries."""
        if message["type"] == "http.response.start":
            self.started = True
            headers: RawHeaders = [(b"x-request-id", self.request_id.encode("latin-1")), *message["headers"]]
            headers += self.extra_headers
            if self.trace_id is not None:
                headers.append((b"x-trace-id", self.trace_id.encode()))
            message["headers"] = headers
        await self._send(message)

    async def head(self, status: int, content_type: bytes | None, extra: RawHeaders | None = None) -> None:
        """Send the status line and headers."""
        headers = [] if content_type is None else [(b"content-type", content_type)]
        await self.send({"type": "http.response.start", "status": status, "headers": headers + (extra or [])})

    def piece(self, data: bytes) -> Awaitable[None]:
        """Send a piece of a stream; more follows."""
        return self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def reply(self, value: Any, status: int = 200) -> None:
        """Send a whole response: JSON of `value`, or JSON as it is in bytes."""
        body = value if isinstance(value, bytes) else msgspec.json.encode(value)
        await self.respond(status, [(b"content-type", JSON), (b"content-length", b"%d" % len(body))], body, self.send)

    async def no_content(self) -> None:
        """Send a 204."""
        await self.head(204, None)
        await self.send({"type": "http.response.body", "body": b""})

    async def fail(self, error: GatewayError) -> None:
        """Send an error in the shape of the request's wire."""
        wire = self.wire or NATIVE
        status, body = wire.write(error, self.trace_id)
        headers = [(b"content-type", wire.content_type), (b"content-length", b"%d" % len(body))]
        if error.retry_after is not None or (error.status in (429, 503) and error.retryable):
            seconds = max(1, math.ceil(error.retry_after if error.retry_after is not None else 1))
            headers.append((b"retry-after", b"%d" % seconds))
        elif error.status in (429, 502) and not error.retryable:
            headers.append((b"x-should-retry", b"false"))  # OpenAI's clients ask again by themselves
        if error.status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        if self._unread:
            headers.append((b"connection", b"close"))
        await self.respond(status, headers, body, self.send)

    async def respond(self, status: int, headers: RawHeaders, body: bytes, send: Send) -> None:
        """Send a whole response; of a HEAD its head only. Raise Unavailable where a large one finds no room."""
        if len(body) > PIECE_BYTES:
            self.count(len(body))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        if self.scope["method"] == "HEAD":
            body = b""
        if len(body) > PIECE_BYTES:
            await self.write(body, send, more=False)
            return
        await send({"type": "http.response.body", "body": body, "more_body": self._unread})
        if self._unread:
            await self._linger(send)

    async def write(self, data: bytes, send: Send, *, more: bool = True) -> None:
        """Send a large body, or a part of it. A server waits for the client before a write, so the last one is empty;
        a client that takes nothing is cut off."""
        seconds = self.services.config.streaming.send_timeout_s
        try:
            for at in range(0, len(data) + (0 if more else PIECE_BYTES), PIECE_BYTES):
                piece = data[at : at + PIECE_BYTES]
                async with asyncio.timeout(seconds):
                    await send({"type": "http.response.body", "body": piece, "more_body": bool(piece)})
        except TimeoutError:
            self.services.metrics.send_timeout()
            self.abort()
            raise ClientGone from None

    async def _linger(self, send: Send) -> None:
        """Take in what still comes: closing on it would reset the connection, and the client might lose the reply."""
        left = _LINGER_BYTES
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_S):
                message = await self._receive()
                while left > 0 and message.get("more_body"):
                    left -= len(message["body"])
                    message = await self._receive()
        await send({"type": "http.response.body", "body": b""})

    def extension(self, name: str) -> Any:
        """Return what our server gives beyond ASGI, see http_protocol.py; None on another server."""
        return self.scope.get("extensions", {}).get(name)

    def abort(self) -> None:
        """Cut the connection: the client takes nothing, so there is no other way to be rid of it."""
        abort = self.extension("gateway.abort")
        if abort is not None:
            abort()


def request_id_of(headers: RawHeaders) -> str:
    """Return the caller's own request ID, where it is a plain word; else a new one."""
    for name, value in headers:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(given := value.decode("latin-1")):
            return given
    return ids.new_request_id()
