"""Decodes a provider's whole completion, and turns an answer of one form into the other.

A plain request may be answered with an event stream, and a stream request with plain JSON; either way the caller gets
what it asked for. Called by providers/router.py.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.domain.answer import Part, assistant_messages
from gateway.domain.events import (
    ChoiceDelta,
    Delta,
    Finished,
    OtherDelta,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    UsageReported,
)
from gateway.domain.messages import Usage
from gateway.errors import AnswerTooLong, ProviderError
from gateway.wire.repair import decode_repaired, finite
from gateway.wire.tool_calls import ToolCalls
from gateway.wire.upstream import StreamDecoder

_encode = msgspec.json.encode
_UNREADABLE = "The provider sent something that can't be read."


class CompletionDecoder:
    """Decodes one JSON document, without I/O. Its events come all at once, when it is closed.

    `raw` is then the document with the trace ID, or, where the caller wants a stream, the same as chunks.
    """

    done = lingers = False

    def __init__(self, trace_id: str, *, as_stream: bool, keep_usage: bool, max_bytes: int) -> None:
        self.finished = False
        self.failure: ProviderError | None = None
        self.model: str | None = None
        self.raw: list[bytes] = []
        self._trace_id, self._as_stream, self._keep_usage, self._max = trace_id, as_stream, keep_usage, max_bytes
        self._body: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[Delta]:
        self._size += len(data)
        if self._size > self._max:
            self.failure = AnswerTooLong("The answer is longer than this server allows.")
        elif data:
            self._body.append(data)
        return []

    def close(self) -> list[Delta]:
        if self.failure:
            return []
        body = b"".join(self._body).removeprefix(b"\xef\xbb\xbf").strip().decode("utf-8", "replace").encode()
        body = finite(body)
        stream = StreamDecoder(self._trace_id)
        events = stream.document(body)
        self.model, self.finished, self.failure = stream.model, stream.finished, stream.failure
        if not self.failure and all(isinstance(event, UsageReported) for event in events):
            self.failure = ProviderError(_UNREADABLE)
        if self.failure:
            return []
        if self._as_stream:
            self.raw.append(self._chunks(body.replace(b"\r", b" ").replace(b"\n", b" ")))  # as it was read
        else:
            self.raw.append(body[:-1] + b',"trace_id":"' + self._trace_id.encode() + b'"}')
        return events

    def _chunks(self, body: bytes) -> bytes:
        whole: dict[str, Any] = decode_repaired(body)
        usage = whole.pop("usage", None)
        whole["object"] = "chat.completion.chunk"
        frames = []
        for choice in whole.pop("choices"):
            said = choice.pop("message", None)
            message = said if isinstance(said, dict) else {}
            if given := message.get("tool_calls"):
                message["tool_calls"] = ToolCalls(self._trace_id[-16:]).pieces(given, whole=True)
            reason = choice.pop("finish_reason", None)
            frames.append({**whole, "choices": [{**choice, "delta": message, "finish_reason": None}]})
            end = {"index": choice.get("index", 0), "delta": {}, "finish_reason": reason}
            frames.append({**whole, "choices": [end], "trace_id": self._trace_id})
        if usage is not None and self._keep_usage:
            frames.append({**whole, "choices": [], "usage": usage})
        return b"".join(b"data: " + _encode(frame) + b"\n\n" for frame in frames)


class FoldingDecoder(StreamDecoder):
    """Decodes an event stream for a caller that wants one document: once it is closed, `raw` is that."""

    def __init__(self, trace_id: str, *, max_frame_bytes: int) -> None:
        super().__init__(trace_id, max_frame_bytes=max_frame_bytes)
        self._trace_id = trace_id
        self._said: list[Part] = []
        self._others: dict[int, list[Part]] = {}
        self._reasons: dict[int, str] = {}
        self._usage: Usage | None = None

    def feed(self, data: bytes) -> list[Delta]:
        return self._fold(super().feed(data))

    def close(self) -> list[Delta]:
        events = self._fold(super().close())
        if self.finished or self.done:
            self.raw.append(self._document())
        return events

    def _fold(self, events: list[Delta]) -> list[Delta]:
        for event in events:
            match event:
                case TextDelta(text=text):
                    self._said.append(("text", msgspec.json.decode(b'"' + text + b'"')))
                case ReasoningDelta(text=text, kind=kind):
                    self._said.append((kind, msgspec.json.decode(b'"' + text + b'"')))
                case ToolCallDelta(call=raw):
                    self._said.append(("tool_call", msgspec.json.decode(raw)))
                case OtherDelta(fields=raw):
                    self._said.append(("other", msgspec.json.decode(raw)))
                case ChoiceDelta(index=index, kind=kind, value=value):
                    self._others.setdefault(index, []).append((kind, value))
                case Finished(index=index, reason=reason):
                    self._reasons[index] = reason
                case _:
                    self._usage = event.usage
        return events

    def _document(self) -> bytes:
        head: dict[str, Any] = decode_repaired(self.first) if self.first else {}
        for name in ("choices", "usage", "object"):
            head.pop(name, None)
        indexes = [0, *sorted(self._others)]
        choices = [
            {"index": index, "message": message, "finish_reason": self._reasons.get(index, "stop")}
            for index, message in zip(indexes, assistant_messages(self._said, self._others), strict=True)
        ]
        usage = {"usage": self._usage} if self._usage else {}
        return _encode({**head, "object": "chat.completion", "choices": choices, **usage, "trace_id": self._trace_id})
