"""Stores that earlier versions wrote open with today's code, and nothing of theirs is lost. See stores/README.md."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.ids import now_ms
from gateway.storage.recovery import recover
from gateway.storage.scripts.feedback import feedback_of
from gateway.storage.scripts.keys import list_keys
from gateway.storage.scripts.ops import ping, recent
from gateway.storage.scripts.traces import get_session, get_spans, get_trace
from gateway.storage.sqlite.engine import SQLiteStore

STORES = sorted((Path(__file__).parent / "stores").glob("*.sql"))
MADE_BY_A_MIGRATION = {"labels"}  # of an older store: the search's copy of tags and metadata


def _tables(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        names = [row["name"] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: [dict(row) for row in connection.execute(f"SELECT * FROM {name}")] for name in names}  # noqa: S608


@pytest.fixture(params=STORES, ids=lambda file: file.stem)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A store as its version left it."""
    path = tmp_path / "gateway.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(request.param.read_text())
    return path


async def test_every_row_is_there(old: Path) -> None:
    """Opening adds columns and tables, and changes no value that was there."""
    before = _tables(old)
    store = await SQLiteStore.open(old, own=True)
    await store.close()
    after = _tables(old)
    assert before.keys() <= after.keys()
    for name in before.keys() - MADE_BY_A_MIGRATION:
        kept = [{column: row[column] for column in was} for row, was in zip(after[name], before[name], strict=True)]
        assert kept == before[name], name
    labels = {(row["trace_id"], row["kind"], row["key"]) for row in after["labels"]}
    for trace in after["traces"]:
        assert {(trace["trace_id"], "tag", key) for key in json.loads(trace["tags"])} <= labels
    with closing(sqlite3.connect(old)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_everything_is_read(old: Path) -> None:
    """Chats, their spans, ratings, sessions and keys come out of it by today's scripts."""
    rows = _tables(old)
    store = await SQLiteStore.open(old, own=True)
    try:
        assert await recover(store, now_ms()) == 1
        chats = [row for row in rows["traces"] if row["route"] == "/chat"]
        assert len(chats) == 2
        for row in chats:
            trace = await store.read(get_trace, "default", row["trace_id"])
            assert trace is not None
            assert (trace.request, trace.response) == (row["request"], row["response"])
            assert len(await store.read(get_spans, row["trace_id"])) == 2
        assert await store.read(get_session, "default", "s-1") is not None
        (first, second) = [row["trace_id"] for row in chats]
        ann = await store.read(feedback_of, "default", [first], "ann")
        assert [(each.value, each.rationale) for each in ann[first]] == [(True, "On second thoughts …")]
        bob = await store.read(feedback_of, "default", [second], "bob")
        assert [(each.name, each.value) for each in bob[second]] == [("user_helpfulness", 1.0)]
        assert {key.name for key in await store.read(list_keys)} == {row["name"] for row in rows["keys"]}
        assert len(await store.read(recent, 0)) >= 6
    finally:
        await store.close()


async def test_records_know_their_sources(old: Path) -> None:
    """Those that were taken from a trace before there was a table of sources, too: an erasure looks there."""
    await (await SQLiteStore.open(old, own=True)).close()
    tables = _tables(old)
    taken = {(row["record_id"], row["source_id"]) for row in tables["dataset_records"] if row["source_id"]}
    assert {(row["record_id"], row["trace_id"]) for row in tables["dataset_sources"]} == taken


async def test_it_is_written_to(old: Path) -> None:
    """It has today's schema in all: the columns of each table are those of a new store."""
    store = await SQLiteStore.open(old, own=True)
    await store.write(ping, 1)
    await store.close()
    fresh = old.with_name("fresh.db")
    new = await SQLiteStore.open(fresh, own=True)
    await new.close()
    shapes = []
    for path in (old, fresh):
        with closing(sqlite3.connect(path)) as connection:
            names = connection.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'").fetchall()
            columns = {name: connection.execute(f"PRAGMA table_info({name})").fetchall() for (name,) in names}
            shapes.append({name: {column[1:] for column in found} for name, found in columns.items()})
    assert shapes[0] == shapes[1]


def test_migrations_are_numbered_without_a_gap() -> None:
    """A number is a version: 1, 2, 3 …, each once, so that nobody can slip one in between."""
    folder = files("gateway.storage.sqlite").joinpath("migrations")
    numbers = sorted(int(entry.name.partition("_")[0]) for entry in folder.iterdir() if entry.name.endswith(".sql"))
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(STORES) > len(numbers), "a store of each version is kept"
