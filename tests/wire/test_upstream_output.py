"""The decoder of a provider's stream: what isn't plain text is output, too, of every choice."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.domain.events import ChoiceDelta, UsageReported
from gateway.domain.messages import Usage
from tests.support.provider_streams import decoder, delta, read
from tests.wire.test_upstream import sse


def test_any_field_of_a_delta_is_output() -> None:
    """Of every choice, one event a field; and what only labels the delta is none."""
    events, _ = read(
        decoder(),
        [
            sse(
                delta(role="assistant", content=""),
                delta(audio={"data": "AA"}, images=[{"x": 1}]),
                delta(1, audio={"data": "BB"}, tool_calls=[{"function": {"name": "f"}}]),
                {"choices": [{"delta": []}]},
            )
        ],
    )
    assert events[:3] == [
        ("other", {"audio": {"data": "AA"}}),
        ("other", {"images": [{"x": 1}]}),
        ChoiceDelta(1, "other", {"audio": {"data": "BB"}}),
    ]
    assert [(event.index, event.kind, event.value["function"]["name"]) for event in events[3:]] == [
        (1, "tool_call", "f")
    ]


def test_sources_that_are_sent_with_each_chunk() -> None:
    """They are told when they change, and text beside the same ones goes by the template."""
    stream = decoder()
    frames = [
        {**delta(content=text), "citations": urls} for text, urls in (("a", ["u"]), ("b", ["u"]), ("c", ["u", "v"]))
    ]
    events, _ = read(stream, [sse(*frames)])
    assert events == [
        ("other", {"citations": ["u"]}),
        ("TextDelta", "ab", 2),
        ("other", {"citations": ["u", "v"]}),
        ("TextDelta", "c", 1),
    ]
    assert stream._prefix


def test_halves_of_characters_in_a_refusal_and_elsewhere() -> None:
    """A refusal's find each other; a half that stays alone in another field is a replacement character."""
    events, _ = read(decoder(), [sse(delta(refusal="a\ud83d"), delta(refusal="\ude00"), delta(note={"x": "\ud83d"}))])
    assert events == [("other", {"refusal": "a"}), ("other", {"refusal": "😀"}), ("other", {"note": {"x": "\ufffd"}})]
    alone, _ = read(decoder(), [sse(delta(refusal="\ud83d"), delta(refusal="\ude00"))])
    assert alone == [("other", {"refusal": "😀"})]


def test_halves_of_characters_in_a_custom_tools_input() -> None:
    """As in a function's arguments."""
    calls = [
        {"index": 0, "id": "c", "custom": {"name": "f", "input": "\ud83d"}},
        {"index": 0, "custom": {"input": "\ude00"}},
    ]
    events, _ = read(decoder(), [sse(*(delta(tool_calls=[each]) for each in calls))])
    assert [call["custom"]["input"] for _, call in events] == ["", "😀"]


@pytest.mark.parametrize(
    ("usage", "cached", "reasoning"),
    [
        ({"prompt_tokens_details": {"cached_tokens": 5}}, {"cached_tokens": 5}, {}),
        ({"completion_tokens_details": {"reasoning_tokens": 4, "x": 0}}, {}, {"reasoning_tokens": 4}),
        ({"prompt_cache_hit_tokens": 5}, {"cached_tokens": 5}, {}),
        ({"cache_read_input_tokens": 5, "prompt_tokens_details": {"cached_tokens": 6}}, {"cached_tokens": 6}, {}),
        ({"cached_tokens": 5, "reasoning_tokens": 4}, {"cached_tokens": 5}, {"reasoning_tokens": 4}),
        ({"prompt_tokens_details": {"cached_tokens": -1, "x" * 60: 1}, "reasoning_tokens": "4"}, {}, {}),
        ({"prompt_tokens_details": 5, "completion_tokens_details": None}, {}, {}),
    ],
)
def test_the_details_of_the_usage(usage: Any, cached: dict[str, int], reasoning: dict[str, int]) -> None:
    """Cached and reasoning tokens, which decide the cost, by whichever name; what can't be a count is none."""
    events, _ = read(decoder(), [sse({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, **usage}})])
    assert events == [UsageReported(Usage(1, 2, 3, cached, reasoning))]


def test_a_thought_is_told_from_text_in_each_frame() -> None:
    """Gemini marks its content so: such a frame makes no template, by which the next one would be text."""
    stream = decoder()
    marked: Any = {"extra_content": {"google": {"thought": True}}}
    events, _ = read(stream, [sse(*(delta(content=text, **marked) for text in "ab"), delta(content="c"))])
    assert events == [("ReasoningDelta", "ab", 2), ("TextDelta", "c", 1)]
