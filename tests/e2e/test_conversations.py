"""A chat that continues a conversation: the stored turns come before its message."""

from __future__ import annotations

import json

import pytest

from gateway.domain.trace import Outcome, State, Trace
from gateway.errors import InvalidValue, NotFound
from tests.test_chat import Spine, a_trace, asked, keep


async def test_a_conversation_goes_on() -> None:
    """The stored turns come before the message."""
    spine = Spine()
    keep(spine.store, a_trace())
    await spine.whole(session_id="s", message="Next")
    assert asked(spine) == [
        {"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}, {"role": "user", "content": "Next"},
    ]  # fmt: skip


async def test_a_turn_without_an_answer_is_left_out() -> None:
    """Providers refuse two questions in a row; a turn that still runs is not there yet."""
    spine = Spine()
    failed = a_trace(response='[{"role":"assistant","content":""}]', state=State.ERROR, outcome=Outcome.TIMEOUT)
    keep(spine.store, failed, a_trace(outcome=None))
    await spine.whole(session_id="s", message="Next")
    assert asked(spine) == [{"role": "user", "content": "Next"}]


def turn(*said: str, answer: str) -> Trace:
    """A stored turn: what was said in turns, the user first, and the answer."""
    roles = ("user", "assistant")
    request = [{"role": roles[number % 2], "content": text} for number, text in enumerate(said)]
    return a_trace(request=json.dumps(request), response=json.dumps([{"role": "assistant", "content": answer}]))


@pytest.mark.parametrize(
    ("ended", "said"), [(2, "1 a 2 b"), (3, "1 a 2 b 2! c"), (4, "1 a 2 b 2! c"), (5, "1 a 2 b 2! c 3 d")]
)
async def test_a_conversation_is_all_its_turns(ended: int, said: str) -> None:
    """Those asked side by side too, each once; a failed one amid them is left out."""
    spine = Spine()
    turns = [
        turn("1", answer="a"),
        turn("1", "a", "2", answer="b"),
        turn("1", "a", "2!", answer="c"),
        turn("1", "a", "2", "b", "2!", "c", "lost", answer=""),
        turn("1", "a", "2", "b", "2!", "c", "3", answer="d"),
    ]
    keep(spine.store, *turns[:ended])
    await spine.whole(session_id="s", message="next")
    assert [message["content"] for message in asked(spine)] == [*said.split(), "next"]
    assert {message["role"] for message in asked(spine)[::2]} == {"user"}


async def test_an_unknown_or_unended_conversation_starts_anew() -> None:
    """With the message alone."""
    spine = Spine()
    keep(spine.store, a_trace(outcome=None, session_id="running"))
    for session in ("new", "running"):
        await spine.whole(session_id=session)
        assert asked(spine) == [{"role": "user", "content": "Hi"}]


async def test_somebody_elses_conversation_is_not_there() -> None:
    """Neither to continue nor to read; one without a user is the project's."""
    spine = Spine()
    trace = a_trace()
    keep(spine.store, trace, user="ann")
    with pytest.raises(NotFound):
        await spine.start(session_id="s", user_id="bob")
    await spine.start(session_id="s", user_id="ann")
    for user, session in (("bob", "s"), ("ann", "unknown")):
        with pytest.raises(NotFound):
            await spine.chat.conversation("default", user, session, lambda size: None)
    assert await spine.chat.conversation("default", "ann", "s", lambda size: None) == [trace]
    for run in list(spine.harness.runs.running.values()):
        await run.wait()


async def test_a_conversation_whose_content_is_not_stored() -> None:
    """422: it can't be continued."""
    spine = Spine()
    keep(spine.store, a_trace(request=None))
    with pytest.raises(InvalidValue) as caught:
        await spine.start(session_id="s")
    assert caught.value.code == "content_not_stored"
