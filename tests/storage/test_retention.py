"""Retention: what goes, what stays, and the loop that does it."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.config.schema import StoreConfig
from gateway.domain.ids import now_ms
from gateway.domain.trace import Checkpoint
from gateway.errors import StoreUnavailable
from gateway.storage.engine import Engine
from gateway.storage.retention import BATCH, DAY_MS, keep_sweeping, sweep
from gateway.storage.scripts.feedback import feedback_of, record_feedback
from gateway.storage.scripts.ops import expire, expire_oldest
from gateway.storage.scripts.traces import begin_trace, checkpoint, finish_trace, get_session, get_spans, get_trace
from gateway.storage.sqlite.engine import SQLiteStore
from gateway.storage.sqlite.migrate import migrate
from tests.support.rows import PROJECT, a_rating, a_start, a_write, an_end, ask


async def _add(engine: Engine, end_time: int, *, session_id: str = "s", text: str = "Hello") -> str:
    start = a_start(session_id=session_id)
    _ = engine.write(begin_trace, start)
    await engine.write(finish_trace, an_end(start, end_time=end_time, response=text))
    return start.trace_id


async def test_expiry_deletes_traces_and_keeps_numbers(engine: Engine) -> None:
    """Of a rating the score and its scale stay, of a trace nothing."""
    old = await _add(engine, 1_999)
    new = await _add(engine, 2_000)
    kept = {"score": "4", "scale": "1-5"}
    await engine.write(
        record_feedback,
        a_write(old, a_rating(value=0.8, rationale="why", metadata={**kept, "reasons": '["x"]'}), a_rating(name="n")),
    )
    await engine.write(record_feedback, a_write(new, a_rating(rationale="why")))
    assert await engine.write(expire, 2_000, 0, 10) == 1
    assert await engine.read(get_trace, PROJECT, old) is None
    assert await engine.read(get_spans, old) == []
    assert await engine.read(get_session, PROJECT, "s") is not None
    first, second = sorted((await engine.read(feedback_of, PROJECT, [old], "ann"))[old], key=lambda one: one.name)
    assert (second.value, second.rationale, second.metadata) == (0.8, None, kept)
    assert first.metadata == {}
    assert (await engine.read(feedback_of, PROJECT, [new], "ann"))[new][0].rationale == "why"


async def test_expiry_keeps_no_words(engine: Engine) -> None:
    """Of values only numbers and declared options, of names only declared ones, and no receipt with a comment."""
    trace_id = await _add(engine, 1)
    values = [True, 0.5, "right", "my name is Ann", ["Ann"]]
    names = ["user_feedback", "user_scale", "user_tone", "says Ann", "Ann's list"]
    rated = [a_rating(name=name, value=value, span_id="Ann") for name, value in zip(names, values, strict=True)]
    await engine.write(record_feedback, a_write(trace_id, *rated, idempotency_key="k"))
    await engine.write(record_feedback, a_write(trace_id, a_rating(), source_id=None, idempotency_key="k"))
    declared = {("user_scale", None), ("user_tone", "right")}
    assert await engine.write(expire, 2, 0, 10, declared) == 1
    rows = await engine.write(ask, "SELECT name, value, span_id FROM assessments WHERE source_id = 'ann' ORDER BY name")
    assert rows == [
        ("erased", '"erased"', None),
        ("erased-2", '"erased"', None),
        ("user_feedback", "true", None),
        ("user_scale", "0.5", None),
        ("user_tone", '"right"', None),
    ]
    assert await engine.write(ask, "SELECT COUNT(*) FROM idempotency") == [(0,)]


async def test_what_expired_is_overwritten(store: SQLiteStore) -> None:
    """In the file and in its log, once the loop has come around; a long read holds that up, and it is made up for."""
    start = a_start(request="Zq7 " * 3_000, request_preview="Zq7")
    await store.write(begin_trace, start)
    await store.write(finish_trace, an_end(start, end_time=1, response="Zq7 " * 3_000))
    files = [store.path, store.path.with_name(f"{store.path.name}-wal")]
    with closing(sqlite3.connect(store.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM traces").fetchone()
        task = asyncio.create_task(keep_sweeping(store, lambda: StoreConfig(retention_days=1), interval_s=0))
        async with asyncio.timeout(10):
            while await store.write(ask, "SELECT COUNT(*) FROM traces") != [(0,)]:  # noqa: ASYNC110 - nor does a row
                await asyncio.sleep(0.01)
        assert any(b"Zq7" in path.read_bytes() for path in files)
        reader.execute("COMMIT")
    async with asyncio.timeout(10):
        while any(b"Zq7" in path.read_bytes() for path in files):  # noqa: ASYNC110 - a file sets no event
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_session_goes_with_its_last_trace(engine: Engine) -> None:
    """And not before."""
    await _add(engine, 1)
    await _add(engine, 2)
    assert await engine.write(expire_oldest, 1) == 1
    assert await engine.read(get_session, PROJECT, "s") is not None
    assert await engine.write(expire_oldest, 5) == 1
    assert await engine.read(get_session, PROJECT, "s") is None


async def test_a_running_trace_never_expires(engine: Engine) -> None:
    """However old it is."""
    start = a_start(request_time=1)
    await engine.write(begin_trace, start)
    await engine.write(checkpoint, [Checkpoint(start.trace_id, 1, "[]")], now_ms())
    assert await engine.write(expire, 9_999_999, 0, 10) == 0
    assert await engine.write(expire_oldest, 10) == 0
    assert await engine.read(get_trace, PROJECT, start.trace_id) is not None


async def test_old_idempotency_keys_go(engine: Engine) -> None:
    """Young ones stay."""
    trace_id = await _add(engine, 1)
    for now in (10, 20):
        await engine.write(record_feedback, a_write(trace_id, idempotency_key=f"k{now}", now=now))
    await engine.write(expire, 0, 20, 10)
    assert await engine.write(ask, "SELECT key FROM idempotency") == [("k20",)]


async def test_a_sweep_goes_by_age(store: SQLiteStore) -> None:
    """In as many batches as it takes; 0 days means for ever."""
    now = 10 * DAY_MS
    for n in range(BATCH + 5):
        last = _add(store, now - 2 * DAY_MS - 1, session_id=f"s{n}")
        await last
    young = await _add(store, now - DAY_MS)
    assert await sweep(store, StoreConfig(retention_days=0), now) == 0
    assert await sweep(store, StoreConfig(retention_days=1.5), now) == BATCH + 5
    assert await store.read(get_trace, PROJECT, young) is not None


async def test_a_sweep_goes_by_size(store: SQLiteStore) -> None:
    """The oldest go until what is in use fits, as far as traces can help."""
    for n in range(BATCH + 20):
        newest = await _add(store, n, text="x" * 20_000)
    assert await store.used_bytes() > 2_000_000
    deleted = await sweep(store, StoreConfig(retention_days=0, max_size_mb=1), 0)
    assert 0 < deleted < BATCH + 20
    assert 800_000 < await store.used_bytes() < 1_000_000
    assert store.path.stat().st_size < 1_000_000
    assert await store.read(get_trace, PROJECT, newest) is not None


async def test_the_file_stays_below_the_cap(store: SQLiteStore) -> None:
    """Also while chats go on coming between two looks at it; the oldest go first, and ratings keep their numbers."""
    config = StoreConfig(retention_days=0, max_size_mb=2)
    running = a_start(request_time=0)
    await store.write(begin_trace, running)
    kept: list[str] = []
    for turn in range(40):
        adding = [await _add(store, turn * 100 + n, text="x" * 20_000) for n in range(4)]
        await store.write(record_feedback, a_write(adding[0], a_rating(value=turn / 40, rationale="why")))
        kept += adding
        await sweep(store, config, 0)
        assert await store.size_bytes() <= 2_000_000
    await store.purge_deleted(rewrite=False)
    assert store.path.stat().st_size <= 2_000_000
    left = [await store.read(get_trace, PROJECT, trace_id) is not None for trace_id in kept]
    assert left == sorted(left)
    assert 20 < sum(left) < len(left)
    assert await store.read(get_trace, PROJECT, running.trace_id) is not None
    rated = await store._writer.submit(ask, "SELECT COUNT(*), SUM(CAST(value AS REAL)) FROM assessments WHERE valid")
    assert rated == [(40, pytest.approx(sum(turn / 40 for turn in range(40))))]


async def test_a_file_that_grew_shrinks(tmp_path: Path) -> None:
    """A cap that is set later cuts it; a file from before, which can't shrink, is left at what is free in it."""
    for name, able in (("new.db", True), ("old.db", False)):
        if not able:
            with closing(sqlite3.connect(tmp_path / name, isolation_level=None)) as old:
                old.execute("PRAGMA auto_vacuum = NONE")
                migrate(old)
        store = await SQLiteStore.open(tmp_path / name, own=True)
        try:
            for n in range(150):
                await _add(store, n, text="x" * 40_000)
            assert await store.size_bytes() > 5_000_000
            assert await sweep(store, StoreConfig(retention_days=0, max_size_mb=1), 0) > 0
            assert await store.used_bytes() < 1_000_000
            assert (await store.size_bytes() < 1_000_000) is able
            assert (store.path.stat().st_size < 1_000_000) is able
        finally:
            await store.close()


