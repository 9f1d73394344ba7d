"""Traces and sessions: begin, finish, read back."""

from __future__ import annotations

import asyncio

import pytest

from gateway.domain.ids import now_ms
from gateway.domain.messages import Usage
from gateway.domain.trace import Checkpoint, Outcome, State
from gateway.errors import Conflict, InvalidValue, NotFound, Unavailable
from gateway.storage.engine import Engine
from gateway.storage.scripts import traces as sql
from gateway.storage.scripts.keys import add_key
from gateway.storage.scripts.traces import (
    Session,
    begin_trace,
    checkpoint,
    finish_trace,
    get_session,
    get_spans,
    get_trace,
    last_asked,
    resolve_trace,
    session_traces,
)
from tests.support.rows import PROJECT, a_key, a_span, a_start, an_end, ask


async def test_a_begun_trace_is_running(engine: Engine) -> None:
    """The row is there before the answer, without an end."""
    start = a_start(
        tags={"a": "ü"}, metadata={"m": "1"}, user_id="ann", traceparent="00-x", key_id="k", config_hash="h"
    )
    await engine.write(begin_trace, start)
    trace = await engine.read(get_trace, PROJECT, start.trace_id)
    assert trace is not None
    for name in start.__struct_fields__:
        assert getattr(trace, name) == getattr(start, name)
    assert trace.state is State.IN_PROGRESS
    assert (trace.outcome, trace.end_time, trace.duration_ms, trace.usage) == (None, None, None, None)


async def test_a_finished_trace_reads_back_whole(engine: Engine) -> None:
    """Every field of the end is on the trace."""
    start = a_start()
    end = an_end(start, outcome=Outcome.TIMEOUT, usage_estimated=True, error_code="upstream_timeout", error_message="x")
    await engine.write(begin_trace, start)
    await engine.write(finish_trace, end)
    trace = await engine.read(get_trace, PROJECT, start.trace_id)
    assert trace is not None
    for name in set(end.__struct_fields__) - {"spans", "model"}:
        assert getattr(trace, name) == getattr(end, name)
    assert trace.state is State.ERROR
    assert (trace.model, trace.answered_model, trace.usage) == ("default", "demo/echo", Usage(1, 2, 3))


async def test_spans_come_back_parents_first(engine: Engine) -> None:
    """Attributes of any JSON type survive."""
    start = a_start()
    root = a_span(span_id=start.root_span_id)
    attributes = {"n": 1, "x": 0.5, "l": ["a"], "b": True}
    child = a_span(parent_id=start.root_span_id, kind="CLIENT", end_ms=1_500, status="ERROR", attributes=attributes)
    await engine.write(begin_trace, start)
    await engine.write(finish_trace, an_end(start, spans=(child, root)))
    assert await engine.read(get_spans, start.trace_id) == [root, child]


async def test_attempts_within_a_millisecond_keep_their_order(engine: Engine) -> None:
    """However they came into the store."""
    start = a_start()
    root = a_span(span_id=start.root_span_id)
    attempts = [a_span(parent_id=root.span_id, kind="CLIENT", name=f"attempt {number}") for number in range(20)]
    await engine.write(begin_trace, start)
    await engine.write(finish_trace, an_end(start, spans=(*reversed(attempts), root)))
    assert await engine.read(get_spans, start.trace_id) == [root, *attempts]


async def test_a_second_finish_changes_nothing(engine: Engine) -> None:
    """The first terminal state stays."""
    start = a_start()
    await engine.write(begin_trace, start)
    await engine.write(finish_trace, an_end(start))
    await engine.write(finish_trace, an_end(start, outcome=Outcome.STOPPED, spans=(a_span(),)))
    trace = await engine.read(get_trace, PROJECT, start.trace_id)
    assert trace is not None
    assert trace.outcome is Outcome.COMPLETE
    assert len(await engine.read(get_spans, start.trace_id)) == 2


async def test_finishing_what_never_began_stores_nothing(engine: Engine) -> None:
    """Not even its spans."""
    start = a_start()
    await engine.write(finish_trace, an_end(start))
    assert await engine.read(get_trace, PROJECT, start.trace_id) is None
    assert await engine.read(get_spans, start.trace_id) == []


