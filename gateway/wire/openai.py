"""OpenAI's wire as the gateway serves it: `POST /v1/chat/completions` and its errors.

Format: OpenAI API reference, "Chat completions". The provider's own frames pass through (see upstream.py); here is
what goes around them. Sans-I/O; called by web/.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from gateway.domain.answer import Part, assistant_messages
from gateway.domain.events import Done, Failed, Terminal
from gateway.domain.messages import ChatRequest
from gateway.errors import GatewayError, InvalidValue, Words
from gateway.wire.chat_body import Id, Tags, check_messages, convert, decode_fields, header_options, traceparent
from gateway.wire.encoder import Encoder, Headers

DONE = b"data: [DONE]\n\n"

_encode = msgspec.json.encode
_MODEL, _STREAM = msgspec.json.Decoder(Id | None), msgspec.json.Decoder(bool | None)
_HEADERS = {
    b"x-session-id": "session_id",
    b"x-user-id": "user_id",
    b"x-client-request-id": "client_request_id",
}


def decode_chat(body: bytes, route: str, headers: Headers = ()) -> ChatRequest:
    """Return the request that a chat completion body makes, checked only as far as the gateway needs.

    Raises BadRequest or InvalidValue.
    """
    fields = decode_fields(body)
    options = header_options(headers, _HEADERS)
    model = convert(bytes(fields.pop("model", b"null")), _MODEL, "model")
    stream = convert(bytes(fields.pop("stream", b"null")), _STREAM, "stream") or False
    stream_options = fields.pop("stream_options", None)
    if "messages" not in fields:
        raise InvalidValue("messages: is required", details=[("messages", "is required")])
    preview = check_messages(fields["messages"])
    asked, user, metadata = (
        convert(bytes(value), Any, name) if value else None
        for name, value in (
            ("stream_options", stream_options),
            ("user", fields.get("user")),
            ("metadata", fields.get("metadata")),
        )
    )
    tags = {name[4:]: value for name, value in options.items() if name.startswith("tag:")}
    if "user_id" not in options and isinstance(user, str) and 1 <= len(user) <= 250:
        options["user_id"] = user
    return ChatRequest(
        route=route,
        model=model,
        fields=fields,
        preview=preview,
        stream=stream,
        raw=True,
        size=len(body),
        stream_options=stream_options and stream_options.copy(),  # else it would keep the whole body
        include_usage=isinstance(asked, dict) and asked.get("include_usage") is True,
        session_id=options.get("session_id"),
        user_id=options.get("user_id"),
        client_request_id=options.get("client_request_id"),
        traceparent=traceparent(headers),
        tags=convert(_encode(tags), Tags, "X-Tag") if tags else {},
        metadata={k: v for k, v in metadata.items() if isinstance(v, str)} if isinstance(metadata, dict) else {},
    )


class ChunkStream(Encoder):
    """The provider's own frames, and what follows its last one. The head waits for the first frame.

    `created` is in seconds. `return_trace_id` adds a frame with the trace ID before `[DONE]`.
    """

    heartbeat = b": heartbeat\n"

    def __init__(self, model: str, created: int, *, return_trace_id: bool = False) -> None:
        self._model, self._created, self._return_trace_id = model, created, return_trace_id

    def encode(self, events: Iterable[tuple[int, bytes | Terminal]]) -> list[bytes]:
        """See Encoder."""
        return [event if isinstance(event, bytes) else self._end(event) for _, event in events]

    def text(self, text: bytes, position: int) -> bytes:
        """See Encoder."""
        return text

    def _end(self, end: Terminal) -> bytes:
        if isinstance(end, Failed):  # the stream then closes without [DONE]
            return b"data: " + _encode(_shape(end.error, end.status, end.code, None, end.said)) + b"\n\n"
        out = b""
        if end.finish_reason == "stopped":  # the provider gave no finish chunk, so here is one
            chunk = _head(end.trace_id, "chat.completion.chunk", self._model, self._created)
            chunk["choices"] = [{"index": 0, "delta": {}, "finish_reason": "stop"}]
            out = b"data: " + _encode({**chunk, "trace_id": end.trace_id}) + b"\n\n"
        if self._return_trace_id:
            out += b"data: " + _encode({"trace_id": end.trace_id}) + b"\n\n"
        return out + DONE


def stopped_completion(done: Done, parts: list[Part], model: str, created: int) -> bytes:
    """Return what there is of a plain answer that was stopped before the provider gave one."""
    choice = {"index": 0, "message": assistant_messages(parts, {})[0], "finish_reason": "stop"}
    whole = {**_head(done.trace_id, "chat.completion", model, created), "choices": [choice], "usage": done.usage}
    return _encode({**whole, "trace_id": done.trace_id})


def error_body(error: GatewayError) -> dict[str, Any]:
    """Return an error in OpenAI's shape."""
    param = error.details[0][0] if error.details else None
    return _shape(error.message, error_status(error), error.code, param, error.said)


def error_status(error: GatewayError) -> int:
    """Return 400 where the native wire says 422, as OpenAI does. What the provider refused keeps its status."""
    return 400 if isinstance(error, InvalidValue) else error.status


def _head(trace_id: str, kind: str, model: str, created: int) -> dict[str, Any]:
    return {"id": "chatcmpl-" + trace_id.removeprefix("tr-"), "object": kind, "created": created, "model": model}


def _shape(message: str, status: int, code: str, param: str | None, said: Words | None = None) -> dict[str, Any]:
    kind = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}.get(
        status, "server_error" if status >= 500 else "invalid_request_error"
    )
    their_code, their_kind, their_param = said or (None, None, None)
    return {
        "error": {
            "message": message,
            "type": their_kind or kind,
            "code": their_code or code,
            "param": their_param or param,
        }
    }
