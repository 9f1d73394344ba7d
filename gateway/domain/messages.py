"""A chat request as all wires decode it, and the provider's token counts. Decoding itself is in gateway/wire."""

from __future__ import annotations

from typing import Literal

import msgspec

LARGE = 16_384  # bytes of a request beyond which its memory is counted, and given back as early as can be

Role = Literal["system", "developer", "user", "assistant", "tool", "function"]


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """The numbers of tokens, as the provider counts them. The details are parts of the first two numbers, by name."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: dict[str, int] = {}  # such as cached_tokens, which cost less
    completion_tokens_details: dict[str, int] = {}  # such as reasoning_tokens, which nobody sees


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One chat request, decoded and validated. `fields` is the body for the provider; its values are still raw JSON."""

    route: str  # /chat, /chat/stream, /chat/ws, /v1/chat/completions
    model: str | None  # the requested one; None: the default
    fields: dict[str, msgspec.Raw]  # without model, stream and stream_options; "messages" is in it
    preview: str  # the beginning of the last user message, as text
    stream: bool = True  # whether the provider is asked to stream
    raw: bool = False  # the caller gets the provider's bytes unchanged; /v1 only
    stream_options: msgspec.Raw | None = None  # the caller's; /v1 only
    include_usage: bool = False  # the caller asked for the extra usage chunk; /v1 only
    thoughts: bool = False  # the messages have what a model thought, which the gateway put there
    continues: bool = False  # `message` with a `session_id`: the stored turns are put before it
    session_id: str | None = None
    user_id: str | None = None
    client_request_id: str | None = None
    size: int = 0  # bytes of the body that it came in
    body_digest: bytes = b""  # of a native body with a client_request_id: it is known again by it
    tags: dict[str, str] = {}
    metadata: dict[str, str] = {}
    traceparent: str | None = None