async def test_another_project_sees_no_trace(engine: Engine) -> None:
    """An ID alone opens nothing."""
    start = a_start(client_request_id="r")
    await engine.write(begin_trace, start)
    assert await engine.read(get_trace, "other", start.trace_id) is None
    assert await engine.read(resolve_trace, "other", start.trace_id, None) is None
    assert await engine.read(resolve_trace, "other", None, "r") is None


async def test_a_trace_begins_once(engine: Engine) -> None:
    """The second of one ID is a conflict."""
    start = a_start()
    await engine.write(begin_trace, start)
    with pytest.raises(Conflict):
        await engine.write(begin_trace, start)


async def test_a_checkpoint_lives_until_the_finish(engine: Engine) -> None:
    """And one that is sent twice is kept once."""
    start = a_start()
    await engine.write(begin_trace, start)
    await engine.write(checkpoint, [Checkpoint(start.trace_id, seq, '[["text","a"]]') for seq in (1, 2, 2)], now_ms())
    count = "SELECT COUNT(*) FROM checkpoints"
    assert await engine.write(ask, count) == [(2,)]
    await engine.write(finish_trace, an_end(start))
    assert await engine.write(ask, count) == [(0,)]


async def test_unencodable_text_fails_alone(engine: Engine) -> None:
    """A lone surrogate is refused whole, and the rest of its batch is stored."""
    good, bad, later = a_start(), a_start(request_preview="\ud800"), a_start()
    results = await asyncio.gather(*(engine.write(begin_trace, s) for s in (good, bad, later)), return_exceptions=True)
    assert isinstance(results[1], InvalidValue)
    assert await engine.read(get_session, PROJECT, bad.session_id) is None
    for start in (good, later):
        assert await engine.read(get_trace, PROJECT, start.trace_id)
    with pytest.raises(InvalidValue):
        await engine.read(get_session, PROJECT, "\ud800")


@pytest.mark.parametrize(
    ("owner", "caller", "allowed"),
    [("ann", "ann", True), ("ann", "bob", False), ("ann", None, False), (None, "bob", True), (None, None, True)],
)
async def test_a_session_belongs_to_its_user(
    engine: Engine, owner: str | None, caller: str | None, allowed: bool
) -> None:
    """Without a user it belongs to the project."""
    first = a_start(user_id=owner)
    await engine.write(begin_trace, first)
    assert await engine.read(get_session, PROJECT, first.session_id) == Session(first.session_id, PROJECT, owner)
    second = a_start(user_id=caller, session_id=first.session_id)
    if allowed:
        await engine.write(begin_trace, second)
    else:
        with pytest.raises(NotFound, match="No such session"):
            await engine.write(begin_trace, second)
    assert (await engine.read(get_trace, PROJECT, second.trace_id) is not None) is allowed


async def test_projects_do_not_share_sessions(engine: Engine) -> None:
    """The same session ID in another project is another session."""
    first = a_start(user_id="ann")
    await engine.write(begin_trace, first)
    await engine.write(begin_trace, a_start(project="other", user_id="bob", session_id=first.session_id))
    assert await engine.read(get_session, "third", first.session_id) is None


async def test_a_conversation_lists_its_newest_turns(engine: Engine) -> None:
    """Oldest first, and no more than asked for."""
    starts = [a_start(session_id="s", request_time=time) for time in (3, 1, 2)]
    for start in [*starts, a_start()]:
        await engine.write(begin_trace, start)
    turns = await engine.read(session_traces, PROJECT, "s", limit=2)
    assert [turn.request_time for turn in turns] == [2, 3]


