"""The writer thread: what shares a commit, what fails, and what the others notice of it."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import sys
import threading
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.ids import now_ms
from gateway.errors import InvalidValue, StoreUnavailable
from gateway.storage.engine import Script
from gateway.storage.scripts.keys import list_keys
from gateway.storage.scripts.ops import ping
from gateway.storage.scripts.traces import begin_trace, finish_trace, get_session, get_trace
from gateway.storage.sqlite.engine import SQLiteStore
from gateway.storage.sqlite.writer import Writer, bind
from tests.support.rows import PROJECT, a_start, an_end, ask


def _lock(store: SQLiteStore) -> sqlite3.Connection:
    """Hold the write lock, as another program would."""
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    return other


def _unlock(other: sqlite3.Connection) -> None:
    other.execute("ROLLBACK")
    other.close()


async def test_what_waits_shares_one_commit(store: SQLiteStore) -> None:
    """And what was called first is written first."""
    other = _lock(store)
    alone = store.write(ping, now_ms())
    # until the writer has taken it, and waits for the lock; it can't tell us, as it is inside BEGIN
    while store._writer._queue.qsize():  # noqa: ASYNC110
        await asyncio.sleep(0)
    starts = [a_start(session_id="s", user_id=f"u{n}") for n in range(50)]
    waiting = asyncio.gather(*(store.write(begin_trace, start) for start in starts), return_exceptions=True)
    await asyncio.sleep(0)
    assert store.stats.queued == 51
    _unlock(other)
    await alone
    results = await waiting
    assert [result is None for result in results] == [True, *[False] * 49]  # the first one owns the session
    assert (store.stats.batches, store.stats.writes, store.stats.queued) == (2, 51, 0)


async def test_a_locked_store_is_unavailable_until_it_is_not(
    store: SQLiteStore, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing of the batch is stored, the caller learns no SQL, and the next batch goes in."""
    await store.write(ask, "PRAGMA busy_timeout = 20")
    other = _lock(store)
    start = a_start()
    with pytest.raises(StoreUnavailable) as caught:
        await store.write(begin_trace, start)
    assert (caught.value.retry_after, "locked" in caught.value.message) == (1, False)
    with pytest.raises(StoreUnavailable):
        await store.write(ping, now_ms())
    _unlock(other)
    assert await store.read(get_trace, PROJECT, start.trace_id) is None
    await store.write(begin_trace, start)
    assert store.stats.failed_batches == 2
    assert [record.message for record in caplog.records] == [
        "The store can't write: database is locked.",
        "The store can write again.",
    ]


async def test_a_full_disk_rolls_the_batch_back(store: SQLiteStore) -> None:
    """All or nothing, and it recovers by itself."""
    [(pages,)] = await store.write(ask, "PRAGMA page_count")
    await store.write(ask, f"PRAGMA max_page_count = {pages + 3}")
    small, big = a_start(), a_start(request="x" * 200_000)
    results = await asyncio.gather(
        store.write(ping, now_ms()),
        store.write(begin_trace, small),
        store.write(begin_trace, big),
        return_exceptions=True,
    )
    assert isinstance(results[-1], StoreUnavailable)
    assert await store.read(get_trace, PROJECT, big.trace_id) is None
    assert await store.read(get_session, PROJECT, big.session_id) is None
    await store.write(ask, "PRAGMA max_page_count = 1000000")
    await store.write(begin_trace, big)
    assert await store.read(get_trace, PROJECT, big.trace_id) is not None


@pytest.mark.parametrize("which", ["", "-wal"])
@pytest.mark.parametrize("replace", [False, True])
async def test_a_file_that_is_gone_acknowledges_nothing(
    store: SQLiteStore, caplog: pytest.LogCaptureFixture, which: str, replace: bool
) -> None:
    """Unlinked or replaced, it or its log: every write fails from then on, and the log says why, once."""
    await store.write(ping, now_ms())
    target = Path(f"{store.path}{which}")
    saved = target.with_name("saved")
    target.rename(saved)
    if replace:
        target.write_bytes(saved.read_bytes())
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await store.write(begin_trace, a_start())
    saved.rename(target)
    with pytest.raises(StoreUnavailable):
        await store.write(ping, now_ms())
    assert [record.levelno for record in caplog.records] == [logging.CRITICAL]
    assert "removed or replaced" in caplog.text


async def test_the_queue_is_bounded(tmp_path: Path) -> None:
    """Above it a write is refused at once; below it they go on."""
    store = await SQLiteStore.open(tmp_path / "g.db", own=True, max_queue=3)
    results = await asyncio.gather(*(store.write(begin_trace, a_start()) for _ in range(5)), return_exceptions=True)
    assert [type(result) for result in results] == [*[type(None)] * 3, StoreUnavailable, StoreUnavailable]
    await store.write(ping, now_ms())
    await store.close()


