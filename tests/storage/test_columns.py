"""Every column is declared to erasure, retention, capture and export, and is treated as it is declared.

A person's rows are made in all tables, and each of their columns gets a word of its own: so a new table or column that
erasure or retention doesn't know fails here.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from gateway.access.sign_ins import new_sign_in
from gateway.config.current import Current
from gateway.config.schema import Config
from gateway.erasure import EraseRequest, Erasure
from gateway.mlflow.scripts.assessments import create_assessment
from gateway.mlflow.scripts.datasets import create_dataset, upsert_records
from gateway.mlflow.scripts.experiments import create_experiment
from gateway.mlflow.scripts.runs import create_run, link_traces
from gateway.mlflow.scripts.spans import save_spans
from gateway.mlflow.scripts.traces import save_artifact, save_info
from gateway.mlflow.values import ClientTrace, Dataset, NewRecord, Run, RunValue
from gateway.mlflow.wire import otlp
from gateway.storage.scripts.attachments import LEAST
from gateway.storage.scripts.export import COLUMNS as EXPORTED
from gateway.storage.scripts.feedback import record_feedback
from gateway.storage.scripts.ops import expire
from gateway.storage.scripts.people import Seen, sign_in
from gateway.storage.scripts.traces import begin_trace, finish_trace
from gateway.storage.sqlite.engine import SQLiteStore
from tests.support.columns import COLUMNS, KINDS, those
from tests.support.rows import PROJECT, a_rating, a_start, a_write, an_end, ask

JANE, SESSION, MARK = "jane-zq7@example.com", "session-zq7", "zq7"
CLIENTS = "tr-" + "ab" * 16
# How a word is written into a column that isn't plain text.
PAIRS = '{{"k":"{0}"}}'
SHAPES = {
    "attributes": PAIRS,
    "error": PAIRS,
    "expectations": PAIRS,
    "inputs": PAIRS,
    "metadata": PAIRS,
    "outputs": PAIRS,
    "parts": '[["text","{0}"]]',
    "schema": '{{"inputs":{{"{0}":"string"}}}}',
    "source": PAIRS,
    "tags": PAIRS,
}


async def columns_of(store: SQLiteStore) -> set[tuple[str, str]]:
    """Table and column of all that the store has."""
    tables = await store.read(ask, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    return {(table, row[1]) for (table,) in tables for row in await store.read(ask, f"PRAGMA table_info({table})")}


async def test_every_column_is_declared(store: SQLiteStore) -> None:
    """In tests/support/columns.py, which says what the flags mean; one of them says what it is."""
    assert await columns_of(store) == set(COLUMNS)
    assert [place for place, flags in COLUMNS.items() if len(flags & KINDS) != 1] == []


def test_every_column_is_declared_to_the_export() -> None:
    """What leaves the store is what was meant to."""
    exported = {(table, column) for table, columns in EXPORTED.items() for column in columns}
    assert exported == set(those("export"))


async def live(store: SQLiteStore) -> str:
    """A row of Jane's in every table. The trace of somebody else that she rated."""
    picture = f'[{{"role":"user","content":"{"A" * LEAST}"}}]'
    hers = {"user_id": JANE, "session_id": SESSION, "tags": {"t": MARK}, "metadata": {"m": MARK}, "key_id": "key-1"}
    start = a_start(request=picture, **hers)
    await store.write(begin_trace, start)
    await store.write(finish_trace, an_end(start))
    bens = a_start(user_id="ben", session_id="bens")
    await store.write(begin_trace, bens)
    await store.write(finish_trace, an_end(bens))
    for trace_id, rater in ((start.trace_id, JANE), (start.trace_id, "ben"), (bens.trace_id, JANE)):
        await store.write(record_feedback, a_write(trace_id, source_id=rater, idempotency_key=f"{trace_id}{rater}"))
    await store.write(ask, "INSERT INTO checkpoints VALUES ($1, 1, 1, '[]')", start.trace_id)
    info = ClientTrace(
        trace_id=CLIENTS, experiment_id="0", request_time=1, duration_ms=2, state="OK", user_id=JANE, tags={"t": MARK}
    )
    await store.write(save_info, PROJECT, info, [], 5)
    body = b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"%b","spanId":"0000000000000001","name":"n"}]}]}]}'
    ((trace_id, spans),) = otlp.decode(body % CLIENTS[3:].encode(), is_json=True).items()
    await store.write(save_spans, PROJECT, [(otlp.trace_of(trace_id, "0", spans), spans)], 5)
    await store.write(save_artifact, PROJECT, CLIENTS, MARK)
    await store.write(create_assessment, a_rating(trace_id=CLIENTS, source_id="judge", source_type="LLM_JUDGE"))
    await store.write(create_experiment, PROJECT, "team's", {"mlflow.user": JANE}, 5)
    run = Run(run_id="r-1", project=PROJECT, experiment_id="0", name="n", user_id=JANE, status="RUNNING", start_time=1)
    await store.write(create_run, run, [RunValue(kind="tag", key="mlflow.user", value=JANE)])
    await store.write(link_traces, PROJECT, "r-1", [start.trace_id])
    dataset = Dataset(
        dataset_id="d-1", project=PROJECT, name="d", digest="", created_time=1, last_update_time=1, created_by=JANE,
        tags={"mlflow.user": JANE},
    )  # fmt: skip
    await store.write(create_dataset, dataset)
    source = {"source_type": "TRACE", "source_data": {"trace_id": start.trace_id}}
    records = [
        ("dr-1", NewRecord(inputs={"q": 1}, source=source, tags={"mlflow.user": JANE})),
        ("dr-2", NewRecord(inputs={"q": 2})),  # hers by a later upsert
        ("dr-2", NewRecord(inputs={"q": 2}, source=source)),
        ("dr-3", NewRecord(inputs={"q": 3}, source={"source_type": "HUMAN", "source_data": {"user_name": JANE}})),
        ("dr-4", NewRecord(inputs={"q": {"of": [{"user": JANE}]}})),
    ]
    await store.write(upsert_records, PROJECT, "d-1", records, 5)
    _, signed_in = new_sign_in(PROJECT, JANE, "lead", "invite", "in-1", 5)
    await store.write(sign_in, signed_in, Seen(PROJECT, JANE, "lead", "invite", 5, MARK))
    for invite_id, invited, by in (("in-1", JANE, "ben"), ("in-2", "ben", JANE)):
        await store.write(
            ask,
            "INSERT INTO invites VALUES ($1, $2, $3, 'lead', '[]', $1, 1, $4, 2, NULL, 1, 1, $5)",
            *(invite_id, PROJECT, invited, by, MARK if invited == JANE else "::1"),
        )
    return bens.trace_id


