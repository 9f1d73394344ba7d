"""Takes one delta apart: what of it is text, reasoning, tool calls, and anything else, in whatever shape it comes.

Format: OpenAI API reference, "Chat completion chunk object", with the fields of other servers: reasoning has many names
and shapes, a content may be a list of parts. Any field that isn't empty is output, but for those that label the delta,
and bare numbers. It does no I/O. Called by upstream.py for frames that are more than plain text.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.domain.answer import Part, reasoning_kind
from gateway.domain.events import ChoiceDelta, Delta, OtherDelta, ReasoningDelta, TextDelta, ToolCallDelta
from gateway.wire.repair import join_surrogates

_encode = msgspec.json.encode
_LABELS = frozenset(("role", "name", "id", "index", "type", "object", "token_ids", "logprobs"))  # of a delta
_SHAPES = frozenset(("type", "index", "format"))  # of what is in it
_REASONING = ("reasoning_content", "reasoning", "thinking", "reasoning_text")  # texts, or what holds some
_NUMBERS = (int, float, bool)
_KINDS = {name: reasoning_kind(name) for name in _REASONING}
_DETAILS = ("reasoning_details", "thinking_blocks")  # lists of blocks, which often come beside the text
_WORDS = ("text", "thinking", "content", "summary", "reasoning")  # where a block has its text


def parts_of(delta: dict[str, Any]) -> list[Part]:
    """Return what a delta, or a message, says, reasoning first. The value of `tool_call` is the whole `tool_calls`."""
    thoughts: list[Part] = []
    said: list[Part] = []
    spoken = shaped = False  # whether there is a text of reasoning, and whether there is any of another shape
    thought = "extra_content" in delta and _is_thought(delta)
    for name, value in delta.items():
        if not value or name in _LABELS:
            continue
        if name == "content":
            if type(value) is str and not thought:
                said.append(("text", value))
            else:
                said += _content(value, thought=thought)
        elif name in _REASONING and type(value) is str:
            if not spoken:  # some send the same text twice, by two names
                spoken = True
                thoughts.append((_KINDS[name], value))
        elif name == "tool_calls":
            said.append(("tool_call", value))
        elif name == "extra_content" and thought:
            said += [("other", {name: rest})] if says(rest := _without_mark(value)) else []
        elif type(value) not in _NUMBERS and says(value):  # Together counts tokens in each delta
            shapes = name in _REASONING or name in _DETAILS
            shaped = shaped or shapes
            (thoughts if shapes else said).append(("other", {name: value}))
    if shaped and not spoken:
        text = next((text for _, fields in thoughts if (text := words(list(fields.values())))), "")
        thoughts += [(reasoning_kind(""), text)] if text else []
    return thoughts + said if thoughts else said


def event_of(index: int, kind: str, value: Any, *, repaired: bool) -> Delta:
    """Return a part of a choice as its event. `repaired`: its JSON may still have surrogates to be joined."""
    if index:
        return ChoiceDelta(index, kind, value)
    raw = _encode(value)
    if kind == "text":
        return TextDelta(raw[1:-1], len(value))
    if kind != "tool_call" and kind != "other":
        return ReasoningDelta(raw[1:-1], len(value), 1, kind)
    if repaired:
        raw = join_surrogates(raw.decode()).encode()
    return ToolCallDelta(msgspec.Raw(raw)) if kind == "tool_call" else OtherDelta(msgspec.Raw(raw))


def says(value: Any) -> bool:
    """Return whether a value holds anything: null, nothing and what holds only those doesn't."""
    if isinstance(value, dict):
        return any(says(each) for name, each in value.items() if name not in _SHAPES)
    return any(map(says, value)) if isinstance(value, list) else bool(value)


def words(value: Any) -> str:
    """Return the text of reasoning: itself, or that of a block, or of several."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(map(words, value))
    if isinstance(value, dict):
        return next((text for name in _WORDS if (text := words(value.get(name)))), "")
    return ""


def _content(value: Any, *, thought: bool) -> list[Part]:
    if isinstance(value, str):
        return [(reasoning_kind("") if thought else "text", value)]
    found: list[Part] = []
    for part in value if isinstance(value, list) else [value]:
        if isinstance(part, str):
            found.append(("text", part))
        elif isinstance(part, dict) and says(part):
            found += _content_part(part)
    return found


def _content_part(part: dict[str, Any]) -> list[Part]:
    kind, text = part.get("type"), part.get("text")
    if kind in ("thinking", "reasoning", "redacted_thinking"):
        reasoning = words(part)
        return [("other", {"content": [part]}), *([(reasoning_kind(""), reasoning)] if reasoning else [])]
    if kind == "refusal":
        return [("other", {"refusal": words(part.get("refusal"))})]
    if isinstance(text, str):
        return [("text", text)] if text else []
    return [("other", {"content": [part]})]


def _is_thought(delta: dict[str, Any]) -> bool:
    """Return whether the content is marked as a thought, as Gemini's OpenAI endpoint does."""
    extra = delta["extra_content"]
    google = extra.get("google") if isinstance(extra, dict) else None
    return isinstance(google, dict) and google.get("thought") is True


def _without_mark(extra: dict[str, Any]) -> dict[str, Any]:
    google = {name: value for name, value in extra["google"].items() if name != "thought"}
    return {**extra, "google": google}
