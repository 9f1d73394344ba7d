"""The earlier turns of a conversation as the next request has them, made of what is stored."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.domain.answer import Part
from gateway.domain.trace import Trace
from gateway.errors import InvalidValue
from gateway.streaming.stored import turns_of
from tests.test_chat import a_trace

THOUGHT: list[Part] = [("reasoning", "hm"), ("text", "A1")]


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def said(text: str, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **more}


def turn(asked: list[Any], parts: list[Part], **over: Any) -> Trace:
    return a_trace(request=json.dumps(asked), parts=json.dumps(parts), **over)


def test_thoughts_come_along_for_the_model_that_had_them() -> None:
    """Its provider wants them back, another one refuses them."""
    first = turn([user("Q1")], THOUGHT)
    second = turn([user("Q1"), said("A1", reasoning_content="hm"), user("Q2")], [("text", "A2")])
    thinking = said("A1", reasoning_content="hm")
    assert turns_of([first, second], "m") == [user("Q1"), thinking, user("Q2"), said("A2")]
    assert turns_of([first, second], "another") == [user("Q1"), said("A1"), user("Q2"), said("A2")]


def test_a_conversation_that_changed_its_model() -> None:
    """Each answer's thoughts go to its own model alone, and no turn is lost or doubled by that."""
    first = turn([user("Q1")], THOUGHT)
    other = turn([user("Q1"), said("A1"), user("Q2")], [("reasoning", "well"), ("text", "A2")], model="other")
    third = turn([user("Q1"), said("A1", reasoning_content="hm"), user("Q2"), said("A2"), user("Q3")], [("text", "A3")])
    asked = [user("Q1"), user("Q2"), user("Q3")]
    for model, thoughts in (("m", ("hm", None)), ("other", (None, "well")), ("none", (None, None))):
        turns = turns_of([first, other, third], model)
        assert turns[::2] == asked
        assert [each.get("reasoning_content") for each in turns[1::2]] == [*thoughts, None]
    earlier = turn([user("Q0"), said("A0", reasoning="x"), user("Q1")], THOUGHT, model="other")
    assert turns_of([earlier], "m") == [user("Q0"), said("A0"), user("Q1"), said("A1")]


def test_turns_asked_side_by_side() -> None:
    """One that doesn't bring the others along adds its question alone."""
    assert turns_of([turn([user("Q1")], THOUGHT), turn([user("Q2")], [("text", "A2")])], "none") == [
        user("Q1"), said("A1"), user("Q2"), said("A2"),
    ]  # fmt: skip


def test_turns_that_say_nothing_are_left_out() -> None:
    """One that runs still, and one whose answer has no text; speech and a refusal are text."""
    spoken: list[Part] = [("other", {"audio": {"transcript": "Hi"}})]
    running, silent = a_trace(outcome=None), turn([user("Q1")], [("reasoning", "hm")])
    assert turns_of([running, silent, turn([user("Q2")], spoken)], "m") == [user("Q2"), said("Hi")]


@pytest.mark.parametrize("over", [{"request": None}, {"response": None}])
def test_turns_whose_content_is_not_stored(over: dict[str, Any]) -> None:
    """They can't be continued."""
    with pytest.raises(InvalidValue):
        turns_of([a_trace(**over)], "m")