async def mark(store: SQLiteStore, bens: str) -> None:
    """Write a word into each column of Jane's rows that may have words of people."""
    for table, column in those("words", "content"):
        if (table, column) in {("spans", "name"), ("spans", "type")}:
            where = "otlp IS NOT NULL"  # the gateway's own spans are named by it
        elif table == "dataset_records":
            where = "record_id IN ('dr-1', 'dr-2')"
        elif "trace_id" in {name for of, name in COLUMNS if of == table}:
            where = f"trace_id <> '{bens}'" if table != "assessments" else f"source_id <> 'ben' OR trace_id <> '{bens}'"
        else:
            where = "1 = 1"
        if (table, column) == ("assessments", "name"):
            where = f"source_type = 'HUMAN' AND ({where})"  # what a judge's is called, its developer says
        word = f"{MARK}-{table}-{column}"
        written = f"'{SHAPES.get(column, '{0}').format(word)}'"
        if (table, column) == ("assessments", "value"):
            written = f"'\"{word}\"'"
        elif (table, column) == ("idempotency", "receipt"):
            written = f"SUBSTR(receipt, 1, 49) || '{word}'"
        elif column in ("key", "name"):  # of which there is one in a table
            written = f"{column} || '{word}'"
        await store.write(ask, f"UPDATE {table} SET {column} = {written} WHERE {where}")  # noqa: S608  our own words


