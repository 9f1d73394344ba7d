"""Keys, the log of what happened, the health check."""

from __future__ import annotations

import msgspec
import pytest

from gateway.domain.activity import ChatActivity, RatingActivity
from gateway.domain.ids import now_ms
from gateway.domain.trace import Outcome
from gateway.errors import Conflict, NotFound
from gateway.storage.engine import Engine
from gateway.storage.scripts.feedback import record_feedback, retract_feedback
from gateway.storage.scripts.keys import add_key, list_keys, revoke_key, touch_keys
from gateway.storage.scripts.ops import ping, recent
from gateway.storage.scripts.traces import begin_trace, finish_trace
from gateway.storage.sqlite.engine import SQLiteStore
from tests.support.rows import PROJECT, a_key, a_rating, a_span, a_start, a_write, an_end, ask


async def test_keys_are_listed_as_they_were_added(engine: Engine) -> None:
    """In the order they were made."""
    second, first = a_key(name="b", created=2), a_key(name="a", created=1)
    await engine.write(add_key, second)
    await engine.write(add_key, first)
    assert await engine.read(list_keys) == [first, second]


async def test_an_active_name_is_taken(engine: Engine) -> None:
    """A revoked one is free again."""
    await engine.write(add_key, a_key())
    with pytest.raises(Conflict, match="name"):
        await engine.write(add_key, a_key())
    await engine.write(revoke_key, "app", 5)
    await engine.write(add_key, a_key())
    assert [key.revoked for key in await engine.read(list_keys)].count(5) == 1


async def test_a_key_is_revoked_by_name_or_id(engine: Engine) -> None:
    """The name goes first, where one key's name is another's ID."""
    one, other = a_key(name="one"), a_key(name="x")
    await engine.write(add_key, one)
    await engine.write(add_key, other)
    await engine.write(add_key, a_key(name=one.key_id))
    assert (await engine.write(revoke_key, one.key_id, 7)).name == one.key_id
    assert await engine.write(revoke_key, one.key_id, 8) == msgspec.structs.replace(one, revoked=8)
    with pytest.raises(NotFound):
        await engine.write(revoke_key, one.key_id, 9)


async def test_the_last_use_only_moves_on(engine: Engine) -> None:
    """A late report doesn't set it back."""
    key = a_key()
    await engine.write(add_key, key)
    await engine.write(touch_keys, {key.key_id: 9, "unknown": 9})
    await engine.write(touch_keys, {key.key_id: 8})
    assert (await engine.read(list_keys))[0].last_used == 9


async def test_recent_tells_chats_and_ratings_in_order(engine: Engine) -> None:
    """Finished chats with their attempts, ratings, and retractions; nothing that still runs."""
    start = a_start(user_id="ann")
    attempts = tuple(a_span(kind="CLIENT") for _ in range(3))
    await engine.write(begin_trace, start)
    await engine.write(begin_trace, a_start())
    await engine.write(finish_trace, an_end(start, spans=(a_span(), *attempts), error_message="late"))
    await engine.write(record_feedback, a_write(start.trace_id, a_rating(rationale="why")))
    await engine.write(retract_feedback, PROJECT, start.trace_id, None, "ann", "user_feedback", 4_000)
    chat = ChatActivity(
        time=2_000,
        trace_id=start.trace_id,
        route="/chat/stream",
        model="default",
        provider="demo",
        attempts=3,
        outcome="complete",
        first_token_ms=100,
        duration_ms=1_000,
        tokens=3,
        error="late",
        session_id=start.session_id,
        user_id="ann",
        preview="Hi",
    )
    rating = RatingActivity(
        time=3_000, trace_id=start.trace_id, name="user_feedback", value=True, source_id="ann", comment="why"
    )
    retraction = msgspec.structs.replace(rating, time=4_000, value=None, comment=None)
    assert await engine.read(recent, 0) == [chat, rating, retraction]
    assert await engine.read(recent, 3_000, limit=1) == [retraction]
    assert await engine.read(recent, 4_001) == []


async def test_recent_errors_are_failed_chats_alone(engine: Engine) -> None:
    """No good ones, no ratings."""
    good, bad = a_start(), a_start()
    for start, outcome in ((good, Outcome.STOPPED), (bad, Outcome.TIMEOUT)):
        await engine.write(begin_trace, start)
        await engine.write(finish_trace, an_end(start, outcome=outcome))
    await engine.write(record_feedback, a_write(bad.trace_id))
    assert [record.trace_id for record in await engine.read(recent, 0, errors=True)] == [bad.trace_id]


async def test_ping_writes(store: SQLiteStore) -> None:
    """Each time."""
    await store.write(ping, now_ms())
    first = await store._writer.submit(ask, "SELECT value FROM meta WHERE name = 'ping'")
    await store.write(ping, now_ms())
    assert len(first) == 1
    assert store.stats.rows == 2


async def test_the_hot_queries_use_their_indexes(store: SQLiteStore) -> None:
    """None of them reads a whole table."""
    queries = [
        "SELECT * FROM traces WHERE end_time < 5 ORDER BY end_time LIMIT 9",
        "SELECT * FROM traces WHERE end_time >= 5 AND state = 'ERROR' ORDER BY end_time DESC LIMIT 9",
        "SELECT * FROM traces WHERE end_time IS NULL ORDER BY request_time LIMIT 9",
        "SELECT * FROM traces WHERE end_time IS NOT NULL ORDER BY end_time LIMIT 9",
        "SELECT * FROM traces WHERE project = 'p' AND client_request_id = 'r' ORDER BY request_time DESC LIMIT 1",
        "SELECT * FROM traces WHERE project = 'p' AND session_id = 's' ORDER BY request_time DESC, trace_id DESC",
        "SELECT * FROM assessments WHERE create_time >= 5 ORDER BY create_time DESC LIMIT 9",
        "SELECT * FROM assessments WHERE retracted >= 5 ORDER BY retracted DESC LIMIT 9",
        "SELECT * FROM assessments WHERE trace_id IN ('a', 'b')",
        "DELETE FROM idempotency WHERE created < 5",
    ]
    for query in queries:
        plan = await store.write(ask, f"EXPLAIN QUERY PLAN {query}")
        assert "INDEX" in plan[0][3], query
