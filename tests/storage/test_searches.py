"""Searches on SQLite: they end when they must, wherever they are, and leave room for other projects'."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import InvalidValue, StoreUnavailable, Unavailable
from gateway.storage.sqlite import engine as sqlite
from gateway.storage.sqlite.engine import SQLiteStore
from tests.support.rows import PROJECT, ask

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n"
# One call of one function, on one text: SQLite itself looks at no interruption meanwhile.
LONG_LIKE = "SELECT hex(zeroblob(5000000)) LIKE $1"
LONG_PATTERN = "%" + "0_" * 4_000 + "1%"


async def _until_running(store: SQLiteStore, count: int) -> None:
    for _ in range(10_000):
        if len(store._searching) >= count:
            return
        await asyncio.sleep(0.001)
    raise AssertionError("the searches did not begin")


async def test_a_pattern_on_one_long_text_is_cut_off(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the function that SQLite calls, which it could not interrupt itself."""
    monkeypatch.setattr(sqlite, "_SEARCH_S", 0.02)
    async with asyncio.timeout(20):
        with pytest.raises(InvalidValue, match="too long"):
            await store.search(PROJECT, ask, LONG_LIKE, LONG_PATTERN)
    assert await store.search(PROJECT, ask, "SELECT 1") == [(1,)]


async def test_who_leaves_ends_the_search(store: SQLiteStore) -> None:
    """Nothing goes on in the background: the connection is free again for the next."""
    searching = asyncio.create_task(store.search(PROJECT, ask, ENDLESS))
    await _until_running(store, 1)
    searching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await searching
    async with asyncio.timeout(10):
        assert await store.search(PROJECT, ask, "SELECT 1") == [(1,)]


async def test_another_project_searches_meanwhile(store: SQLiteStore) -> None:
    """However many searches of the first one run or wait."""
    slow = [asyncio.create_task(store.search("first", ask, ENDLESS)) for _ in range(10)]
    await _until_running(store, 1)
    async with asyncio.timeout(10):
        assert await store.search("second", ask, "SELECT 1") == [(1,)]
    assert len(store._searching) == 1
    for each in slow:
        each.cancel()
    await asyncio.gather(*slow, return_exceptions=True)


async def test_the_end_of_the_server_ends_searches(store: SQLiteStore) -> None:
    """Those that run, and those that come afterwards."""
    searching = asyncio.create_task(store.search(PROJECT, ask, ENDLESS))
    await _until_running(store, 1)
    store.end_searches()
    async with asyncio.timeout(10):
        with pytest.raises(Unavailable, match="shutting down"):
            await searching
    with pytest.raises(Unavailable, match="shutting down"):
        await store.search(PROJECT, ask, "SELECT 1")
    assert await store.read(ask, "SELECT 1") == [(1,)]


async def test_closing_the_store_ends_what_is_read(store: SQLiteStore) -> None:
    """And whoever reads later is told that the store can't be read."""
    reading = asyncio.create_task(store.read(ask, ENDLESS))
    await asyncio.sleep(0.01)
    async with asyncio.timeout(10):
        await store.close()
        with pytest.raises(Unavailable):
            await reading
    with pytest.raises(StoreUnavailable):
        await store.read(ask, "SELECT 1")


async def test_a_reader_who_leaves_is_waited_for(store: SQLiteStore) -> None:
    """A short read goes on to its end, and only then its connection is the next one's."""
    reading = [asyncio.create_task(store.read(ask, "SELECT nonsense")) for _ in range(3)]
    await asyncio.sleep(0)
    for each in reading:
        each.cancel()
    await asyncio.gather(*reading, return_exceptions=True)
    assert await asyncio.gather(*(store.read(ask, "SELECT 1") for _ in range(4))) == [[(1,)]] * 4


async def test_a_name_that_is_no_path_is_refused(store: SQLiteStore) -> None:
    """A field that JSON can't have is the caller's fault, and none of the store's."""
    with pytest.raises(InvalidValue):
        await store.search(PROJECT, ask, "SELECT json_field(x.value, $1) FROM (SELECT '{}' AS value) x", "\0")