async def test_a_callers_cancellation_harms_nobody(store: SQLiteStore) -> None:
    """Its write is committed all the same, as it has its place in the queue."""
    start = a_start()
    mine = asyncio.ensure_future(store.write(begin_trace, start))
    others = store.write(finish_trace, an_end(start))
    mine.cancel()
    await others
    assert mine.cancelled()
    trace = await store.read(get_trace, PROJECT, start.trace_id)
    assert trace is not None
    assert trace.outcome is not None


async def test_close_commits_what_waits(tmp_path: Path) -> None:
    """Then refuses, and a second close does nothing."""
    store = await SQLiteStore.open(tmp_path / "g.db", own=True)
    starts = [a_start() for _ in range(200)]
    waiting = asyncio.gather(*(store.write(begin_trace, start) for start in starts))
    await store.close()
    await waiting
    await store.close()
    assert not Path(f"{store.path}-wal").exists()
    with pytest.raises(StoreUnavailable):
        await store.write(ping, now_ms())
    with pytest.raises(StoreUnavailable):
        await store.read(list_keys)
    again = await SQLiteStore.open(tmp_path / "g.db", own=True)
    assert await again.read(get_trace, PROJECT, starts[-1].trace_id) is not None
    await again.close()


async def test_a_script_with_a_bug_fails_alone(store: SQLiteStore) -> None:
    """What it had written goes, and its caller sees what it was."""

    def bug() -> Script[None]:
        yield "INSERT INTO meta (name, value) VALUES ('bug', '1')", ()
        raise RuntimeError("bug")

    start = a_start()
    wrong: list[Awaitable[Any]] = [
        store.write(bug),
        store.write(ask, "SELECT $2", 1),
        store.write(bug),
    ]
    await store.write(begin_trace, start)
    results = await asyncio.gather(*wrong, return_exceptions=True)
    assert [type(result) for result in results] == [RuntimeError, sqlite3.ProgrammingError, RuntimeError]
    assert await store.write(ask, "SELECT * FROM meta") == []
    assert await store.read(get_trace, PROJECT, start.trace_id) is not None


async def test_a_statement_that_cannot_be_run_fails_alone(store: SQLiteStore, caplog: pytest.LogCaptureFixture) -> None:
    """It will never be possible: its caller isn't told to try again, the log says why, and others' writes are in."""
    start = a_start()
    wrong = [
        store.write(ask, "SELECT json_extract('{}', $1)", "$["),
        store.read(ask, "SELECT no_such_column FROM traces"),
    ]
    await store.write(begin_trace, start)
    for result in await asyncio.gather(*wrong, return_exceptions=True):
        assert type(result) is InvalidValue
    assert [record.message[:26] for record in caplog.records] == ["A statement can't be run: "] * 2
    assert await store.read(get_trace, PROJECT, start.trace_id) is not None
    assert store.stats.failed_batches == 0


async def test_every_commit_is_durable(store: SQLiteStore) -> None:
    """FULL, in a write-ahead log."""
    assert await store.synchronous() == 2
    assert await store.write(ask, "PRAGMA journal_mode") == [("wal",)]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a priority for each thread")
async def test_the_thread_steps_back(store: SQLiteStore) -> None:
    """It alone: the event loop keeps its priority."""

    def niceness() -> Script[int]:
        yield "SELECT 1", ()
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    assert await store.write(niceness) > before
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before


async def test_readers_cannot_write(store: SQLiteStore) -> None:
    """And what goes wrong in them is an unavailable store."""
    with pytest.raises(StoreUnavailable):
        await store.read(ask, "DELETE FROM traces")


def test_a_loop_that_closed_first_is_no_trouble(tmp_path: Path) -> None:
    """The writer commits, finds nobody waiting, and ends."""
    connection = sqlite3.connect(tmp_path / "x.db", isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row

    async def leave() -> Writer:
        writer = Writer(connection, lambda: True, 10)
        writer.submit(ask, "CREATE TABLE t (x)")
        return writer

    with sqlite3.connect(tmp_path / "x.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        writer = asyncio.run(leave())
        other.execute("ROLLBACK")
    other.close()
    asyncio.run(writer.close())
    with sqlite3.connect(tmp_path / "x.db") as reading:
        assert reading.execute("SELECT COUNT(*) FROM t").fetchone() == (0,)
    reading.close()


def test_parameters_are_bound_by_place_or_by_number() -> None:
    """By place where each stands once and in order; however many there are."""
    assert bind("VALUES ($1, $2)", ("a", "b")) == ("VALUES (?, ?)", ("a", "b"))
    for sql in ("$2, $1", "$1, $1"):
        assert bind(sql, ("a", "b")) == (sql, {"1": "a", "2": "b"})
    many = ", ".join(f"${i}" for i in range(1, 41))
    assert bind(many, range(40))[0].count("?") == 40
