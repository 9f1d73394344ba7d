"""The Vercel AI SDK's wire: UI messages in, a UI message stream (v1) out. Sans-I/O; called by web/ai_sdk.py.

Format: the SDK's docs, "Stream protocols", and `src/ui-message-stream/ui-message-chunks.ts` of the package `ai`,
versions 6 and 7. Its clients die of a chunk they don't know and of a delta without its start, so nothing else is ever
sent. An answer's trace ID rides in the message's metadata, and is the message's ID: a replay finds its message again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import msgspec

from gateway.domain.events import Done, Event, ReasoningDelta, Started, TextDelta, ToolCallDelta
from gateway.domain.messages import ChatRequest
from gateway.errors import InvalidValue
from gateway.wire import native
from gateway.wire.ai_sdk_body import newest_token, translate
from gateway.wire.chat_body import Id, convert, decode_fields, traceparent
from gateway.wire.encoder import Encoder, Headers

DONE = b"data: [DONE]\n\n"
_METADATA = "gateway"  # ours among a part's `providerMetadata`, which the SDK's clients keep and send back

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
    if given.message is not None:
        fields["message"] = msgspec.Raw(_encode(_text(given.message)))
    else:
        messages = [each for message in given.messages or () for each in _to_openai(message)]
        fields["messages"] = msgspec.Raw(_encode(messages and [*system, *messages]))
    request = native.chat_request(fields, route, traceparent(headers), len(body))
    if system and given.message is not None:
        request.fields["messages"] = msgspec.Raw(_encode([*system, *msgspec.json.decode(request.fields["messages"])]))
    return request, newest_token(message.metadata for message in given.messages or [given.message])


def history_token(body: bytes) -> str | None:
    """Return the feedback token that a body's `messages` have, where it has some. Raises BadRequest or InvalidValue."""
    messages = decode_fields(body).get("messages", msgspec.Raw(b"[]"))
    return newest_token(message.metadata for message in convert(bytes(messages), list[UIMessage], "messages"))


def _to_openai(message: UIMessage) -> Iterator[dict[str, Any]]:
    """Yield one UI message as the messages that a provider takes."""
    if message.role != "assistant":
        content: Any = _text(message)
        if files := [_file(part) for part in message.parts if part.get("type") == "file"]:
            content = [*([{"type": "text", "text": content}] if content else []), *files]
        yield {"role": message.role, "content": content}
        return
    if message.content and not message.parts:
        yield {"role": "assistant", "content": message.content}
    texts: list[str] = []
    tools: list[dict[str, Any]] = []
    for part in [*message.parts, {"type": "step-start"}]:
        kind = str(part.get("type"))
        if kind == "text":
            texts.append(str(part.get("text", "")))
        elif kind == "dynamic-tool" or kind.startswith("tool-"):
            tools.append(part)
        elif kind == "step-start":
            yield from _step("".join(texts), tools)
            texts, tools = [], []


