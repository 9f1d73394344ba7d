"""WS /chat/ws: several chats at once on one socket, in JSON frames.

To refuse, the socket is accepted and closed with a code, since a browser sees a refusal before that as 1006. A frame
that isn't understood gets an error frame, and the socket stays open.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import Any
from urllib.parse import parse_qs

import msgspec
from starlette.types import Receive, Scope, Send

from gateway.access.principal import Principal
from gateway.domain.events import Done, Failed
from gateway.domain.trace import Outcome
from gateway.errors import BadRequest, Conflict, Forbidden, GatewayError, InvalidValue, NotFound, TooManyRequests
from gateway.streaming.log import EventLog
from gateway.streaming.reader import Reader
from gateway.streaming.run import Run
from gateway.web.chat import trace_id_of
from gateway.web.types import Services
from gateway.wire import native
from gateway.wire.chat_body import Id, convert, decode_fields

NORMAL, GOING_AWAY, POLICY, BUSY, TOO_FAST = 1000, 1001, 1008, 1013, 4429
MAX_CHATS = 100  # at once on one socket
_MOST_ASKED = 1_000
_MAX_REFUSED = 65_536  # characters of a frame that is looked at for its id only
_CLOSE_S, _CUT_S = 2, 5  # how long a close may take, and the client's answer to it
_log = logging.getLogger("gateway.socket")


class Socket:
    """One connection. `open_sockets` is where the drain finds it."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, services: Services, request_id: str) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._services = services
        self._request_id = request_id
        self._chats: dict[str, asyncio.Task[None]] = {}
        self._runs: dict[str, Run] = {}
        self._asked: dict[str, None] = {}  # traces of chats on this socket, the oldest first
        self._principal: Principal
        self._address = ""
        self._closed = False

    async def serve(self, open_sockets: set[Socket]) -> None:
        """From the handshake to the end."""
        await self._receive()
        headers = [(b"x-request-id", self._request_id.encode("latin-1"))]
        await self._send({"type": "websocket.accept", "headers": headers})
        try:
            self._principal = self._admit()
        except GatewayError as error:
            await self.close(TOO_FAST if isinstance(error, TooManyRequests) else POLICY, error.message)
            return
        limits = self._services.limits
        if limits.full or 0 < limits.config.max_streams <= len(open_sockets):
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
                if not self._services.authenticator.keys.active(self._principal.key_id):
                    await self.close(POLICY, "The API key of this socket has ended.")
                    break
                await self._frame(message)
        finally:
            self._closed = True
            open_sockets.discard(self)
            tasks = list(self._chats.values())
            for task in tasks:
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
        """The server shuts down: let the chats' last frames out, then close."""
        if self._chats:
            await asyncio.wait(set(self._chats.values()), timeout=2)
        await self.close(GOING_AWAY, "The server is shutting down.")

    def _admit(self) -> Principal:
        services, headers = self._services, self._scope["headers"]
        client = self._scope.get("client")
        host = client[0] if client else None
        self._address = services.limits.arrive(headers, host)
        query = parse_qs(self._scope["query_string"].decode("latin-1"), keep_blank_values=True)
        principal = services.authenticator.authenticate_socket(headers, host, query.get("ticket", [None])[0])
        services.limits.request(principal.key_id, self._address, principal.requests_per_minute)
        return principal

    def _caller(self, fields: dict[str, msgspec.Raw]) -> Principal:
        """Who resumes or rates by this frame: whoever its feedback token names, else whoever opened the socket.

        One that was opened from a web page reaches without a token what was asked on it, and nothing else.
        """
        if (token := fields.pop("feedback_token", None)) is not None:
            return self._services.authenticator.from_token(
                convert(bytes(token), str, "feedback_token"), self._principal
            )
        trace_id = convert(bytes(fields.get("trace_id", b"null")), str | None, "trace_id")
        if self._principal.role == "publishable" and trace_id not in self._asked:
            raise Forbidden("Send the feedback_token that came with the answer.")
        return self._principal

    async def _frame(self, message: Any) -> None:
        """One frame of the client's. Whatever is wrong with it is said in a frame."""
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
                limits.request(principal.key_id, self._address, principal.requests_per_minute)
            match kind:
                case "ping":
                    await self._say({"type": "pong", **answers})
                case "chat":
                    await self._chat(_required_id(answers), fields)
                case "resume":
                    await self._resume(answers.get("id"), fields)
                case "stop":
                    self._stop(_required_id(answers))
                case "feedback":
                    await self._feedback(self._caller(fields), raw, answers)
                case _:
                    problem = "must be chat, stop, resume, feedback or ping"
                    raise InvalidValue(f"type: {problem}", details=[("type", problem)])
        except GatewayError as error:
            await self._say_error(error, answers or _given_id(message.get("text") or ""))

    async def _chat(self, chat_id: str, fields: dict[str, msgspec.Raw]) -> None:
        self._check_free(chat_id)
        fields.pop("id", None)
        request = native.chat_request(fields, "/chat/ws")
        run = await self._services.chat.start(self._principal, request, resumable=True, address=self._address)
        self._asked[run.trace_id] = None
        if len(self._asked) > _MOST_ASKED:
            del self._asked[next(iter(self._asked))]
        self._follow(chat_id, run, run.log, run.attach())

    async def _resume(self, chat_id: str | None, fields: dict[str, msgspec.Raw]) -> None:
        trace_id = trace_id_of(convert(bytes(fields.get("trace_id", b'""')), str, "trace_id"))
        after = convert(bytes(fields.get("after", b"0")), int, "after")
        chat_id = chat_id or trace_id
        self._check_free(chat_id)
        caller = self._caller(fields)
        found = await self._services.chat.find(caller, trace_id)
        log = found.log if isinstance(found, Run) else found
        if log is None or (log.closed is not None and after >= log.end):
            raise NotFound("There is nothing to resume.", code="nothing_to_resume")
        self._services.metrics.resumed()
        token = self._services.chat.resumed_token(caller, trace_id)
        if isinstance(found, Run):
            reader = found.attach(after=max(0, after))
            reader.token = token
            self._follow(chat_id, found, log, reader)
        else:
            with self._services.chat.runs.replaying(log, max(0, after)) as reader:
                reader.token = token
                for position, event in reader.read():
                    await self._answer(native.frame(chat_id, position, event))

    def _stop(self, chat_id: str) -> None:
        run = self._runs.get(chat_id)
        if run is None:
            raise NotFound("There is no such chat on this socket.", code="unknown_chat")
        run.cancel(Outcome.STOPPED)

    async def _feedback(self, caller: Principal, raw: bytes, answers: dict[str, Any]) -> None:
        rated = await self._services.feedback.rate_frame(caller, raw)
        await self._say({"type": "feedback_recorded", **msgspec.to_builtins(rated), **answers})

    def _check_free(self, chat_id: str) -> None:
        if chat_id in self._chats:
            raise Conflict("A chat with this id is still running here.", code="duplicate_id")
        if len(self._chats) >= MAX_CHATS:
            raise Conflict(f"At most {MAX_CHATS} chats at once on one socket.", code="too_many_chats")

    def _follow(self, chat_id: str, run: Run, log: EventLog, reader: Reader) -> None:
        task = asyncio.create_task(self._pump(chat_id, run, log, reader))
        self._chats[chat_id], self._runs[chat_id] = task, run

        def ended(task: asyncio.Task[None]) -> None:
            # Also for a task that was cancelled before its first step.
            run.detach(reader)
            del self._chats[chat_id], self._runs[chat_id]
            if not task.cancelled() and (error := task.exception()):
                _log.error("a chat's frames failed", exc_info=error)

        task.add_done_callback(ended)

    async def _pump(self, chat_id: str, run: Run, log: EventLog, reader: Reader) -> None:
        """The chat's frames, until its terminal one. A client that takes nothing loses its socket."""
        loop = asyncio.get_running_loop()
        try:
            await asyncio.shield(run.begun)
        except GatewayError as error:
            await self._say_error(error, {"id": chat_id})
            return
        try:
            async with asyncio.timeout(None) as timer:
                reader.drop = lambda: timer.reschedule(loop.time()) if timer.when() is None else None
                while True:
                    for position, event in reader.read():
                        reader.sending_since = loop.time()
                        await self._text(native.frame(chat_id, position, event))
                        reader.sending_since = None
                        if isinstance(event, (Done, Failed)):
                            return
                    reader.sent()
                    if reader.merged:
                        self._services.metrics.merged(reader.take_merged())
                    await reader.wait()  # the server's own pings keep an idle socket alive
        except TimeoutError:
            self._abort()
        finally:
            reader.drop = None

    async def _say(self, value: dict[str, Any]) -> None:
        await self._answer(msgspec.json.encode(value).decode())

    async def _say_error(self, error: GatewayError, answers: dict[str, Any]) -> None:
        await self._answer(native.error_frame(error, answers))

    async def _answer(self, text: str) -> None:
        if not self._closed:
            seconds = self._services.config.streaming.send_timeout_s
            await self._patiently({"type": "websocket.send", "text": text}, seconds)

    async def _text(self, text: str) -> None:
        if not self._closed:
            with contextlib.suppress(OSError):  # the client has left; the next receive says so
                await self._send({"type": "websocket.send", "text": text})

    async def _patiently(self, message: dict[str, Any], seconds: float) -> None:
        """Send what no run's timer looks after. A client that sends and never reads loses its socket."""
        try:
            async with asyncio.timeout(seconds):
                await self._send(message)
        except TimeoutError:
            self._abort()
        except OSError:
            pass  # as above

    def _abort(self) -> None:
        abort = self._scope.get("extensions", {}).get("gateway.abort")
        if abort is not None:
            abort()


def _given_id(frame: str) -> dict[str, Any]:
    """The id of a frame that was not understood, so that its sender needn't wait for an answer."""
    try:
        found = json.loads(frame[:_MAX_REFUSED])["id"]
        msgspec.json.encode(found)  # ValueError for half of a surrogate pair
    except (ValueError, LookupError, TypeError, RecursionError):
        return {}
    return {"id": found} if isinstance(found, str | int) else {}


def _required_id(answers: dict[str, Any]) -> str:
    if "id" not in answers:
        raise InvalidValue("id: is required", details=[("id", "is required")])
    found: str = answers["id"]
    return found
