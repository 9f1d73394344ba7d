"""Functions over a stored answer: from its parts to its text and to OpenAI's assistant messages.

A part is a piece of text, of reasoning, or of a tool call, in the order in which they came. Used by the recorder, the
store's scripts and the wires.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

Part = tuple[Literal["text", "reasoning", "tool_call"], Any]  # its kind; its text, or one element of `delta.tool_calls`


def answer_text(parts: Iterable[Part]) -> str:
    """Return the text of choice 0, which is what the user read."""
    return "".join(value for kind, value in parts if kind == "text")


def assistant_messages(parts: Sequence[Part], others: Mapping[int, str]) -> list[dict[str, Any]]:
    """Return one message for each choice. `others` has the texts of the choices after the first, by index."""
    message: dict[str, Any] = {"role": "assistant", "content": answer_text(parts)}
    if reasoning := "".join(value for kind, value in parts if kind == "reasoning"):
        message["reasoning_content"] = reasoning
    if calls := merge_tool_calls(value for kind, value in parts if kind == "tool_call"):
        message["tool_calls"] = calls
        message["content"] = message["content"] or None
    return [message, *({"role": "assistant", "content": others[index]} for index in sorted(others))]


def merge_tool_calls(deltas: Iterable[Any]) -> list[dict[str, Any]]:
    """Return whole tool calls from the elements of `delta.tool_calls`, as wire/tool_calls.py makes them.

    Pieces of one call have the same `index`. Names and arguments are joined; of anything else the last one stays.
    """
    calls: dict[Any, dict[str, Any]] = {}
    for delta in deltas:
        if not isinstance(delta, dict):
            continue
        call = calls.setdefault(delta.get("index", len(calls)), {"type": "function", "function": {"arguments": ""}})
        for name, value in delta.items():
            if name in ("function", "custom") and isinstance(value, dict):
                body = call.setdefault(name, {})
                for key, piece in value.items():
                    whole = body.get(key)
                    joins = isinstance(whole, str) and isinstance(piece, str)
                    body[key] = whole + piece if joins else piece
            elif name != "index" and value is not None:
                call[name] = value
    for call in calls.values():
        if "custom" in call:
            del call["function"]
    return list(calls.values())
