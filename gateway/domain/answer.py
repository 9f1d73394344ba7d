"""Functions over a stored answer: from its parts to its text and to OpenAI's assistant messages.

A part is a piece of what the model said, in the order in which it came. Used by the recorder, the store's scripts and
the wires.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway.domain.pieces import added, closed, text_parts

# Its kind and its value. `text`; `reasoning`, which came as `reasoning_content`, `reasoning:FIELD` for that of another
# field, or `reasoning:` for the text of what an `other` part has as a whole: texts. `tool_call`: one element of
# `delta.tool_calls`. `other`: fields of a delta that are none of these, such as `{"audio": {…}}`.
Part = tuple[str, Any]

REASONING = "reasoning_content"  # the field of reasoning that has no other
# Fields by which a model goes on with what it thought; a provider wants them back as it sent them.
THOUGHTS = frozenset(
    (REASONING, "reasoning", "thinking", "reasoning_text", "reasoning_opaque", "reasoning_details", "thinking_blocks",
     "extra_content", "provider_specific_fields")
)  # fmt: skip
_THOUGHT_PARTS = ("thinking", "redacted_thinking", "reasoning")  # types of such parts of a content


def reasoning_kind(field: str) -> str:
    """Return the kind of a part of reasoning that came in this field, "" for one that an `other` part has as well."""
    return "reasoning" if field == REASONING else f"reasoning:{field}"


def reasoning_field(kind: str) -> str:
    """Return the field of a kind of reasoning."""
    _, named, field = kind.partition(":")
    return field if named else REASONING


def answer_text(parts: Iterable[Part]) -> str:
    """Return the text of choice 0, which is what the user read: a refusal and what was spoken are text, too."""
    texts = (value if kind == "text" else text_of_other(value) for kind, value in parts if kind in ("text", "other"))
    return "".join(texts)


def text_of_other(fields: Mapping[str, Any]) -> str:
    """Return what people read of the fields of an `other` part: the words of a refusal or of speech."""
    audio = fields.get("audio")
    text = fields.get("refusal") or (audio.get("transcript") if isinstance(audio, dict) else None)
    return text if isinstance(text, str) else ""


def assistant_messages(parts: Sequence[Part], others: Mapping[int, Sequence[Part]]) -> list[dict[str, Any]]:
    """Return one message for each choice. `others` has the parts of the choices after the first, by index."""
    return [_message(parts), *(_message(others[index]) for index in sorted(others))]


def history_message(parts: Sequence[Part]) -> dict[str, Any]:
    """Return an answer as the next request has it: its text, and its thoughts as the provider sent them."""
    said = _message(parts)
    message: dict[str, Any] = {"role": "assistant", "content": answer_text(parts)}
    if isinstance(said["content"], list) and any(part.get("type") in _THOUGHT_PARTS for part in said["content"]):
        message["content"] = [part for part in said["content"] if part.get("type") in (*_THOUGHT_PARTS, "text")]
    return message | {name: value for name, value in said.items() if name in THOUGHTS}


def without_thoughts(message: Any) -> Any:
    """Return a message as it would be, had its model not thought. What isn't an assistant's stays as it is."""
    if not isinstance(message, dict) or message.get("role") != "assistant":
        return message
    plain = _plain(message)
    if isinstance(calls := plain.get("tool_calls"), list):
        plain["tool_calls"] = [_plain(call) if isinstance(call, dict) else call for call in calls]
    content = plain.get("content")
    if isinstance(content, list) and any(_is_thought(part) for part in content):
        rest = [part for part in content if not _is_thought(part)]
        texts = [text for part in rest if isinstance(text := isinstance(part, dict) and part.get("text"), str)]
        plain["content"] = "".join(texts) if len(texts) == len(rest) else rest
    return plain


def have_thoughts(messages: Iterable[Any]) -> bool:
    """Return whether any of the messages has what a model thought."""
    return any(without_thoughts(message) != message for message in messages)


def _plain(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in THOUGHTS}


def _is_thought(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") in _THOUGHT_PARTS


def _message(parts: Sequence[Part]) -> dict[str, Any]:
    content: list[Any] = []
    calls: list[Any] = []
    fields: dict[str, Any] = {}
    for kind, value in parts:
        if kind == "text":
            content.append(value)
        elif kind == "tool_call":
            calls.append(value)
        elif kind == "other":
            content += value.get("content", ())
            fields = added(fields, {name: more for name, more in value.items() if name != "content"})
        elif field := reasoning_field(kind):
            fields = added(fields, {field: value})
    fields = closed(fields)
    if calls := merge_tool_calls(calls):
        fields["tool_calls"] = calls
    whole: Any = text_parts(content) if any(isinstance(part, dict) for part in content) else "".join(content)
    if not whole and any(name not in THOUGHTS for name in fields):
        whole = None
    return {"role": "assistant", "content": whole, **fields}


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