async def test_only_numbers_are_kept_of_metadata(engine: Engine) -> None:
    """What only pretends to be a score goes with the rest."""
    trace_id = await _add(engine, 1)
    await engine.write(
        record_feedback, a_write(trace_id, a_rating(metadata={"score": "Jane lives in Rome", "scale": "1-5"}))
    )
    await engine.write(expire_oldest, 1)
    (rating,) = (await engine.read(feedback_of, PROJECT, [trace_id], "ann"))[trace_id]
    assert rating.metadata == {"scale": "1-5"}


class _Failing:
    """A store that fails in turn by each error, then never answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0
        self.done = asyncio.Event()

    async def write(self, script: object, *args: int) -> int:
        if script is expire_oldest:
            return 0
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        if self.calls > 3:
            self.done.set()
        return 1 if self.calls == 3 else 0

    async def used_bytes(self) -> int:
        return 2_000_000

    async def size_bytes(self) -> int:
        return 2_000_000

    async def trim(self) -> bool:
        return False


async def test_the_loop_outlives_a_failing_store(caplog: pytest.LogCaptureFixture) -> None:
    """It says so, tries again, and stops trying to shrink what has no traces left."""
    caplog.set_level(logging.INFO)
    store = _Failing(StoreUnavailable("no"), RuntimeError("bug"))
    config = StoreConfig(max_size_mb=1)
    task = asyncio.create_task(keep_sweeping(store, lambda: config, interval_s=0))  # type: ignore[arg-type]
    async with asyncio.timeout(5):
        await store.done.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert "Retention waits" in caplog.text
    assert "Retention failed." in caplog.text
    assert "deleted traces: 1." in caplog.text
