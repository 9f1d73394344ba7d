"""Erasure by itself: order, faults, notes. What it leaves behind at a real gateway: tests/ops/test_erase.py."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway import erasure
from gateway.config.current import Current
from gateway.config.schema import Config, Dimension, Feedback
from gateway.domain.trace import Outcome
from gateway.erasure import Erased, EraseRequest, Erasure, Mailbox
from gateway.errors import InvalidValue, StoreUnavailable
from gateway.mlflow.scripts.assessments import create_assessment
from gateway.storage.scripts.erase import erase_traces, notes, put_note, ratings_by, traces_of
from gateway.storage.scripts.feedback import record_feedback
from gateway.storage.scripts.traces import begin_trace, finish_trace, get_session, get_spans, get_trace, session_traces
from gateway.storage.sqlite.engine import SQLiteStore
from tests.support.rows import PROJECT, a_rating, a_start, a_write, an_end, ask

ANN = EraseRequest("ann")


async def chat(store: SQLiteStore, user_id: str | None = "ann", **over: Any) -> str:
    start = a_start(user_id=user_id, **over)
    await store.write(begin_trace, start)
    await store.write(finish_trace, an_end(start, error_message="quotes ann"))
    return start.trace_id


async def test_what_stays_of_a_rating(store: SQLiteStore) -> None:
    """Numbers, truths, times, and the names and texts that the configuration declares; all other words go."""
    trace_id = await chat(store)
    values: list[Any] = [True, 0.8, 3, "right", "my name is Ann", ["Ann"]]
    names = ["a", "b", "c", "user_tone", "d", "e"]
    for name, value in zip(names, values, strict=True):
        metadata = {"score": "4", "scale": "1-5", "reasons": "Ann"}
        given = a_rating(name=name, value=value, rationale="Ann", metadata=metadata, span_id="Ann")
        await store.write(record_feedback, a_write(trace_id, given))
    config = Config(feedback=Feedback(dimensions={"tone": Dimension(options=("right", "wrong"))}))
    assert await Erasure(store, None, Current(config)).erase(ANN) == Erased(1, 6, True)
    rows = await store.write(
        ask,
        "SELECT name, value, source_id, rationale, metadata, span_id, create_time, valid FROM assessments"
        " ORDER BY rowid",
    )
    names = ["erased", "erased-2", "erased-3", "user_tone", "erased-4", "erased-5"]
    kept = ["true", "0.8", "3", '"right"', '"erased"', '"erased"']
    numbers = '{"score":"4","scale":"1-5"}'
    assert rows == [
        (name, value, f"erased:{trace_id}", None, numbers, None, 3_000, 1)
        for name, value in zip(names, kept, strict=True)
    ]


async def test_a_name_that_many_give_is_nobodys_words(store: SQLiteStore) -> None:
    """It stays, as do those of judges and their yes and no; one that she and two others give goes."""
    trace_id, other = await chat(store), await chat(store, "zoe")
    for name, raters in (("stars", "ann ben cat dan"), ("rare", "ann ben cat")):
        for rater in raters.split():
            rated = a_write(trace_id if rater == "ann" else other, a_rating(name=name, value=3), source_id=rater)
            await store.write(record_feedback, rated)
    for name, value in (("safety", "yes"), ("summary", "Ann says yes")):
        judged = a_rating(trace_id=trace_id, name=name, value=value, source_id="judge", source_type="LLM_JUDGE")
        await store.write(create_assessment, judged)
    await Erasure(store, None, Current(Config())).erase(ANN)
    rows = await store.write(ask, "SELECT name, value FROM assessments WHERE trace_id = $1 ORDER BY name", trace_id)
    assert rows == [("erased", "3"), ("safety", '"yes"'), ("stars", "3"), ("summary", '"erased"')]


async def test_erased_raters_of_one_trace_stay_apart(store: SQLiteStore) -> None:
    """Two persons who rated it by one name are still two, with one valid rating each."""
    trace_id = await chat(store, "zoe")
    for rater, value in (("ann", False), ("ann", True), ("ben", True)):
        await store.write(record_feedback, a_write(trace_id, a_rating(value=value), source_id=rater))
    subject = Erasure(store, None, Current(Config()))
    await subject.erase(ANN)
    await subject.erase(EraseRequest("ben"))
    rows = await store.write(ask, "SELECT source_id, value, valid FROM assessments ORDER BY rowid")
    first, second = f"erased:{trace_id}", f"erased:{trace_id}:2"
    assert rows == [(first, "false", 0), (first, "true", 1), (second, "true", 1)]


async def test_what_stays_of_a_trace(store: SQLiteStore) -> None:
    """When, how long, which model, how it ended; in spans as well."""
    trace_id = await chat(
        store, tags={"t": "ann"}, metadata={"m": "ann"}, client_request_id="ann", traceparent="00-ann", key_id="key-1"
    )
    await Erasure(store, None, Current(Config())).erase(ANN)
    trace = await store.read(get_trace, PROJECT, trace_id)
    assert trace is not None
    assert (trace.outcome, trace.duration_ms, trace.model, trace.key_id) == (
        Outcome.COMPLETE,
        1_000,
        "default",
        "key-1",
    )
    assert trace.usage is not None
    assert (trace.session_id, trace.tags, trace.metadata) == ("", {}, {})
    gone = (trace.user_id, trace.client_request_id, trace.traceparent, trace.error_message, trace.request)
    assert gone == (None,) * 5
    spans = await store.read(get_spans, trace_id)
    assert [(span.attributes, span.message) for span in spans] == [({}, None)] * 2


async def test_many_go_in_batches(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """None is forgotten at the edges, nor one that another of the same transaction touched."""
    monkeypatch.setattr(erasure, "_BATCH", 3)
    for _ in range(7):
        trace_id = await chat(store, session_id="one")
        await store.write(record_feedback, a_write(trace_id, idempotency_key=trace_id))
    await chat(store, "ben", session_id="other")
    assert await Erasure(store, None, Current(Config())).erase(ANN) == Erased(7, 7, True)
    assert await store.read(traces_of, "ann", None) == []
    assert await store.write(ask, "SELECT COUNT(*) FROM idempotency") == [(0,)]
    assert await store.write(ask, "SELECT session_id FROM sessions") == [("other",)]


async def test_a_session_that_goes_on_meanwhile_keeps_its_owner(store: SQLiteStore) -> None:
    """A turn that began after the call is hers still, and nobody else can take the conversation over."""
    first = await chat(store, session_id="s")
    found = await store.read(traces_of, "ann", None)
    later = await chat(store, session_id="s")
    await store.write(erase_traces, found, set())
    session = await store.read(get_session, PROJECT, "s")
    assert session is not None
    assert session.user_id == "ann"
    assert [trace.trace_id for trace in await store.read(session_traces, PROJECT, "s")] == [later]
    assert first != later


@pytest.mark.parametrize("user_id", ["", "x" * 251])
async def test_an_id_that_none_can_have(store: SQLiteStore, user_id: str) -> None:
    """As everywhere: 1 to 250 characters."""
    with pytest.raises(InvalidValue):
        await Erasure(store, None, Current(Config())).erase(EraseRequest(user_id))


async def test_a_long_read_is_waited_for(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps old pages in the log: no success is told before it is over; and asking again goes on."""
    monkeypatch.setattr(erasure, "_PAUSE_S", 0.01)
    monkeypatch.setattr(erasure, "_TRIES", 2)
    await chat(store, request_preview="Ann-Zq7")
    subject = Erasure(store, None, Current(Config()))
    with closing(sqlite3.connect(store.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM traces").fetchone()
        with pytest.raises(StoreUnavailable, match="backup"):
            await subject.erase(ANN)
        assert b"Ann-Zq7" in log_and_file(store)
        monkeypatch.setattr(erasure, "_TRIES", 500)
        waiting = asyncio.create_task(subject.erase(ANN))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        reader.execute("COMMIT")
        assert await waiting == Erased(0, 0, True)
    assert b"Ann-Zq7" not in log_and_file(store)


def log_and_file(store: SQLiteStore) -> bytes:
    return store.path.read_bytes() + Path(f"{store.path}-wal").read_bytes()


async def test_a_large_file_is_not_rewritten(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes would wait too long; what was deleted is overwritten all the same."""
    monkeypatch.setattr(erasure, "SMALL_BYTES", 1)
    for at in range(3):
        await chat(store, request="Ann-Zq7 " * 10_000, session_id=f"{at}")
    before = await store.size_bytes()
    assert await Erasure(store, None, Current(Config())).erase(ANN) == Erased(3, 0, False)
    assert b"Ann-Zq7" not in log_and_file(store)
    assert await store.size_bytes() == before
    assert await Erasure(store, None, Current(Config())).erase(ANN, rewrite=True) == Erased(0, 0, True)
    assert await store.size_bytes() < before


class Stuck:
    """Runs that never get their last record in."""

    async def forget(self, trace_ids: Any) -> bool:
        return bool(list(trace_ids))


async def test_a_stream_whose_record_is_not_stored_yet(store: SQLiteStore) -> None:
    """It would come back: no success is told, and nothing of it is touched."""
    stuck: Any = Stuck()
    trace_id = await chat(store)
    with pytest.raises(StoreUnavailable):
        await Erasure(store, stuck, Current(Config())).erase(ANN)
    assert (await store.read(traces_of, "ann", None))[0].trace_id == trace_id


# --- requests of a command --------------------------------------------------------------------------------------------


async def following(store: SQLiteStore, subject: Erasure, name: str) -> Any:
    """The result of a request."""
    task = asyncio.create_task(subject.serve_mailbox())
    try:
        async with asyncio.timeout(10):
            while not (found := await Mailbox(store).collect(name)):  # noqa: ASYNC110 - a row sets no event
                await asyncio.sleep(0.01)
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    return msgspec.to_builtins(found)


@pytest.mark.parametrize(
    ("note", "answer"),
    [
        (
            '{"user_id":"ann"}',
            {"erased": {"traces": 1, "ratings": 0, "rewritten": True, "status": "success"}, "error": None},
        ),
        (
            '{"user_id":"ann","project":"x"}',
            {"erased": {"traces": 0, "ratings": 0, "rewritten": True, "status": "success"}, "error": None},
        ),
        ('{"user_id":""}', {"erased": None, "error": "user_id: must be 1 to 250 characters"}),
        ('{"who":"ann"}', {"erased": None, "error": "The server doesn't understand the request."}),
    ],
)
async def test_a_request_is_served(store: SQLiteStore, note: str, answer: Any) -> None:
    """And answered once, also where it is nonsense; it names somebody, so that it goes before the file is scrubbed."""
    await chat(store)
    await store.write(put_note, "erased:old", "{}")
    await store.write(put_note, "erase:1", note)
    assert await following(store, Erasure(store, None, Current(Config())), "1") == answer
    assert await Mailbox(store).requests() == {}
    assert await store.read(notes, "erased:") == {}


async def test_a_request_waits_for_the_store(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A failure is logged without a name, and tried again; so is a bug."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(erasure, "POLL_S", 0.01)
    await chat(store)
    await store.write(put_note, "erase:1", '{"user_id":"ann"}')
    errors: list[Exception] = [StoreUnavailable("no"), RuntimeError("bug")]
    read = store.read

    async def fail(script: Any, *args: Any) -> Any:
        if script is ratings_by and errors:
            raise errors.pop(0)
        return await read(script, *args)

    monkeypatch.setattr(store, "read", fail)
    answer = await following(store, Erasure(store, None, Current(Config())), "1")
    assert answer["erased"]["status"] == "success"
    assert "Requests to erase have to wait: no" in caplog.text
    assert "bug" in caplog.text
    assert "ann" not in caplog.text.replace("scanned", "")
