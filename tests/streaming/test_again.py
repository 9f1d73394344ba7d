"""Whether a request asks once more for an answer that was given before."""

from __future__ import annotations

import json

import msgspec
import pytest

from gateway.domain.messages import ChatRequest
from gateway.domain.trace import State, Trace
from gateway.errors import Conflict
from gateway.streaming.again import check_same
from tests.support.rows import a_start

TURNS = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]
QUESTION = {"role": "user", "content": "and?"}


def a_trace(*messages: object) -> Trace:
    start = a_start(session_id="s", user_id="ann", model="m", request=json.dumps(messages))
    return Trace(**msgspec.structs.asdict(start), state=State.OK, outcome=None, end_time=None, duration_ms=None)


def a_request(**fields: object) -> ChatRequest:
    given = {"route": "/chat/stream", "model": None, "preview": "", "user_id": "ann", "body_digest": b"d"} | fields
    messages = msgspec.Raw(msgspec.json.encode([QUESTION]))
    return ChatRequest(fields={"messages": messages}, **given)  # type: ignore[arg-type]


def test_the_digest_tells_bodies_apart() -> None:
    """Where it is known nothing else is looked at."""
    check_same(a_trace(), a_request(model="other"), b"d")
    with pytest.raises(Conflict, match="another body"):
        check_same(a_trace(QUESTION), a_request(), b"e")


def test_another_users_is_none_of_the_callers() -> None:
    """Whatever the body is."""
    with pytest.raises(Conflict, match="another user"):
        check_same(a_trace(QUESTION), a_request(user_id=None), b"d")


def test_the_store_tells_bodies_apart() -> None:
    """By messages, model and session, as far as the body names them. Stored turns before the question are no part."""
    check_same(a_trace(QUESTION), a_request(), None)
    check_same(a_trace(QUESTION), a_request(model="m", session_id="s"), None)
    check_same(a_trace(*TURNS, QUESTION), a_request(continues=True, session_id="s"), None)
    for trace, request in (
        (a_trace(*TURNS, QUESTION), a_request()),
        (a_trace(), a_request(continues=True)),
        (a_trace(QUESTION), a_request(model="n")),
        (a_trace(QUESTION), a_request(session_id="t")),
    ):
        with pytest.raises(Conflict, match="another body"):
            check_same(trace, request, None)
