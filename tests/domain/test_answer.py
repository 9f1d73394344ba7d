"""An answer's parts as the messages that OpenAI has for them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.answer import (
    Part,
    answer_text,
    assistant_messages,
    have_thoughts,
    history_message,
    merge_tool_calls,
    without_thoughts,
)


def test_one_message_a_choice() -> None:
    """Text and reasoning are joined, and the other choices follow in their order."""
    parts: list[Part] = [("reasoning", "hm"), ("text", "He"), ("reasoning", "m"), ("text", "llo")]
    assert assistant_messages(parts, {2: [("text", "c")], 1: [("text", "b")]}) == [
        {"role": "assistant", "content": "Hello", "reasoning_content": "hmm"},
        {"role": "assistant", "content": "b"},
        {"role": "assistant", "content": "c"},
    ]
    assert answer_text(parts) == "Hello"


def test_a_message_of_tool_calls_alone_has_no_content() -> None:
    """Content beside tool calls is null, as OpenAI has it; an empty answer has empty content."""
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}
    [message] = assistant_messages([("tool_call", call)], {})
    assert message["content"] is None
    assert assistant_messages([], {}) == [{"role": "assistant", "content": ""}]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=20), min_size=1, max_size=3), st.data())
def test_pieces_of_calls_are_joined_by_index(arguments: list[str], data: st.DataObject) -> None:
    """The pieces of several calls are joined by their index, in whatever order they come."""
    left = [(i, text) for i, text in enumerate(arguments)]
    deltas: list[dict[str, Any]] = [
        {"index": i, "id": f"c{i}", "type": "function", "function": {"name": f"f{i}", "arguments": ""}} for i, _ in left
    ]
    while left:
        which = data.draw(st.integers(0, len(left) - 1))
        index, text = left.pop(which)
        size = data.draw(st.integers(1, 5))
        deltas.append({"index": index, "function": {"arguments": text[:size]}, "id": None})
        if text[size:]:
            left.insert(which, (index, text[size:]))
    assert merge_tool_calls(deltas) == [
        {"id": f"c{i}", "type": "function", "function": {"name": f"f{i}", "arguments": text}}
        for i, text in enumerate(arguments)
    ]


def test_odd_calls_are_kept_as_far_as_they_go() -> None:
    """A piece without an index, with a bad function, or that is no object does no harm."""
    deltas: list[Any] = [{"id": "a", "function": "x"}, "junk", {"id": "b", "function": {"arguments": {"k": 1}}}]
    assert merge_tool_calls(deltas) == [
        {"type": "function", "function": "x", "id": "a"},
        {"type": "function", "function": {"arguments": {"k": 1}}, "id": "b"},
    ]
    assert json.dumps(merge_tool_calls([])) == "[]"


def test_a_refusal_and_speech_are_read_as_text() -> None:
    """They are no content, but what the user read."""
    parts: list[Part] = [("other", {"refusal": "No"}), ("other", {"refusal": "."})]
    assert assistant_messages(parts, {}) == [{"role": "assistant", "content": None, "refusal": "No."}]
    assert answer_text(parts) == "No."
    speech: list[Part] = [
        ("other", {"audio": {"transcript": "Hi"}}),
        ("other", {"audio": {"data": "AA"}}),
        ("other", {"audio": 5}),
    ]
    assert answer_text(speech) == "Hi"


THINKING = {"type": "thinking", "thinking": "hm", "signature": "S"}


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([("reasoning", "h"), ("reasoning", "m"), ("text", "a")], {"content": "a", "reasoning_content": "hm"}),
        ([("reasoning:reasoning", "hm"), ("text", "a")], {"content": "a", "reasoning": "hm"}),
        (
            [("other", {"reasoning_details": [THINKING]}), ("reasoning:", "hm"), ("text", "a")],
            {"content": "a", "reasoning_details": [THINKING]},
        ),
        (
            [
                ("other", {"content": [THINKING]}),
                ("reasoning:", "hm"),
                ("text", "a"),
                ("other", {"content": [{"type": "x"}]}),
            ],
            {"content": [THINKING, {"type": "text", "text": "a"}]},
        ),
        ([("text", "a"), ("other", {"content": [{"type": "image_url"}]})], {"content": "a"}),
        ([("other", {"audio": {"transcript": "a", "data": "AA"}}), ("other", {"annotations": [1]})], {"content": "a"}),
        ([("text", "a"), ("tool_call", {"index": 0, "id": "c"})], {"content": "a"}),
    ],
)
def test_what_the_next_turn_has_of_an_answer(parts: list[Part], message: dict[str, Any]) -> None:
    """Its text, and its thoughts in the shape in which they came; no tool calls, which want results, and no sound."""
    assert history_message(parts) == {"role": "assistant", **message}


@pytest.mark.parametrize(
    ("message", "plain"),
    [
        (
            {"role": "assistant", "content": "a", "reasoning": "x", "n": 1},
            {"role": "assistant", "content": "a", "n": 1},
        ),
        (
            {"role": "assistant", "content": [THINKING, {"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"role": "assistant", "content": "ab"},
        ),
        ({"role": "assistant", "content": [THINKING, 5]}, {"role": "assistant", "content": [5]}),
        ({"role": "assistant", "content": ["a"]}, {"role": "assistant", "content": ["a"]}),
        ({"role": "user", "content": "a", "reasoning": "x"}, {"role": "user", "content": "a", "reasoning": "x"}),
        ("odd", "odd"),
    ],
)
def test_a_message_without_thoughts(message: Any, plain: Any) -> None:
    """Only an assistant's has any."""
    assert without_thoughts(message) == plain


def test_thoughts_are_found_wherever_they_are() -> None:
    """In fields, in a content of parts, and beside a tool call."""
    call = {"id": "c", "function": {"name": "f"}}
    signed = {"role": "assistant", "content": None, "tool_calls": [{**call, "extra_content": {"google": {}}}, "odd"]}
    assert without_thoughts(signed)["tool_calls"] == [call, "odd"]
    assert have_thoughts([{"role": "user", "content": "a"}, signed])
    assert not have_thoughts([{"role": "user", "reasoning": "a"}, {"role": "assistant", "content": "a"}])