async def test_a_conversation_that_is_too_long_for_the_memory(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest turns that fit, at least one: who asked them may read them, at any time, as often as they like."""
    monkeypatch.setattr(sql, "MOST_CHARS", 250)
    for time in (1, 2, 3):
        await engine.write(begin_trace, a_start(session_id="s", request_time=time, request="x" * 100))
    assert [turn.request_time for turn in await engine.read(session_traces, PROJECT, "s")] == [2, 3]
    await engine.write(begin_trace, a_start(session_id="s", request_time=4, request="x" * 1000))
    assert [turn.request_time for turn in await engine.read(session_traces, PROJECT, "s")] == [4]
    assert await engine.read(session_traces, PROJECT, "unknown") == []


async def test_the_newest_trace_answers_to_a_client_request_id(engine: Engine) -> None:
    """By request time, not by the order of writing."""
    new, old = a_start(client_request_id="r", request_time=9), a_start(client_request_id="r", request_time=8)
    await engine.write(begin_trace, new)
    await engine.write(begin_trace, old)
    assert await engine.read(resolve_trace, PROJECT, None, "r") == new.trace_id
    assert await engine.read(resolve_trace, PROJECT, old.trace_id, None) == old.trace_id
    assert await engine.read(resolve_trace, PROJECT, None, "other") is None


@pytest.mark.parametrize(
    ("meant", "others"),
    [
        ((None, None), [(None, "eve"), ("key-2", None)]),
        (("key-1", "ada"), [("key-1", None), ("key-2", "ada"), ("key-2", None), ("key-1", "eve")]),
        (("key-1", None), [("key-2", "ada"), ("key-1", "eve"), ("key-2", "eve")]),
        (("key-2", "ada"), [("key-2", None), ("key-1", "eve"), ("key-page", "eve")]),
        (("key-page", "ada"), [("key-1", "eve"), ("key-page", None)]),
    ],
)
async def test_the_callers_own_trace_answers_first(
    engine: Engine, meant: tuple[str | None, str | None], others: list[tuple[str | None, str | None]]
) -> None:
    """To the caller's key and the rater, whatever others asked later with the same client request ID."""
    await engine.write(add_key, a_key(key_id="key-page", publishable=True, origins=("https://a.example",)))
    own = a_start(client_request_id="r", request_time=1, key_id=meant[0], user_id=meant[1])
    await engine.write(begin_trace, own)
    for time, (key_id, user_id) in enumerate(others, 2):
        later = a_start(client_request_id="r", request_time=time, key_id=key_id, user_id=user_id)
        await engine.write(begin_trace, later)
    caller = (None if meant == (None, None) else "key-1", "ada" if meant != (None, None) else None)
    assert await engine.read(resolve_trace, PROJECT, None, "r", *caller) == own.trace_id


async def test_a_pages_trace_answers_to_nobody_else(engine: Engine) -> None:
    """What is asked by a publishable key, anybody can ask: it is no answer for a server's rating."""
    await engine.write(add_key, a_key(key_id="key-page", publishable=True, origins=("https://a.example",)))
    await engine.write(begin_trace, a_start(client_request_id="r", key_id="key-page", user_id="visitor-1"))
    for caller in ((None, None), ("key-1", "ada"), ("key-page", None)):
        assert await engine.read(resolve_trace, PROJECT, None, "r", *caller) is None
    assert await engine.read(resolve_trace, PROJECT, None, "r", "key-1", "visitor-1") is not None


async def test_a_conversations_memory_is_counted(engine: Engine) -> None:
    """Before it is read, and only where it is large; who counts may refuse."""
    counted: list[int] = []
    for session, size in (("small", 10), ("large", 100_000)):
        await engine.write(begin_trace, a_start(session_id=session, request="x" * size))
        assert len(await engine.read(session_traces, PROJECT, session, count=counted.append)) == 1
    assert counted == [300_000]

    def refuse(size: int) -> None:
        raise Unavailable("No.")

    with pytest.raises(Unavailable):
        await engine.read(session_traces, PROJECT, "large", count=refuse)


async def test_what_a_key_asked_last_is_found_by_its_own_id(engine: Engine) -> None:
    """Of this route, and neither another key's nor another project's."""
    for start in (
        a_start(client_request_id="r", key_id="k", request_time=1),
        a_start(client_request_id="r", key_id="other", request_time=9),
        a_start(client_request_id="r", key_id="k", request_time=8, route="/chat/ws"),
        keyless := a_start(client_request_id="r", request_time=7),
        newest := a_start(client_request_id="r", key_id="k", request_time=6),
    ):
        await engine.write(begin_trace, start)

    async def found(project: str, key_id: str | None, client_request_id: str = "r") -> str | None:
        trace = await engine.read(last_asked, project, key_id, newest.route, client_request_id)
        return trace.trace_id if trace else None

    assert await found(PROJECT, "k") == newest.trace_id
    assert await found(PROJECT, None) == keyless.trace_id
    assert await found("other", "k") is None
    assert await found(PROJECT, "k", "s") is None
