"""The shape of a chat completion chunk, read leniently: every field may be missing or of another type than OpenAI's.

Format: OpenAI API reference, "Chat completion chunk object". Used by upstream.py only.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.domain.messages import Usage
from gateway.wire.deltas import parts_of


class Choice(msgspec.Struct):
    """One choice; whole completions have `message` for `delta`."""

    index: int | None = 0
    delta: Any = None
    message: Any = None
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
    citations: Any = None  # these three are Perplexity's, the same in each chunk
    search_results: Any = None
    related_questions: Any = None


SOURCES = ("citations", "search_results", "related_questions")
decode_chunk = msgspec.json.Decoder(Chunk).decode


def said_by(choice: Choice) -> dict[str, Any]:
    """Return a choice's delta, or its message; nothing where that is no object."""
    said = choice.message if choice.delta is None else choice.delta
    return said if isinstance(said, dict) else {}


def has_content(choice: Choice) -> bool:
    """Return True for a choice with content: some servers send the usage, after the end, with one that has none."""
    return bool(choice.finish_reason or parts_of(said_by(choice)))


def usage_of(usage: UsageField) -> Usage:
    """Return the usage as the gateway keeps it."""
    prompt, completion = _count(usage.prompt_tokens), _count(usage.completion_tokens)
    return Usage(prompt, completion, _count(usage.total_tokens) or prompt + completion)


def _count(value: Any) -> int:
    """Return a number of tokens; what can't be one counts as none given."""
    return value if type(value) is int and 0 <= value < 2**53 else 0
