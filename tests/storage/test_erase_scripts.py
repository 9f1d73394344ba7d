"""The scripts of an erasure on either engine: what they find, and what they leave."""

from __future__ import annotations

from gateway.mlflow.scripts.datasets import create_dataset, upsert_records
from gateway.mlflow.scripts.runs import create_run
from gateway.mlflow.values import Dataset, NewRecord, Run, RunValue
from gateway.storage.engine import Engine
from gateway.storage.scripts.erase import erase_ratings, erase_receipts, erase_traces, ratings_by, traces_of
from gateway.storage.scripts.erase_copies import (
    RecordPlace,
    erase_labels,
    erase_names,
    erase_naming_ratings,
    erase_records,
    erase_runs,
    erase_sessions,
    ratings_naming,
    records_naming,
    records_of,
    runs_naming,
    sessions_of,
    traces_naming,
)
from gateway.storage.scripts.feedback import record_feedback
from gateway.storage.scripts.traces import begin_trace, finish_trace
from tests.support.rows import PROJECT, a_rating, a_start, a_write, an_end, ask

ANN, ODD = "ann@example.com", 'a%n_n!"@\\x'


async def chat(engine: Engine, user_id: str, **over: object) -> str:
    start = a_start(user_id=user_id, **over)
    await engine.write(begin_trace, start)
    await engine.write(finish_trace, an_end(start))
    return start.trace_id


async def test_traces_ratings_and_receipts(engine: Engine) -> None:
    """In their order, as gateway/erasure.py runs them."""
    hers = await chat(engine, ANN, session_id="hers")
    bens = await chat(engine, "ben", session_id="bens")
    for trace_id in (hers, bens):
        rated = a_write(trace_id, a_rating(name="n", value="words"), source_id=ANN, idempotency_key=trace_id)
        await engine.write(record_feedback, rated)
    found = await engine.read(traces_of, ANN, None)
    assert [each.trace_id for each in found] == [hers]
    await engine.write(erase_traces, found, set())
    ratings = await engine.read(ratings_by, ANN, None)
    await engine.write(erase_ratings, ratings, {("user_tone", "right")})
    await engine.write(erase_receipts, ANN, None, {hers})
    rows = await engine.write(ask, "SELECT source_id, name, value FROM assessments ORDER BY source_id")
    assert rows == sorted((f"erased:{trace_id}", "erased", '"erased"') for trace_id in (hers, bens))
    assert await engine.write(ask, "SELECT session_id FROM sessions") == [("bens",)]
    assert await engine.write(ask, "SELECT COUNT(*) FROM idempotency") == [(0,)]


async def test_copies(engine: Engine) -> None:
    """Also of an ID with characters that mean something to a pattern, to JSON, or to both."""
    hers = await chat(engine, ANN)
    bens = await chat(engine, "ben", tags={"customer": ANN, "odd": ODD})
    rated = a_write(bens, a_rating(name="n", value=ODD), source_id="ben")
    await engine.write(record_feedback, rated)
    dataset = Dataset(
        dataset_id="d-1", project=PROJECT, name="d", digest="", created_time=1, last_update_time=1, created_by=ANN,
        tags={"mlflow.user": ANN},
    )  # fmt: skip
    await engine.write(create_dataset, dataset)
    source = {"source_type": "TRACE", "source_data": {"trace_id": hers}}
    records = [
        ("dr-1", NewRecord(inputs={"n": 1}, source=source)),
        ("dr-2", NewRecord(inputs={"n": ["x", {"of": ODD}]})),
        ("dr-3", NewRecord(inputs={"n": 3}, tags={"mlflow.user": ANN, "k": "v"})),
        ("dr-4", NewRecord(inputs={"n": f"not {ANN} alone, and {ODD}"})),
    ]
    await engine.write(upsert_records, PROJECT, "d-1", records, 5)
    names = [ANN, ODD]
    assert await engine.read(records_of, [hers], ANN, None) == [RecordPlace("d-1", "dr-1")]
    found = await engine.read(records_naming, names, None)
    assert sorted((each.record_id, each.whole) for each in found) == [("dr-2", True), ("dr-3", False)]
    await engine.write(erase_records, found, names)
    rows = await engine.write(ask, "SELECT record_id, tags, created_by FROM dataset_records ORDER BY record_id")
    assert rows == [("dr-1", None, None), ("dr-3", '{"k":"v"}', None), ("dr-4", None, None)]
    labelled = await engine.read(traces_naming, names, None)
    assert labelled == [bens]
    await engine.write(erase_labels, labelled, names)
    assert await engine.write(ask, "SELECT COUNT(*) FROM labels") == [(0,)]
    naming = await engine.read(ratings_naming, names, None)
    assert naming == [(bens, "ben")]
    await engine.write(erase_naming_ratings, naming, set())
    await engine.write(erase_names, names, None)
    assert await engine.write(ask, "SELECT value FROM assessments") == [('"erased"',)]
    assert await engine.write(ask, "SELECT tags, created_by FROM datasets") == [("{}", None)]


async def test_runs_and_conversations(engine: Engine) -> None:
    """What is hers in name alone: a run, its tags, and a conversation that no trace is left of."""
    run = Run(run_id="r-1", project=PROJECT, experiment_id="0", name="n", user_id=ANN, status="RUNNING", start_time=1)
    values = [("mlflow.user", ANN), ("note", "a word"), ("customer", ANN)]
    await engine.write(create_run, run, [RunValue(kind="tag", key=key, value=value) for key, value in values])
    await engine.write(
        ask, "INSERT INTO sessions VALUES ('default', 'empty', $1, 1), ('default', 'bens', 'ben', 1)", ANN
    )
    await chat(engine, ANN, session_id="goes on")
    await engine.write(erase_runs, await engine.read(runs_naming, [ANN], None))
    assert await engine.read(sessions_of, ANN, "other") == []
    await engine.write(erase_sessions, await engine.read(sessions_of, ANN, None))
    assert await engine.write(ask, "SELECT user_id FROM runs") == [("",)]
    assert await engine.write(ask, "SELECT value FROM run_values") == [("a word",)]
    assert await engine.write(ask, "SELECT session_id FROM sessions ORDER BY session_id") == [("bens",), ("goes on",)]
