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
    delta: dict[str, Any] | None = None
    message: dict[str, Any] | None = None
    finish_reason: str | None = None
    error: Any = None


class UsageField(msgspec.Struct):
    """Tokens, where the server counts them."""

    prompt_tokens: Any = None
    completion_tokens: Any = None
    total_tokens: Any = None
    prompt_tokens_details: Any = None
    completion_tokens_details: Any = None
    prompt_cache_hit_tokens: Any = None  # DeepSeek's name of what OpenAI has among the details
    cache_read_input_tokens: Any = None  # Anthropic's
    cached_tokens: Any = None  # Moonshot's
    reasoning_tokens: Any = None  # Perplexity's


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
_MOST_DETAILS, _LONGEST_NAME = 20, 50
decode_chunk = msgspec.json.Decoder(Chunk).decode
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_INSIDE = {"choices": Choice, "usage": UsageField}
_SPARE = ("model", "usage", "finish_reason")  # fields that an answer can do without


def decode_leniently(payload: bytes) -> Chunk:
    """Return a chunk although fields have another type than they should: `[]` for `{}`, `""` for none, `"0"` for 0.

    Raises msgspec.DecodeError for what is no JSON object, and where something was said that can't be read.
    """
    try:
        return decode_chunk(payload)
    except msgspec.ValidationError:
        chunk: Chunk = _struct(Chunk, payload)
        return chunk


def _struct(kind: Any, payload: bytes) -> Any:
    given = _decode_fields(payload)
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        name = field.name
        if name not in given:
            continue
        raw, inside = bytes(given[name]), _INSIDE.get(name)
        try:
            if inside is None:
                values[name] = msgspec.json.decode(raw, type=field.type, strict=False)
            elif inside is Choice:
                values[name] = [_struct(Choice, bytes(item)) for item in _decode_items(raw)]
            else:
                values[name] = _struct(inside, raw)
        except msgspec.ValidationError:
            if name not in _SPARE and msgspec.json.decode(raw):
                raise
    return kind(**values)


def said_by(choice: Choice) -> dict[str, Any]:
    """Return a choice's delta, or its message; nothing where it has neither."""
    return (choice.message if choice.delta is None else choice.delta) or {}


def has_content(choice: Choice) -> bool:
    """Return True for a choice with content: some servers send the usage, after the end, with one that has none."""
    return bool(choice.finish_reason or parts_of(said_by(choice)))


def usage_of(usage: UsageField) -> Usage:
    """Return the usage as the gateway keeps it."""
    prompt, completion = _count(usage.prompt_tokens), _count(usage.completion_tokens)
    cached = usage.prompt_cache_hit_tokens or usage.cache_read_input_tokens or usage.cached_tokens
    return Usage(
        prompt,
        completion,
        _count(usage.total_tokens) or prompt + completion,
        _details(usage.prompt_tokens_details, "cached_tokens", cached),
        _details(usage.completion_tokens_details, "reasoning_tokens", usage.reasoning_tokens),
    )


def _details(given: Any, name: str, otherwise: Any) -> dict[str, int]:
    """Return the counts among the details, with one that the server may have beside them under another name."""
    counts = {key: _count(value) for key, value in given.items()} if isinstance(given, dict) else {}
    found = {key: count for key, count in list(counts.items())[:_MOST_DETAILS] if count and len(key) <= _LONGEST_NAME}
    return {name: count, **found} if (count := _count(otherwise)) else found


def _count(value: Any) -> int:
    """Return a number of tokens; what can't be one counts as none given."""
    return int(value) if type(value) in (int, float) and 0 <= value < 2**53 else 0
