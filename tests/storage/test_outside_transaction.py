"""Work that can't be in a transaction: it takes its place in the queue, and its faults are its own."""

from __future__ import annotations

import asyncio
import functools
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.ids import now_ms
from gateway.errors import StoreUnavailable
from gateway.storage.scripts.ops import ping
from gateway.storage.scripts.traces import begin_trace, get_trace
from gateway.storage.sqlite.engine import SQLiteStore
from tests.support.rows import PROJECT, a_start, ask


async def test_it_stands_between_what_came_before_and_after(store: SQLiteStore) -> None:
    """What was called first is committed, what was called later isn't there yet."""
    first, second = a_start(), a_start()
    order: list[str] = []

    def look(connection: sqlite3.Connection) -> int:
        assert not connection.in_transaction
        return int(connection.execute("SELECT COUNT(*) FROM traces").fetchone()[0])

    def told(name: str, _: object) -> None:
        order.append(name)

    jobs: list[asyncio.Future[Any]] = [
        asyncio.ensure_future(store.write(begin_trace, first)),
        store._writer.run_outside_transaction(look),
        store._writer.run_outside_transaction(look),
        asyncio.ensure_future(store.write(begin_trace, second)),
    ]
    for at, job in enumerate(jobs):
        job.add_done_callback(functools.partial(told, str(at)))
    assert await asyncio.gather(*jobs) == [None, 1, 1, None]
    assert order == ["0", "1", "2", "3"]
    assert store.stats.queued == 0
    assert await store.read(get_trace, PROJECT, second.trace_id) is not None


def _nonsense(connection: sqlite3.Connection) -> None:
    connection.execute("SELECT nonsense")


async def test_its_failure_is_logged_and_told(store: SQLiteStore, caplog: pytest.LogCaptureFixture) -> None:
    """Without SQL to the caller; the next write goes on."""
    with pytest.raises(StoreUnavailable) as caught:
        await store._writer.run_outside_transaction(_nonsense)
    assert "nonsense" not in caught.value.message
    assert "can't be tidied up: no such column: nonsense" in caplog.text
    await store.write(ping, now_ms())


async def test_a_file_that_is_gone_is_left_alone(store: SQLiteStore, caplog: pytest.LogCaptureFixture) -> None:
    """As no write is taken any more."""
    store.path.rename(store.path.with_name("saved"))
    with pytest.raises(StoreUnavailable):
        await store.write(ping, now_ms())
    with pytest.raises(StoreUnavailable):
        await store.purge_deleted(rewrite=True)
    assert "tidied" not in caplog.text


async def test_a_full_or_closed_queue_refuses_it(tmp_path: Path) -> None:
    """At once."""
    store = await SQLiteStore.open(tmp_path / "gateway.db", own=True, max_queue=0)
    with pytest.raises(StoreUnavailable):
        await store.trim()
    await store.close()
    with pytest.raises(StoreUnavailable):
        await store.trim()


async def test_a_new_file_can_shrink_and_forgets(store: SQLiteStore) -> None:
    """What the file was opened with: free pages can go back, and what is deleted is overwritten."""
    assert await store.write(ask, "PRAGMA auto_vacuum") == [(2,)]
    assert await store.write(ask, "PRAGMA secure_delete") == [(1,)]
