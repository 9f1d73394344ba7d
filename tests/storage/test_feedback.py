"""Ratings: overrides, retraction, idempotency, who reads what back."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.trace import Assessment
from gateway.errors import Conflict, InvalidValue, NotFound
from gateway.storage.engine import Engine, Params, Script, drive
from gateway.storage.scripts.feedback import (
    IDEMPOTENCY_MS,
    feedback_of,
    insert_assessment,
    record_feedback,
    retract_feedback,
)
from gateway.storage.scripts.traces import begin_trace
from gateway.storage.sqlite.migrate import migrate
from gateway.storage.sqlite.writer import bind
from tests.support.rows import PROJECT, a_rating, a_start, a_write, ask


@pytest.fixture
async def trace_id(engine: Engine) -> str:
    start = a_start(client_request_id="r", model="m")
    await engine.write(begin_trace, start)
    return start.trace_id


@pytest.mark.parametrize("value", [True, False, 5, 0.8, "5.0", "ü", ["a", "b"]])
async def test_a_rating_reads_back_as_it_was(engine: Engine, trace_id: str, value: Any) -> None:
    """Value and type, rationale, metadata, and what the store filled in."""
    given = a_rating(value=value, rationale="why", metadata={"score": "4"}, span_id="ab")
    receipt = await engine.write(record_feedback, a_write(trace_id, given))
    stored = receipt.assessments[0]
    assert (receipt.trace_id, receipt.replayed) == (trace_id, False)
    assert (stored.trace_id, stored.source_id, stored.overrides, stored.valid) == (trace_id, "ann", None, True)
    assert await engine.read(feedback_of, PROJECT, [trace_id], "ann") == {trace_id: [stored]}
    assert type(stored.value) is type(value)


async def test_a_rating_keeps_the_model_of_its_trace(engine: Engine, trace_id: str) -> None:
    """Reports outlive the trace."""
    await engine.write(record_feedback, a_write(trace_id))
    assert await engine.write(ask, "SELECT project, model FROM assessments") == [(PROJECT, "m")]


async def test_rating_again_overrides(engine: Engine, trace_id: str) -> None:
    """Counted once, history kept."""
    first = (await engine.write(record_feedback, a_write(trace_id))).assessments[0]
    second = (await engine.write(record_feedback, a_write(trace_id, a_rating(value=False), now=4_000))).assessments[0]
    assert second.overrides == first.assessment_id
    assert await engine.read(feedback_of, PROJECT, [trace_id], "ann") == {trace_id: [second]}
    history = "SELECT assessment_id, valid, last_update_time FROM assessments ORDER BY valid"
    assert await engine.write(ask, history) == [
        (first.assessment_id, 0, 4_000),
        (second.assessment_id, 1, 4_000),
    ]


async def test_many_at_once_leave_one_valid(engine: Engine, trace_id: str) -> None:
    """Ratings that share a batch override each other in turn."""
    receipts = await asyncio.gather(*(engine.write(record_feedback, a_write(trace_id)) for _ in range(20)))
    chain = [receipt.assessments[0] for receipt in receipts]
    assert [one.overrides for one in chain] == [None, *(one.assessment_id for one in chain[:-1])]
    assert len((await engine.read(feedback_of, PROJECT, [trace_id], "ann"))[trace_id]) == 1


async def test_names_and_raters_do_not_override_each_other(engine: Engine, trace_id: str) -> None:
    """A chain is one rater's, of one name."""
    await engine.write(record_feedback, a_write(trace_id, a_rating(name="a"), a_rating(name="b")))
    await engine.write(record_feedback, a_write(trace_id, a_rating(name="a"), source_id="bob"))
    assert {one.name for one in (await engine.read(feedback_of, PROJECT, [trace_id], "ann"))[trace_id]} == {"a", "b"}


async def test_nobody_is_the_traces_anonymous_rater(engine: Engine, trace_id: str) -> None:
    """And reads back as such."""
    receipt = await engine.write(record_feedback, a_write(None, client_request_id="r", source_id=None))
    assert receipt.assessments[0].source_id == f"anonymous:{trace_id}"
    assert await engine.read(feedback_of, PROJECT, [trace_id], None) == {trace_id: list(receipt.assessments)}
    assert await engine.read(feedback_of, PROJECT, [trace_id], "ann") == {}
    assert await engine.read(feedback_of, PROJECT, [], None) == {}


@pytest.mark.parametrize(
    "write",
    [
        a_write("tr-" + "0" * 32),
        a_write(None, client_request_id="unknown"),
        a_write(None, client_request_id="r", project="other"),
    ],
)
async def test_an_unknown_trace_takes_no_rating(engine: Engine, trace_id: str, write: Any) -> None:
    """Nor does one of another project."""
    with pytest.raises(NotFound):
        await engine.write(record_feedback, write)
    with pytest.raises(NotFound):
        await engine.write(
            retract_feedback, write.project, write.trace_id, write.client_request_id, None, "user_feedback", 1
        )


async def test_all_or_nothing(engine: Engine, trace_id: str) -> None:
    """Where the second of two can't be stored, the first isn't, and other writes of the batch are."""
    bad = a_write(trace_id, a_rating(name="a"), a_rating(name="b", rationale="\udfff"))
    twin = a_rating(name="c")
    results = await asyncio.gather(
        engine.write(record_feedback, bad),
        engine.write(record_feedback, a_write(trace_id, twin)),
        engine.write(record_feedback, a_write(trace_id, a_rating(name="d"), twin)),
        return_exceptions=True,
    )
    assert isinstance(results[0], InvalidValue)
    assert isinstance(results[2], Conflict)
    assert [one.name for one in (await engine.read(feedback_of, PROJECT, [trace_id], "ann"))[trace_id]] == ["c"]


