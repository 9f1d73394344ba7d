"""WS /chat/ws: several chats at once on one socket, in JSON frames.

To refuse, the socket is accepted and closed with a code, since a browser sees a refusal before that as 1006. A frame
that isn't understood gets an error frame, and the socket stays open.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import partial
from typing import Any
from urllib.parse import parse_qs

import msgspec
from starlette.types import Receive, Scope, Send

from gateway.access.principal import Principal
from gateway.errors import BadRequest, Conflict, Forbidden, GatewayError, InvalidValue, NotFound, TooManyRequests
from gateway.streaming.reader import Reader, Write
from gateway.web.chat import trace_id_of
from gateway.web.frame_ids import given_id, required_id
from gateway.web.pump import ClientConnected, pump
from gateway.web.request import ClientGone
from gateway.web.types import Services
from gateway.wire import feedback, native
from gateway.wire.chat_body import Id, convert, decode_fields
from gateway.wire.encoder import Encoder

GOING_AWAY, POLICY, BUSY, TOO_FAST = 1001, 1008, 1013, 4429
MAX_CHATS = 100  # at once on one socket
_MOST_ASKED = 1_000
_CLOSE_S, _CUT_S = 2, 5  # how long a close may take, and the client's answer to it
_log = logging.getLogger("gateway.socket")


class Socket:
    """One connection. `open_sockets` is where the drain finds it."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, services: Services, request_id: str) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._services = services
        self._request_id = request_id
        self._host: str | None = (scope.get("client") or (None,))[0]
        self._chats: dict[str, asyncio.Task[None]] = {}
        self._readers: dict[str, Reader] = {}  # of the same chats
        self._asked: dict[str, None] = {}  # traces of chats on this socket, the oldest first
        self._principal: Principal
        self._address = ""
        self._closed = False

    async def serve(self, open_sockets: set[Socket]) -> None:
        """Serve the socket from the handshake to its end."""
        await self._receive()
        headers = [(b"x-request-id", self._request_id.encode("latin-1"))]
        await self._send({"type": "websocket.accept", "headers": headers})
        try:
            self._principal = await self._admit()
        except GatewayError as error:
            await self.close(TOO_FAST if isinstance(error, TooManyRequests) else POLICY, error.message)
            return
        limits = self._services.limits
        if limits.full or 0 < self._services.config.limits.max_streams <= len(open_sockets):
            await self.close(BUSY, "The server is busy. Please try again.")
            return
        if self._services.chat.runs.draining:
            await self.close(GOING_AWAY, "The server is shutting down.")
            return
        open_sockets.add(self)
        in_time = limits.frames()
        try:
            while (message := await self._receive())["type"] == "websocket.receive":
                if not in_time():
                    await self.close(TOO_FAST, "Too many frames.")
                    break
                if (ended := self._services.authenticator.ended(self._principal)) is not None:
                    await self.close(POLICY, ended)
                    break
                await self._frame(message)
                del message  # it may be long, and the next one far away
        finally:
            self._closed = True
            open_sockets.discard(self)
            try:
                await asyncio.sleep(0)  # a task that is cancelled before its first step never leaves its chat
            finally:
                for task in (tasks := list(self._chats.values())):
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self, code: int, reason: str) -> None:
        """Close with a code; a second time does nothing."""
        if not self._closed:
            self._closed = True
            short = reason.encode()[:120].decode(errors="ignore")  # a close frame holds 123 bytes
            await self._patiently({"type": "websocket.close", "code": code, "reason": short}, _CLOSE_S)
            # A client that neither reads nor closes would hold the connection for ever.
            asyncio.get_running_loop().call_later(_CUT_S, self._abort)

    async def leave(self) -> None:
        """Let the chats' last frames out, then close, because the server shuts down."""
        if self._chats:
            await asyncio.wait(set(self._chats.values()), timeout=2)
        await self.close(GOING_AWAY, "The server is shutting down.")

    async def _admit(self) -> Principal:
        services, headers, host = self._services, self._scope["headers"], self._host
        self._address = services.limits.arrive(headers, host)
        query = parse_qs(self._scope["query_string"].decode("latin-1"), keep_blank_values=True)
        ask = partial(services.authenticator.authenticate_socket, headers, host, query.get("ticket", [None])[0])
        principal = await services.stored_keys.repeated(ask)
        services.limits.request(principal.key_id, self._address, principal.requests_per_minute)
        return principal

    def _caller(self, fields: dict[str, msgspec.Raw]) -> Principal:
        """Return who resumes or rates by this frame: its feedback token's rater, else the one who opened the socket.

        One that was opened from a web page reaches without a token what was asked on it, and nothing else.
        """
        if (token := fields.pop("feedback_token", None)) is not None:
            text = convert(bytes(token), str, "feedback_token")
            return self._services.authenticator.from_token(text, self._scope["headers"], self._host, self._principal)
        trace_id = convert(bytes(fields.get("trace_id", b"null")), str | None, "trace_id")
        if self._principal.role == "publishable" and trace_id not in self._asked:
            raise Forbidden("Send the feedback_token that came with the answer.")
        return self._principal

    async def _frame(self, message: Any) -> None:
        """Handle one frame of the client. An error is answered by a frame."""
        answers: dict[str, Any] = {}
        try:
            text = message.get("text")
            if text is None:
                raise BadRequest("Frames are text: one JSON object each.", code="not_json")
            raw = text.encode("utf-8", "surrogatepass")
            fields = decode_fields(raw)
            if "id" in fields:
                answers["id"] = convert(bytes(fields["id"]), Id, "id")
            kind = convert(bytes(fields.pop("type", b"null")), str | None, "type")
            if kind in ("chat", "resume", "feedback"):
                limits, principal = self._services.limits, self._principal
                limits.again(self._address)
                limits.request(principal.key_id, self._address, principal.requests_per_minute)
            match kind:
                case "ping":
                    await self._say({"type": "pong", **answers})
                case "chat":
                    await self._chat(required_id(answers), fields, len(raw))
                case "resume":
                    await self._resume(answers.get("id"), fields)
                case "stop":
                    self._stop(required_id(answers))
                case "feedback":
                    await self._feedback(self._caller(fields), raw, answers)
                case _:
                    problem = "must be chat, stop, resume, feedback or ping"
                    raise InvalidValue(f"type: {problem}", details=[("type", problem)])
        except GatewayError as error:
            await self._say_error(error, answers or given_id(message.get("text") or ""))

    async def _chat(self, chat_id: str, fields: dict[str, msgspec.Raw], size: int) -> None:
        self._check_free(chat_id)
        for name in ("id", "feedback_token"):  # who asks was settled when the socket opened
            fields.pop(name, None)
        asked = native.chat_request(fields, "/chat/ws", size=size)
        async with contextlib.AsyncExitStack() as stack:
            chat = self._services.chat.ask(self._principal, asked, resumable=True, address=self._address)
            reader = await stack.enter_async_context(chat)
            self._asked[reader.trace_id] = None
            if len(self._asked) > _MOST_ASKED:
                del self._asked[next(iter(self._asked))]
            self._follow(chat_id, reader, stack.pop_all())

    async def _resume(self, chat_id: str | None, fields: dict[str, msgspec.Raw]) -> None:
        trace_id = trace_id_of(convert(bytes(fields.get("trace_id", b'""')), str, "trace_id"))
        after = convert(bytes(fields.get("after", b"0")), int, "after")
        chat_id = chat_id or trace_id
        self._check_free(chat_id)
        async with contextlib.AsyncExitStack() as stack:
            chat = self._services.chat.resume(self._caller(fields), trace_id, max(0, after))
            reader = await stack.enter_async_context(chat)
            if reader is None:
                raise NotFound("There is nothing to resume.", code="nothing_to_resume")
            self._services.metrics.resumed()
            self._follow(chat_id, reader, stack.pop_all())

    def _stop(self, chat_id: str) -> None:
        if chat_id not in self._readers:
            raise NotFound("There is no such chat on this socket.", code="unknown_chat")
        self._services.chat.runs.stop(self._readers[chat_id].trace_id)

    async def _feedback(self, caller: Principal, frame: bytes, answers: dict[str, Any]) -> None:
        subject, ratings = feedback.decode_frame(frame, known=caller.trace_id)
        receipt = await self._services.feedback.rate(caller, subject, ratings, None)
        rated = feedback.Rated(trace_id=receipt.trace_id, assessment_id=receipt.assessments[0].assessment_id)
        await self._say({"type": "feedback_recorded", **msgspec.to_builtins(rated), **answers})

    def _check_free(self, chat_id: str) -> None:
        if chat_id in self._chats:
            raise Conflict("A chat with this id is still running here.", code="duplicate_id")
        if len(self._chats) >= MAX_CHATS:
            raise Conflict(f"At most {MAX_CHATS} chats at once on one socket.", code="too_many_chats")

    def _follow(self, chat_id: str, reader: Reader, stack: contextlib.AsyncExitStack) -> None:
        """Send the chat's frames in a task of its own, which leaves the chat at its end."""
        task = asyncio.create_task(self._pump(chat_id, reader, stack))
        self._chats[chat_id], self._readers[chat_id] = task, reader

        def ended(task: asyncio.Task[None]) -> None:
            del self._chats[chat_id], self._readers[chat_id]
            if not task.cancelled() and (error := task.exception()):
                _log.error("The frames of a chat failed.", exc_info=error)

        task.add_done_callback(ended)

    async def _pump(self, chat_id: str, reader: Reader, stack: contextlib.AsyncExitStack) -> None:
        """Send the chat's frames, until its terminal one. A client that takes nothing loses its socket."""
        async with stack:
            try:
                await reader.ready()
                async with ClientConnected(reader, self._abort):  # serve() hears that the client left
                    await pump(_Frames(self), reader, native.SocketFrames(chat_id), self._services.metrics)
            except ClientGone:
                pass
            except GatewayError as error:
                await self._say_error(error, {"id": chat_id})

    async def _say(self, value: dict[str, Any]) -> None:
        await self._answer(msgspec.json.encode(value).decode())

    async def _say_error(self, error: GatewayError, answers: dict[str, Any]) -> None:
        await self._answer(native.error_frame(error, answers))

    async def _answer(self, text: str) -> None:
        if not self._closed:
            seconds = self._services.config.streaming.send_timeout_s
            await self._patiently({"type": "websocket.send", "text": text}, seconds)

    async def send_frame(self, frame: bytes) -> None:
        """Send one frame, which a reader's times watch. A socket that is closed swallows it."""
        if not self._closed:
            await self._send({"type": "websocket.send", "text": frame.decode()})

    @property
    def push(self) -> Write | None:
        """Return what sends a frame at once; see server.py. None on another server."""
        found: Write | None = self._scope.get("extensions", {}).get("gateway.push")
        return found

    async def _patiently(self, message: dict[str, Any], seconds: float) -> None:
        """Send what no run's timer looks after. A client that sends and never reads loses its socket."""
        try:
            async with asyncio.timeout(seconds):
                await self._send(message)
        except TimeoutError:
            self._abort()
        except OSError:
            pass  # the client has left; the next receive says so

    def _abort(self) -> None:
        abort = self._scope.get("extensions", {}).get("gateway.abort")
        if abort is not None:
            abort()


class _Frames:
    """One chat's frames as a Client."""

    started = True  # the socket is open

    def __init__(self, socket: Socket) -> None:
        self.push = socket.push
        self.send = socket.send_frame

    async def start(self, encoder: Encoder) -> None:
        """Send nothing: a socket has no head before the frames."""

    def cut(self, pieces: list[bytes]) -> list[bytes]:
        return pieces

    async def end(self) -> None:
        """Send nothing: a socket has no mark after the frames."""
