"""The shape of a chat completion chunk, read leniently: every field may be missing or of another type than OpenAI's.

Format: OpenAI API reference, "Chat completion chunk object". Used by upstream.py only.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.domain.messages import Usage


class Message(msgspec.Struct):
    """A delta or a message; servers name reasoning in two ways."""

    content: Any = None
    refusal: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    tool_calls: Any = None


class Choice(msgspec.Struct):
    """One choice; whole completions have `message` for `delta`."""

    index: int | None = 0
    delta: Message | None = None
    message: Message | None = None
    finish_reason: str | None = None


class UsageField(msgspec.Struct):
    """Tokens, where the server counts them."""

    prompt_tokens: Any = None
    completion_tokens: Any = None
    total_tokens: Any = None


class Chunk(msgspec.Struct):
    """A chunk, a completion, or an error within a stream."""

    choices: list[Choice] | None = None
    usage: UsageField | None = None
    model: str | None = None
    error: Any = None


decode_chunk = msgspec.json.Decoder(Chunk).decode


def content_text(value: Any) -> str:
    """Return the text of a `content`, which some servers send as a list of parts."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(content_text(part.get("text")) for part in value if isinstance(part, dict))
    return ""


def has_content(choice: Choice) -> bool:
    """Return True for a choice with content: some servers send the usage, after the end, with one that has none."""
    said = choice.delta or choice.message
    return bool(choice.finish_reason or (said and any(getattr(said, name) for name in said.__struct_fields__)))


def usage_of(usage: UsageField) -> Usage:
    """Return the usage as the gateway keeps it."""
    prompt, completion = _count(usage.prompt_tokens), _count(usage.completion_tokens)
    return Usage(prompt, completion, _count(usage.total_tokens) or prompt + completion)


def _count(value: Any) -> int:
    """Return a number of tokens; what can't be one counts as none given."""
    return value if type(value) is int and 0 <= value < 2**53 else 0
