"""The Vercel AI SDK's wire: UI messages in, a UI message stream (v1) out. Sans-I/O; called by web/ai_sdk.py.

Format: the SDK's docs, "Stream protocols", and `src/ui-message-stream/ui-message-chunks.ts` of the package `ai`,
versions 6 and 7. Its clients die of a chunk they don't know and of a delta without its start, so nothing else is ever
sent. An answer's trace ID rides in the message's metadata, and is the message's ID: a replay finds its message again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import msgspec

from gateway.domain.answer import REASONING, have_thoughts, reasoning_field, text_of_other, without_thoughts
from gateway.domain.events import Done, Event, OtherDelta, ReasoningDelta, Started, TextDelta, ToolCallDelta
from gateway.domain.messages import ChatRequest
from gateway.errors import InvalidValue
from gateway.wire import native
from gateway.wire.ai_sdk_body import newest_token, translate
from gateway.wire.ai_sdk_parts import Calls, Others, chunk, step_messages
from gateway.wire.chat_body import Id, convert, decode_fields, traceparent
from gateway.wire.encoder import Encoder, Headers

DONE = b"data: [DONE]\n\n"

_encode = msgspec.json.encode
_REASONS = {"stop": "stop", "length": "length", "content_filter": "content-filter", "tool_calls": "tool-calls"}


class UIMessage(msgspec.Struct):
    """One message of a chat, as `useChat` keeps it. `content` is what versions before 5 had."""

    role: Literal["system", "user", "assistant"]
    parts: list[dict[str, Any]] = []
    content: str | None = None
    metadata: Any = None


class UIChat(msgspec.Struct, kw_only=True):
    """Body of POST /api/chat. Beyond these fields it takes what /chat takes, and the provider's parameters."""

    id: Id
    messages: list[UIMessage] | None = None
    message: UIMessage | None = None  # in place of messages: the newest alone; the stored turns come first
    trigger: str | None = None
    messageId: str | None = None


def decode_chat(body: bytes, route: str = "/api/chat", headers: Headers = ()) -> ChatRequest:
    """Return the request that a chat body makes. Raises BadRequest or InvalidValue."""
    return decode_chat_and_token(body, route, headers)[0]


def decode_chat_and_token(body: bytes, route: str, headers: Headers = ()) -> tuple[ChatRequest, str | None]:
    """Return the request, and the feedback token of an earlier answer, which the history has in its metadata."""
    fields = decode_fields(body)
    if "id" not in fields:
        problem = "is required by the AI SDK's /api/chat; Ollama's isn't served: use POST /v1/chat/completions"
        raise InvalidValue(f"id: {problem}", details=[("id", problem)])
    given = convert(_encode({name: fields.pop(name) for name in UIChat.__struct_fields__ if name in fields}), _CHAT)
    fields["session_id"] = msgspec.Raw(_encode(given.id))
    system = translate(fields)
    if (given.messages is None) == (given.message is None):
        problem = "give exactly one of message and messages"
        raise InvalidValue(problem, details=[("messages", problem)])
    messages: list[dict[str, Any]] = []
    if given.message is not None:
        fields["message"] = msgspec.Raw(_encode(_text(given.message)))
    else:
        model = msgspec.json.decode(fields.get("model", b"null"))
        messages = [each for message in given.messages or () for each in _to_openai(message, model)]
        fields["messages"] = msgspec.Raw(_encode(messages and [*system, *messages]))
    request = native.chat_request(fields, route, traceparent(headers), len(body))
    if have_thoughts(messages):
        request = msgspec.structs.replace(request, thoughts=True)
    if system and given.message is not None:
        request.fields["messages"] = msgspec.Raw(_encode([*system, *msgspec.json.decode(request.fields["messages"])]))
    return request, newest_token(message.metadata for message in given.messages or [given.message])


def history_token(body: bytes) -> str | None:
    """Return the feedback token that a body's `messages` have, where it has some. Raises BadRequest or InvalidValue."""
    messages = decode_fields(body).get("messages", msgspec.Raw(b"[]"))
    return newest_token(message.metadata for message in convert(bytes(messages), list[UIMessage], "messages"))


def _to_openai(message: UIMessage, model: Any) -> Iterator[dict[str, Any]]:
    """Yield one UI message as the messages that a provider takes. Another model than `model` may have thought it."""
    if message.role != "assistant":
        content: Any = _text(message)
        if files := [_file(part) for part in message.parts if part.get("type") == "file"]:
            content = [*([{"type": "text", "text": content}] if content else []), *files]
        yield {"role": message.role, "content": content}
        return
    if message.content and not message.parts:
        yield {"role": "assistant", "content": message.content}
    answered = message.metadata.get("model") if isinstance(message.metadata, dict) else None
    same = not (isinstance(answered, str) and model) or answered == model
    step: list[dict[str, Any]] = []
    for part in [*message.parts, {"type": "step-start"}]:
        if part.get("type") == "step-start":
            said = step_messages(step)
            yield from said if same else map(without_thoughts, said)
            step = []
        else:
            step.append(part)