def _step(text: str, tools: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield what one call of the model said, and what its tools gave. A call without its result is left out."""
    ended = [part for part in tools if part.get("state") in ("output-available", "output-error")]
    said: dict[str, Any] = {"role": "assistant", "content": text or None}
    if ended:
        said["tool_calls"] = [
            {
                **_kept(part.get("callProviderMetadata")),
                "id": part.get("toolCallId"),
                "type": "function",
                "function": {
                    "name": part.get("toolName") or str(part["type"]).removeprefix("tool-"),
                    "arguments": _encode(part.get("input")).decode(),
                },
            }
            for part in ended
        ]
    if text or ended:
        yield said
    for part in ended:
        output = part.get("output") if part["state"] == "output-available" else part.get("errorText")
        content = output if isinstance(output, str) else _encode(output).decode()
        yield {"role": "tool", "tool_call_id": part.get("toolCallId"), "content": content}


def _kept(metadata: Any) -> dict[str, Any]:
    """Return what a part has kept for the provider."""
    ours = metadata.get(_METADATA) if isinstance(metadata, dict) else None
    return ours if isinstance(ours, dict) else {}


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
        self._calls: dict[Any, _Call] = {}

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
                yield _chunk("start", messageId=event.trace_id, messageMetadata=self._metadata)
                yield _chunk("start-step")
            case TextDelta(text=text):
                yield from self._part("text")
                yield self.text(text) or b""
            case ReasoningDelta(text=text):
                yield from self._part("reasoning")
                yield b'data: {"type":"reasoning-delta","id":"%d","delta":"%b"}\n\n' % (self._parts, text)
            case ToolCallDelta(call=call):
                yield from self._part("")
                yield from self._call(bytes(call))
            case Done():
                yield from self._done(event)
            case _:
                yield from self._part("")
                yield _chunk("error", errorText=event.error)
                yield DONE

    def _part(self, kind: str) -> Iterator[bytes]:
        """Open a part of that kind and close any other; for an empty kind, open none."""
        if self._open == kind:
            return
        if self._open:
            yield _chunk(f"{self._open}-end", id=str(self._parts))
        self._open = kind
        if kind:
            self._parts += 1
            yield _chunk(f"{kind}-start", id=str(self._parts))

    def _call(self, raw: bytes) -> Iterator[bytes]:
        """Yield a piece of a tool call. Pieces of one call share an index; the first has the ID and the name."""
        try:
            piece = msgspec.json.decode(raw, type=_Piece)
        except msgspec.MsgspecError:
            return  # stored by an earlier version, in a form of the provider's own that this wire can't say
        call = self._calls.setdefault(piece.index, _Call(piece.id or f"call_{piece.index}", piece.custom is not None))
        body = piece.custom or piece.function
        call.name += body.name or ""
        call.more |= {name: value for name, value in msgspec.json.decode(raw).items() if name not in _PIECE}
        if text := body.arguments or body.input:
            if call.name:
                yield from call.start()
                yield _chunk("tool-input-delta", toolCallId=call.id, inputTextDelta=text)
            call.arguments += text

    def _done(self, done: Done) -> Iterator[bytes]:
        yield from self._part("")
        timing = {"firstTokenMs": done.first_token_ms, "totalMs": done.total_ms}
        metadata = self._metadata | {"timing": timing} | ({"usage": done.usage} if done.usage else {})
        if done.feedback_token:
            metadata["feedbackToken"] = done.feedback_token
        if done.finish_reason == "stopped":
            yield _chunk("message-metadata", messageMetadata=metadata)
            yield _chunk("abort", reason="stopped")
        else:
            for call in self._calls.values():
                if call.name:
                    yield from call.start()
                    yield call.end()
            yield _chunk("finish-step")
            reason = _REASONS.get(done.finish_reason, "other")
            yield _chunk("finish", finishReason=reason, messageMetadata=metadata)
        yield DONE


class _Body(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None
    input: str | None = None  # of a custom tool, whose input is any text


class _Piece(msgspec.Struct):
    index: int = 0
    id: str | None = None
    type: str | None = None
    function: _Body = msgspec.field(default_factory=_Body)
    custom: _Body | None = None


_PIECE = frozenset(_Piece.__struct_fields__)


class _Call:
    """A tool call as it grows."""

    def __init__(self, call_id: str, custom: bool) -> None:
        self.id, self.name, self.arguments = call_id, "", ""
        self.more: dict[str, Any] = {}  # what the provider wants back with the result, such as a signature
        self._custom, self._started = custom, False

    def start(self) -> Iterator[bytes]:
        """Yield the first chunk, unless it is out. It bears the whole name, so it waits for what follows that."""
        if not self._started:
            self._started = True
            yield _chunk("tool-input-start", toolCallId=self.id, toolName=self.name)

    def end(self) -> bytes:
        """Return the whole call's chunk."""
        named = {"toolCallId": self.id, "toolName": self.name}
        try:
            value = self.arguments if self._custom else msgspec.json.decode(self.arguments or "{}")
        except msgspec.DecodeError:
            problem = "The model's input for this tool is not JSON."
            return _chunk("tool-input-error", **named, input=self.arguments, errorText=problem)
        kept = {"providerMetadata": {_METADATA: self.more}} if self.more else {}
        return _chunk("tool-input-available", **named, input=value, **kept)


_CHAT = msgspec.json.Decoder(UIChat)


def _chunk(kind: str, **fields: Any) -> bytes:
    return b"data: " + _encode({"type": kind, **fields}) + b"\n\n"