async def test_an_idempotency_key_replays_the_first_receipt(engine: Engine, trace_id: str) -> None:
    """Also where a newer trace has come with the client request ID, and for 24 hours."""
    write = {"client_request_id": "r", "idempotency_key": "k", "body_hash": "h"}
    first = await engine.write(record_feedback, a_write(None, source_id=None, **write))
    await engine.write(begin_trace, a_start(client_request_id="r", request_time=9_999))
    again = await engine.write(record_feedback, a_write(None, source_id=None, **write))
    assert (again.trace_id, again.assessments, again.replayed) == (trace_id, first.assessments, True)
    later = await engine.write(record_feedback, a_write(None, source_id=None, now=3_000 + IDEMPOTENCY_MS, **write))
    assert not later.replayed
    assert later.trace_id != trace_id


async def test_an_idempotency_key_with_another_body_is_refused(engine: Engine, trace_id: str) -> None:
    """But another rater's key is another key."""
    await engine.write(record_feedback, a_write(trace_id, idempotency_key="k", body_hash="h"))
    with pytest.raises(InvalidValue) as caught:
        await engine.write(record_feedback, a_write(trace_id, idempotency_key="k", body_hash="other"))
    assert caught.value.code == "idempotency_key_reused"
    assert not (
        await engine.write(record_feedback, a_write(trace_id, idempotency_key="k", body_hash="other", source_id="bob"))
    ).replayed


async def test_a_retraction_ends_the_chain(engine: Engine, trace_id: str) -> None:
    """It restores nothing, and the next rating begins afresh."""
    await engine.write(record_feedback, a_write(trace_id))
    await engine.write(record_feedback, a_write(trace_id))
    await engine.write(record_feedback, a_write(trace_id, source_id="bob"))
    retract = (PROJECT, trace_id, None, "ann", "user_feedback", 5_000)
    assert await engine.write(retract_feedback, *retract) == (trace_id, 1)
    assert await engine.write(retract_feedback, *retract) == (trace_id, 0)
    assert await engine.read(feedback_of, PROJECT, [trace_id], "ann") == {}
    assert len(await engine.read(feedback_of, PROJECT, [trace_id], "bob")) == 1
    assert (await engine.write(record_feedback, a_write(trace_id))).assessments[0].overrides is None


async def test_a_judge_of_the_same_name_is_somebody_else(engine: Engine, trace_id: str) -> None:
    """A person's rating overrides no judge's, and neither reading back nor retracting reaches that."""

    def judge() -> Script[None]:
        yield insert_assessment(a_rating(trace_id=trace_id, source_id="ann", source_type="LLM_JUDGE"), "m")

    await engine.write(judge)
    mine = (await engine.write(record_feedback, a_write(trace_id))).assessments[0]
    assert mine.overrides is None
    assert await engine.read(feedback_of, PROJECT, [trace_id], "ann") == {trace_id: [mine]}
    assert await engine.write(retract_feedback, PROJECT, trace_id, None, "ann", "user_feedback", 5_000) == (trace_id, 1)
    valid = "SELECT source_type FROM assessments WHERE valid = 1"
    assert await engine.write(ask, valid) == [("LLM_JUDGE",)]


async def test_an_anonymous_rating_is_retracted_by_client_request(engine: Engine, trace_id: str) -> None:
    """The anonymous rater of that trace."""
    await engine.write(record_feedback, a_write(trace_id, source_id=None))
    assert await engine.write(retract_feedback, PROJECT, None, "r", None, "user_feedback", 1) == (trace_id, 1)


async def test_feedback_of_takes_very_many_traces(engine: Engine, trace_id: str) -> None:
    """More than one query's worth."""
    await engine.write(record_feedback, a_write(trace_id))
    found = await engine.read(feedback_of, PROJECT, [*(f"tr-{n:032x}" for n in range(1200)), trace_id], "ann")
    assert list(found) == [trace_id]


_STEPS = st.tuples(st.sampled_from(["ann", "bob", None]), st.sampled_from(["a", "b"]), st.booleans(), st.booleans())


@given(st.lists(_STEPS, max_size=30))
def test_any_order_leaves_one_valid_and_the_whole_history(steps: list[tuple[str | None, str, bool, bool]]) -> None:
    """Whatever is rated, overridden and retracted in whichever order."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.row_factory = sqlite3.Row
    migrate(connection)

    def execute(sql: str, params: Params) -> list[sqlite3.Row]:
        return connection.execute(*bind(sql, params)).fetchall()

    start = a_start()
    trace_id = start.trace_id
    drive(begin_trace(start), execute)
    expected: dict[tuple[str | None, str], Assessment] = {}
    written = 0
    for now, (rater, name, value, retract) in enumerate(steps):
        before = expected.pop((rater, name), None)
        if retract:
            found = drive(retract_feedback(PROJECT, trace_id, None, rater, name, now), execute)
            assert found == (trace_id, 1 if before else 0)
            continue
        rating = a_rating(name=name, value=value)
        receipt = drive(record_feedback(a_write(trace_id, rating, source_id=rater, now=now)), execute)
        expected[rater, name] = receipt.assessments[0]
        assert receipt.assessments[0].overrides == (before and before.assessment_id)
        written += 1
    for rater in ("ann", "bob", None):
        valid = drive(feedback_of(PROJECT, [trace_id], rater), execute).get(trace_id, [])
        assert {one.name: one for one in valid} == {n: one for (r, n), one in expected.items() if r == rater}
        assert len(valid) == len({one.name for one in valid})
    assert connection.execute("SELECT COUNT(*) FROM assessments").fetchone()[0] == written
    connection.close()
