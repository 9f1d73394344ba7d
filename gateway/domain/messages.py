"""What a caller asks for, whichever wire it came by."""

from __future__ import annotations

from typing import Literal

import msgspec

Role = Literal["system", "developer", "user", "assistant", "tool", "function"]


class Usage(msgspec.Struct, frozen=True):
    """Tokens, as the provider counts them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One chat, decoded and checked. `fields` is the provider's body, value by value still as raw JSON."""

    route: str  # /chat, /chat/stream, /chat/ws, /v1/chat/completions
    model: str | None  # as asked; None: the default
    fields: dict[str, msgspec.Raw]  # without model, stream and stream_options; "messages" is in it
    preview: str  # how the last user message begins, as text
    stream: bool = True  # whether the provider is asked to stream
    raw: bool = False  # the caller gets the provider's own bytes, /v1 only
    stream_options: msgspec.Raw | None = None  # the caller's own, /v1 only
    include_usage: bool = False  # the caller asked for the extra usage chunk, /v1 only
    continues: bool = False  # `message` with a `session_id`: the stored turns come first
    session_id: str | None = None
    user_id: str | None = None
    client_request_id: str | None = None
    tags: dict[str, str] = {}
    metadata: dict[str, str] = {}
    traceparent: str | None = None
