"""The native wire: JSON bodies in, server-sent events or WebSocket frames out.

Every event is one line of JSON with `type`; its `id` is its position in the log. Sans-I/O; called by web/.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from gateway.domain.events import Done, Event, Failed, OtherDelta, ReasoningDelta, Started, TextDelta, ToolCallDelta
from gateway.domain.messages import ChatRequest, Usage
from gateway.domain.trace import preview
from gateway.errors import GatewayError, InvalidValue
from gateway.wire.chat_body import Id, Message, Tags, check_messages, convert, decode_fields
from gateway.wire.chat_body import traceparent as traceparent_of
from gateway.wire.encoder import Encoder, Headers
from gateway.wire.native_events import DoneEvent, ErrorEvent, StartEvent, Timing

_encode = msgspec.json.encode
_REFUSAL = b'{"refusal":"'
_NAMES: dict[type, bytes] = {Done: b"event: done\n", Failed: b"event: error\n"}


class ChatBody(msgspec.Struct, kw_only=True):
    """Body of POST /chat and /chat/stream: `message` or `messages`; all other parameters go to the provider."""

    message: str | None = None
    messages: list[Message] | None = None
    model: Id | None = None
    session_id: Id | None = None
    user_id: Id | None = None
    client_request_id: Id | None = None
    tags: Tags = {}
    metadata: Tags = {}


class ChatReply(msgspec.Struct, frozen=True):
    """Reply of POST /chat."""

    response: str
    trace_id: str
    session_id: str
    model: str
    usage: Usage | None
    finish_reason: str
    feedback_token: str


class TicketRequest(msgspec.Struct):
    """Body of POST /chat/ws-ticket, which may be left out. `user_id`: whom a secret key vouches for."""

    user_id: Id | None = None


class TicketReply(msgspec.Struct, frozen=True):
    """Its reply: connect to /chat/ws?ticket=… within so many seconds."""

    ticket: str
    expires_in_s: int


def decode_ticket(body: bytes) -> TicketRequest:
    """Return the ticket that a body asks for. Raises BadRequest or InvalidValue."""
    fields = decode_fields(body)
    if unknown := [name for name in fields if name != "user_id"]:
        raise InvalidValue(f"{unknown[0]}: unknown field", details=[(name, "unknown field") for name in unknown[:50]])
    return TicketRequest(convert(bytes(fields["user_id"]), Id | None, "user_id") if "user_id" in fields else None)


_KINDS: dict[str, Any] = {
    "model": Id | None,
    "session_id": Id | None,
    "user_id": Id | None,
    "client_request_id": Id | None,
    "tags": Tags | None,
    "metadata": Tags | None,
}


def decode_chat(body: bytes, route: str, headers: Headers = ()) -> ChatRequest:
    """Return the request that a chat body makes. Raises BadRequest or InvalidValue."""
    request = chat_request(decode_fields(body), route, traceparent_of(headers), len(body))
    if request.client_request_id is not None:
        return msgspec.structs.replace(request, body_digest=hashlib.sha256(body).digest())
    return request


def chat_request(
    fields: dict[str, msgspec.Raw], route: str, traceparent: str | None = None, size: int = 0
) -> ChatRequest:
    """Return the request that the values of a body, or of a WebSocket's frame, make; it had `size` bytes.

    Raises InvalidValue.
    """
    options = {name: convert(bytes(fields.pop(name)), kind, name) for name, kind in _KINDS.items() if name in fields}
    for name in ("stream", "stream_options"):  # the route says it
        fields.pop(name, None)
    if "n" in fields and convert(bytes(fields["n"]), int | None, "n") not in (1, None):
        raise InvalidValue("n: must be 1 here; /v1/chat/completions takes more", details=[("n", "must be 1")])
    message = fields.pop("message", None)
    one = None if message is None else convert(bytes(message), str | None, "message")
    if bytes(fields.get("messages", b"")) == b"null":
        del fields["messages"]
    if (one is None) == ("messages" not in fields):
        problem = "give exactly one of message and messages"
        raise InvalidValue(problem, details=[("message", problem)])
    if one is not None:
        if not one.strip():
            raise InvalidValue("message: must not be empty", details=[("message", "must not be empty")])
        fields["messages"] = msgspec.Raw(_encode([{"role": "user", "content": one}]))
        question = preview(one)
    else:
        question = check_messages(fields["messages"], may_be_empty=False)
    return ChatRequest(
        route=route,
        model=options.pop("model", None),
        fields=fields,
        preview=question,
        continues=one is not None and options.get("session_id") is not None,
        traceparent=traceparent,
        size=size,
        **{name: value for name, value in options.items() if value is not None},
    )


def event_json(event: Event) -> bytes:
    """Return one event as JSON."""
    match event:
        case TextDelta(text=text):
            return b'{"type":"token","content":"' + text + b'"}'
        case ReasoningDelta(text=text):
            return b'{"type":"reasoning","content":"' + text + b'"}'
        case ToolCallDelta(call=call):
            return b'{"type":"tool_call","tool_call":' + bytes(call).replace(b"\n", b" ") + b"}"
        case OtherDelta(fields=fields):
            raw = bytes(fields)
            if raw.startswith(_REFUSAL):  # people read it as they read text
                return b'{"type":"token","content":' + raw[len(_REFUSAL) - 1 :]
            return b'{"type":"delta","delta":' + raw + b"}"
        case Started():
            return _encode(StartEvent(event.trace_id, event.session_id, event.model, event.feedback_token))
        case Done():
            timing = Timing(event.first_token_ms, event.total_ms)
            return _encode(DoneEvent(event.trace_id, event.finish_reason, event.usage, timing, event.feedback_token))
        case _:
            return _encode(ErrorEvent(event.error, event.code, event.retryable, event.trace_id))


class EventStream(Encoder):
    """Server-sent events, each one line of JSON."""

    connected = b": connected\n"
    heartbeat = b": heartbeat\n"

    def encode(self, events: Iterable[tuple[int, Event]]) -> list[bytes]:
        """See Encoder."""
        out = []
        for position, event in events:
            name = _NAMES.get(type(event), b"")
            out.append(b"%bid: %d\ndata: %b\n\n" % (name, position, event_json(event)))
        return out

    def text(self, text: bytes, position: int) -> bytes:
        """See Encoder."""
        return b'id: %d\ndata: {"type":"token","content":"%b"}\n\n' % (position, text)


class SocketFrames(Encoder):
    """Frames of one chat on a WebSocket: the same JSON plus `id` and `seq`. The server's pings are the heartbeat."""

    def __init__(self, chat_id: str) -> None:
        self._id = b',"id":%b,"seq":' % _encode(chat_id)

    def encode(self, events: Iterable[tuple[int, Event]]) -> list[bytes]:
        """See Encoder."""
        return [b"%b%b%d}" % (event_json(event)[:-1], self._id, position) for position, event in events]

    def text(self, text: bytes, position: int) -> bytes:
        """See Encoder."""
        return b'{"type":"token","content":"%b"%b%d}' % (text, self._id, position)


def error_fields(error: GatewayError, trace_id: str | None = None) -> dict[str, Any]:
    """Return an error in the native shape."""
    fields: dict[str, Any] = {"error": error.message, "code": error.code}
    if error.details:
        fields["details"] = [{"field": field, "problem": problem} for field, problem in error.details]
    return fields | ({"trace_id": trace_id} if trace_id else {})


def error_frame(error: GatewayError, fields: Mapping[str, Any]) -> str:
    """Return an error as a WebSocket frame. `fields` say what it answers, such as its `id`."""
    shape = {"type": "error", **error_fields(error), "retryable": error.retryable, **fields}
    return _encode(shape).decode()