async def marked(store: SQLiteStore) -> set[tuple[str, str]]:
    """Table and column of all that has a word or an ID of Jane's."""
    found = set()
    for table, column in sorted(await columns_of(store)):
        rows = await store.write(ask, f"SELECT COUNT(*) FROM {table} WHERE INSTR({column}, '{MARK}') > 0")  # noqa: S608
        if rows != [(0,)]:
            found.add((table, column))
    return found


@pytest.fixture
async def bens(store: SQLiteStore) -> str:
    """The trace of somebody else, beside all that Jane can leave behind."""
    trace_id = await live(store)
    await mark(store, trace_id)
    assert set(those("person", "words", "content")) - await marked(store) == {
        # of what she didn't bring here
        ("traces", "client_request_id"), ("traces", "traceparent"), ("dataset_sources", "user_id"),
    }  # fmt: skip
    return trace_id


async def erase(store: SQLiteStore) -> None:
    await Erasure(store, None, Current(Config())).erase(EraseRequest(JANE))


async def test_erasure_leaves_nothing_in_any_column(store: SQLiteStore, bens: str) -> None:
    """Of words and IDs; what is not hers is as it was."""
    before = await store.write(ask, "SELECT * FROM traces WHERE trace_id = $1", bens)
    numbers = await store.write(ask, "SELECT trace_id, duration_ms, total_tokens, state FROM traces ORDER BY trace_id")
    await erase(store)
    assert await marked(store) == set()
    assert await store.write(ask, "SELECT * FROM traces WHERE trace_id = $1", bens) == before
    assert numbers == await store.write(
        ask, "SELECT trace_id, duration_ms, total_tokens, state FROM traces ORDER BY trace_id"
    )
    assert await store.write(ask, "SELECT record_id FROM dataset_records ORDER BY record_id") == [("dr-3",)]
    assert await store.write(ask, "SELECT profile, schema FROM datasets") == [('{"num_records":1}', None)]
    assert await store.write(ask, "SELECT COUNT(*), SUM(valid) FROM assessments") == [(4, 4)]


async def test_retention_leaves_what_is_declared_to_stay(store: SQLiteStore, bens: str) -> None:
    """Numbers, what teams wrote, and who rated; then erasure finds what was left, though the trace is gone."""
    await store.write(expire, 10_000_000_000_000, 10_000_000_000_000, 100)
    left = await marked(store)
    assert left <= {*those("kept"), *those("team")}, left.difference(those("kept", "team"))
    assert left >= {("assessments", "source_id"), ("dataset_records", "inputs"), ("dataset_sources", "user_id")}
    await erase(store)
    assert await marked(store) == set()
    assert await store.write(ask, "SELECT COUNT(*) FROM assessments") == [(4,)]


@pytest.mark.parametrize("way", ["erasure", "retention"])
async def test_nothing_is_left_in_the_file_its_log_and_a_backup(store: SQLiteStore, bens: str, way: str) -> None:
    """What was deleted is overwritten, wherever SQLite had it; retention leaves what is declared to stay."""
    words = {f"{MARK}-{table}-{column}" for table, column in those("words", "content")}
    assert {word for word in words if word.encode() in bytes_of(store)} == words
    if way == "erasure":
        await erase(store)
        words.add(MARK)
    else:
        await store.write(expire, 10_000_000_000_000, 10_000_000_000_000, 100)
        assert await store.purge_deleted(rewrite=False)
        words -= {f"{MARK}-{table}-{column}" for table, column in those("kept")}
    backup = store.path.with_name("backup.db")
    with closing(sqlite3.connect(f"file:{store.path}?mode=ro", uri=True)) as connection:
        connection.execute("VACUUM INTO ?", [str(backup)])
    for data in (bytes_of(store), backup.read_bytes()):
        assert [word for word in words if word.encode() in data] == []


def bytes_of(store: SQLiteStore) -> bytes:
    return b"".join(path.read_bytes() for path in store.path.parent.iterdir() if path.name.startswith(store.path.name))


def test_the_flags_are_known() -> None:
    """A flag that is misspelt would mean nothing."""
    known: set[Any] = KINDS | {"kept", "export"}
    assert {flag for flags in COLUMNS.values() for flag in flags} == known
