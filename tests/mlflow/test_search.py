"""The search: what it narrows by, and that it can't hold up the rest."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.search import TraceQuery
from gateway.errors import InvalidValue, StoreUnavailable
from gateway.mlflow.scripts.search import search_traces
from gateway.mlflow.scripts.traces import set_tag
from gateway.storage.scripts import search as searches
from gateway.storage.scripts.feedback import record_feedback
from gateway.storage.scripts.traces import begin_trace, finish_trace
from gateway.storage.sqlite import engine as sqlite
from gateway.storage.sqlite.engine import SQLiteStore
from gateway.wire.filter import parse_filter, parse_order
from tests.support.rows import PROJECT, a_rating, a_start, a_write, an_end, ask


async def found(store: SQLiteStore, text: str, order: tuple[str, ...] = (), **over: Any) -> list[str]:
    over = {"experiment_ids": ("0",)} | over
    query = TraceQuery(project=PROJECT, clauses=parse_filter(text), orders=parse_order(list(order)), **over)
    traces, _ = await store.search(PROJECT, search_traces, query)
    return [each.trace.trace_id for each in traces]


@pytest.mark.parametrize(("few", "walk"), [(5_000, 10_000), (0, 10_000), (0, 4), (0, 0)])
async def test_both_ways_find_the_same(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch, few: int, walk: int
) -> None:
    """Walking the newest first, or sorting those that can match, at once or after a walk that met too few."""
    monkeypatch.setattr(searches, "FEW", few)
    monkeypatch.setattr(searches, "WALK", walk)
    starts = [a_start(request_time=at, tags={"even": str(at % 2)}, metadata={"m": "x"}) for at in range(1_000, 1_010)]
    for at, start in enumerate(starts):
        await store.write(begin_trace, start)
        await store.write(finish_trace, an_end(start))
        await store.write(record_feedback, a_write(start.trace_id, a_rating(value=at > 4)))
    ids = [start.trace_id for start in starts]
    assert await found(store, "tags.even = '0'") == ids[8::-2]
    assert await found(store, "feedback.user_feedback = 'true'") == ids[:4:-1]
    assert await found(store, "metadata.m = 'x' AND tags.even = '1' AND feedback.user_feedback = 'false'") == ids[3::-2]
    assert await found(store, "tags.even = '0'", ("timestamp_ms ASC",)) == ids[::2]
    assert await found(store, "tags.even = '0' AND request_id != 'x'", limit=2) == [ids[8], ids[6]]
    assert await found(store, "tags.even = '0'", experiment_ids=("0", "1"), limit=2) == [ids[8], ids[6]]
    pages = []
    token = None
    for _ in range(3):
        clauses = parse_filter("tags.even = '0'")
        query = TraceQuery(project=PROJECT, experiment_ids=("0",), clauses=clauses, limit=2, page_token=token)
        page, token = await store.search(PROJECT, search_traces, query)
        pages += [each.trace.trace_id for each in page]
    assert pages == ids[8::-2]
    await store.write(set_tag, PROJECT, ids[8], "even", "no")
    assert await found(store, "tags.even = '0'", limit=2) == [ids[6], ids[4]]


async def test_pages_hold_though_traces_come(store: SQLiteStore) -> None:
    """The next page begins after the last trace seen, whatever came meanwhile."""
    starts = [a_start(request_time=1_000 + at // 2) for at in range(5)]
    for start in starts:
        await store.write(begin_trace, start)
    seen, token = [], None
    while True:
        query = TraceQuery(project=PROJECT, experiment_ids=("0",), limit=2, page_token=token)
        page, token = await store.search(PROJECT, search_traces, query)
        seen += [each.trace.trace_id for each in page]
        await store.write(begin_trace, a_start(request_time=2_000))
        if token is None:
            break
    assert len(seen) == 5
    assert set(seen) == {start.trace_id for start in starts}


async def test_a_long_search_is_cut_off(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """With advice; the next one works, and nobody else waited."""
    monkeypatch.setattr(sqlite, "_SEARCH_S", 0.05)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n"
    with pytest.raises(InvalidValue, match="too long"):
        await store.search(PROJECT, ask, endless)
    assert await store.search(PROJECT, ask, "SELECT 1") == [(1,)]
    with pytest.raises(StoreUnavailable):
        await store.search(PROJECT, ask, "SELECT nonsense")


async def test_tags_of_before_are_found(tmp_path: Path) -> None:
    """A store of before the search has its tags looked up too."""
    path = tmp_path / "g.db"
    store = await SQLiteStore.open(path, own=True)
    start = a_start(tags={"old": "yes"}, metadata={"m": "1"})
    await store.write(begin_trace, start)
    await store.close()
    script = (Path(sqlite.__file__).parent / "migrations" / "0003_mlflow.sql").read_text()
    (backfill,) = [part for part in script.split(";\n") if "json_each" in part]
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM labels")
        connection.execute(backfill)
    store = await SQLiteStore.open(path, own=True)
    try:
        assert await found(store, "tags.old = 'yes' AND metadata.m = '1'") == [start.trace_id]
    finally:
        await store.close()
