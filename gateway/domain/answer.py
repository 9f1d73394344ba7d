"""An answer as it is kept: its parts in the order they came, and the same as OpenAI assistant messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

Part = tuple[Literal["text", "reasoning", "tool_call"], Any]  # the text, or one element of `delta.tool_calls`


def answer_text(parts: Iterable[Part]) -> str:
    """What the user read: the text of choice 0."""
    return "".join(value for kind, value in parts if kind == "text")


def assistant_messages(parts: Sequence[Part], others: Mapping[int, str]) -> list[dict[str, Any]]:
    """One message a choice; `others` holds the text of the choices after the first."""
    message: dict[str, Any] = {"role": "assistant", "content": answer_text(parts)}
    if reasoning := "".join(value for kind, value in parts if kind == "reasoning"):
        message["reasoning_content"] = reasoning
    if calls := merge_tool_calls(value for kind, value in parts if kind == "tool_call"):
        message["tool_calls"] = calls
        message["content"] = message["content"] or None
    return [message, *({"role": "assistant", "content": others[index]} for index in sorted(others))]


def merge_tool_calls(deltas: Iterable[Any]) -> list[dict[str, Any]]:
    """Whole tool calls from the pieces that `delta.tool_calls` brings; pieces of one call share an `index`."""
    calls: dict[Any, dict[str, Any]] = {}
    for delta in deltas:
        if not isinstance(delta, dict):
            continue
        call = calls.setdefault(delta.get("index", len(calls)), {"type": "function", "function": {"arguments": ""}})
        for name, value in delta.items():
            if name == "function" and isinstance(value, dict):
                for key, piece in value.items():
                    whole = call["function"].get(key)
                    joins = isinstance(whole, str) and isinstance(piece, str)
                    call["function"][key] = whole + piece if joins else piece
            elif name != "index" and value is not None:
                call[name] = value
    return list(calls.values())