def _text(message: UIMessage) -> str:
    texts = [str(part.get("text", "")) for part in message.parts if part.get("type") == "text"]
    return "\n".join(texts) if message.parts else message.content or ""


def _file(part: Mapping[str, Any]) -> dict[str, Any]:
    url = part.get("url")
    if str(part.get("mediaType")).startswith("image/"):
        return {"type": "image_url", "image_url": {"url": url}}
    return {"type": "file", "file": {"file_data": url, "filename": part.get("filename") or "file"}}


class UIMessageStream(Encoder):
    """Events of one answer as chunks, from its start on."""

    headers = (*Encoder.headers, (b"x-vercel-ai-ui-message-stream", b"v1"))
    connected = b": stream-open\n"
    heartbeat = b": keep-alive\n"

    def __init__(self) -> None:
        self._metadata: dict[str, Any] = {}
        self._open = ""  # the kind of part that is open: text, reasoning
        self._parts = 0
        self._field: dict[str, str] = {}  # of the reasoning part that is open, where it isn't the usual one
        self._calls, self._others = Calls(), Others()

    def encode(self, events: Iterable[tuple[int, Event]]) -> list[bytes]:
        """See Encoder. After a terminal event the stream is at its end."""
        return [chunk for _, event in events for chunk in self._chunks(event)]

    def text(self, text: bytes, position: int = 0) -> bytes | None:
        """See Encoder. None where no text part is open."""
        if self._open != "text":
            return None
        return b'data: {"type":"text-delta","id":"%d","delta":"%b"}\n\n' % (self._parts, text)

    def _chunks(self, event: Event) -> Iterator[bytes]:
        match event:
            case Started():
                self._metadata = {"traceId": event.trace_id, "sessionId": event.session_id, "model": event.model}
                if event.feedback_token:
                    self._metadata["feedbackToken"] = event.feedback_token
                yield chunk("start", messageId=event.trace_id, messageMetadata=self._metadata)
                yield chunk("start-step")
            case TextDelta(text=text):
                yield from self._part("text")
                yield self.text(text) or b""
            case ReasoningDelta(text=text, kind=kind):
                yield from self._part("reasoning", reasoning_field(kind))
                yield b'data: {"type":"reasoning-delta","id":"%d","delta":"%b"}\n\n' % (self._parts, text)
            case ToolCallDelta(call=call):
                yield from self._part("")
                yield from self._calls.piece(bytes(call))
            case OtherDelta(fields=fields):
                other = msgspec.json.decode(fields)
                if said := text_of_other(other):
                    yield from self._part("text")
                    yield self.text(_encode(said)[1:-1]) or b""
                yield from self._others.chunks(other)
            case Done():
                yield from self._done(event)
            case _:
                yield from self._part("")
                yield chunk("error", errorText=event.error)
                yield DONE

    def _part(self, kind: str, field: str = REASONING) -> Iterator[bytes]:
        """Open a part of that kind and close any other; for an empty kind, open none. `field`: see domain/answer.py."""
        if self._open == kind:
            return
        if self._open:
            yield chunk(f"{self._open}-end", id=str(self._parts), **self._others.metadata(**self._field))
        self._open, self._field = kind, {} if field == REASONING else {"field": field}
        if kind:
            self._parts += 1
            yield chunk(f"{kind}-start", id=str(self._parts))

    def _done(self, done: Done) -> Iterator[bytes]:
        yield from self._part("")
        timing = {"firstTokenMs": done.first_token_ms, "totalMs": done.total_ms}
        metadata = self._metadata | {"timing": timing} | ({"usage": done.usage} if done.usage else {})
        if done.feedback_token:
            metadata["feedbackToken"] = done.feedback_token
        if done.finish_reason == "stopped":
            yield chunk("message-metadata", messageMetadata=metadata)
            yield chunk("abort", reason="stopped")
        else:
            yield from self._calls.end(self._others)
            yield from self._others.end()
            yield chunk("finish-step")
            reason = _REASONS.get(done.finish_reason, "other")
            yield chunk("finish", finishReason=reason, messageMetadata=metadata)
        yield DONE


_CHAT = msgspec.json.Decoder(UIChat)
