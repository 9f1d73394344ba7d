"""Transaction scripts over traces: store those that clients made, read all, tag and delete. Run by handlers/traces.py
and handlers/otlp.py.

The info and the spans of a client's trace come apart, in any order, and may come again. Whatever comes first inserts
the row, and the info wins over what the spans tell. A trace belongs to the project that wrote it first, and a chat to
the gateway: nobody else writes into either. See gateway/storage/engine.py for what a script is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from gateway.domain.trace import Assessment
from gateway.errors import InvalidValue, NotFound
from gateway.mlflow.names import INFO_FINALIZED, TRACE_NAME
from gateway.mlflow.scripts.assessments import insert_overriding
from gateway.mlflow.scripts.experiments import require_active
from gateway.mlflow.values import ChatSpans, ClientSpans, ClientTrace, StoredSpans, StoredTrace
from gateway.storage.engine import Row, Script
from gateway.storage.scripts.clauses import INDEXED
from gateway.storage.scripts.feedback import to_assessment
from gateway.storage.scripts.kept import DELETED, delete_trace
from gateway.storage.scripts.listing import SELECT_INFO
from gateway.storage.scripts.traces import (
    CLIENT_ROUTE,
    PARENT_LABEL,
    add_labels,
    assignments,
    get_spans,
    numbers,
    strings,
    to_json,
    to_trace,
    whole_trace,
)

MAX_TAGS, MAX_CHARS = 1_000, 1_000_000  # tags, and likewise metadata, of a trace; characters of all of them
_CHUNK = 500  # IDs a query
MAX_DELETED, _ROWS_OF_TRACE = 500, 5  # rows that are deleted at once, and those of a trace beside its spans

# The columns follow from the fields, so that a new one is written without a change here.
_COLUMNS = tuple(name for name in ClientTrace.__struct_fields__ if name not in ("trace_id", "tags", "metadata"))
_SET = assignments((*_COLUMNS, "tags", "metadata", "end_time"), 2)
_UPDATE = f"UPDATE traces SET {_SET} WHERE trace_id = $1"  # noqa: S608  our own names
_INSERT = (
    "INSERT INTO traces (trace_id, project, root_span_id, route, model, config_hash, experiment_id, request_time,"
    " session_id, state, tags, metadata) VALUES ($1, $2, '', $3, '', '', $4, $5, '', 'IN_PROGRESS', '{}', '{}')"
)


# ------------------------------------------------------------------ store what clients made


def save_info(project: str, trace: ClientTrace, ratings: Sequence[Assessment], now: int) -> Script[StoredTrace]:
    """Store the info of a client's trace and the assessments sent with it; those stored before aren't added again.

    Raise NotFound for the experiment, and InvalidValue for a trace that isn't this project's to write.
    """
    yield from require_active(project, trace.experiment_id)
    row = yield from row_or_new(project, trace)
    yield from update(project, trace, row, now)
    for rating in ratings:
        known = yield "SELECT 1 FROM assessments WHERE assessment_id = $1", (rating.assessment_id,)
        if not known:
            yield from insert_overriding(rating, "")
    (stored,) = yield from get_infos(project, [trace.trace_id])
    return stored


def writable_row(project: str, trace_id: str) -> Script[Row | None]:
    """Return the row of a trace, if any. Raise InvalidValue unless it is a client's of this project."""
    rows = yield "SELECT * FROM traces WHERE trace_id = $1", (trace_id,)
    if rows and (rows[0]["project"] != project or rows[0]["route"] != CLIENT_ROUTE):
        raise InvalidValue("This trace ID can't be written to.")
    return rows[0] if rows else None


def row_or_new(project: str, trace: ClientTrace) -> Script[Row]:
    """Return the row of a client's trace, inserted if need be."""
    row = yield from writable_row(project, trace.trace_id)
    if row is None:
        yield _INSERT, (trace.trace_id, project, CLIENT_ROUTE, trace.experiment_id, trace.request_time)
        row = yield from writable_row(project, trace.trace_id)
    assert row is not None  # noqa: S101  it was just inserted
    return row


def fill_gaps(trace: ClientTrace, row: Row) -> ClientTrace:
    """Return what spans tell of a trace, merged with its row. Once the client's info is there, they only fill gaps."""
    if INFO_FINALIZED in strings(row["metadata"]):
        there = {name: row[name] for name in _COLUMNS if row[name] not in (None, "")}
        return msgspec.structs.replace(trace, **there, metadata=trace.metadata | strings(row["metadata"]))
    if row["end_time"] is None:  # inserted a moment ago
        return trace
    start = min(trace.request_time, row["request_time"])
    ends = [row["request_time"] + (row["duration_ms"] or 0), trace.request_time + (trace.duration_ms or 0)]
    there = {name: row[name] for name in _COLUMNS if row[name] and getattr(trace, name) in (None, "", "IN_PROGRESS")}
    return msgspec.structs.replace(trace, **there | {"request_time": start, "duration_ms": max(ends) - start})


def update(project: str, trace: ClientTrace, row: Row, now: int) -> Script[None]:
    tags, metadata = strings(row["tags"]) | trace.tags, strings(row["metadata"]) | trace.metadata
    _check_pairs("tags", tags)
    _check_pairs("metadata", metadata)
    given = {name: getattr(trace, name) for name in _COLUMNS}
    for name in ("name", "request_preview", "response_preview"):
        given[name] = given[name] if given[name] is not None else row[name]
    yield _UPDATE, (trace.trace_id, *given.values(), to_json(tags), to_json(metadata), row["end_time"] or now)
    yield from add_labels(project, trace.trace_id, "tag", trace.tags)
    yield from add_labels(project, trace.trace_id, "metadata", trace.metadata)


# ------------------------------------------------------------------ read


def get_infos(project: str, trace_ids: Sequence[str]) -> Script[list[StoredTrace]]:
    """Return the traces that are there, in the order asked for."""
    found: dict[str, StoredTrace] = {}
    for at in range(0, len(trace_ids), _CHUNK):
        chunk = trace_ids[at : at + _CHUNK]
        rows = yield (
            f"{SELECT_INFO} WHERE no_index(project) = $1 AND trace_id IN ({numbers(2, len(chunk))})",
            (project, *chunk),
        )
        found |= {stored.trace.trace_id: stored for stored in (yield from with_assessments(project, rows))}
    return [found[trace_id] for trace_id in trace_ids if trace_id in found]


def with_assessments(project: str, rows: Sequence[Row]) -> Script[list[StoredTrace]]:
    """Return rows of SELECT_INFO as traces, with their assessments and the chats made within them.

    Each row binds a parameter, so callers pass at most 500: a chunk of `get_infos`, or a page of a search.
    """
    ids = [row["trace_id"] for row in rows]
    client_made = [row["trace_id"] for row in rows if row["route"] == CLIENT_ROUTE]
    ratings: dict[str, list[Assessment]] = {}
    linked: dict[str, list[str]] = {}
    if ids:
        rated = yield (
            f"SELECT * FROM assessments WHERE trace_id IN ({numbers(2, len(ids))}) AND no_index(project) = $1"  # noqa: S608  numbers
            " AND retracted IS NULL ORDER BY create_time, assessment_id",
            (project, *ids),
        )
        for row in rated:
            ratings.setdefault(row["trace_id"], []).append(to_assessment(row))
    if client_made:
        chats = yield (
            "SELECT trace_id, value FROM labels WHERE project = $1 AND kind = 'metadata' AND key = $2"  # noqa: S608
            f" AND {INDEXED} AND value IN ({numbers(3, len(client_made))}) ORDER BY trace_id",
            (project, PARENT_LABEL, *client_made),
        )
        for row in chats:
            linked.setdefault(row["value"], []).append(row["trace_id"])
    return [
        StoredTrace(
            trace=to_trace(row),
            experiment_id=row["experiment_id"],
            name=row["name"],
            client_made=row["route"] == CLIENT_ROUTE,
            assessments=tuple(ratings.get(row["trace_id"], ())),
            linked=tuple(linked.get(row["trace_id"], ())),
        )
        for row in rows
    ]


# A root goes first: a span that it calls may begin within the same millisecond.
_SPANS_OF = "SELECT otlp FROM spans WHERE trace_id = $1 ORDER BY parent_id IS NOT NULL, start_ms, span_id"


def get_spans_of(project: str, trace_ids: Iterable[str]) -> Script[dict[str, StoredSpans]]:
    """Return spans by trace; nothing for a trace that isn't there."""
    found: dict[str, StoredSpans] = {}
    for trace_id in trace_ids:
        rows = yield "SELECT * FROM traces WHERE trace_id = $1 AND project = $2", (trace_id, project)
        if rows and rows[0]["route"] == CLIENT_ROUTE:
            spans = yield _SPANS_OF, (trace_id,)
            found[trace_id] = ClientSpans(tuple(row["otlp"] for row in spans))
        elif rows:
            trace = yield from whole_trace(rows[0])
            found[trace_id] = ChatSpans(trace, tuple((yield from get_spans(trace_id))))
    return found


# ------------------------------------------------------------------ tags, deletion


def set_tag(project: str, trace_id: str, key: str, value: str | None) -> Script[None]:
    """Set a tag, or delete it where `value` is None. Raise NotFound for the trace, or for the tag to delete."""
    rows = yield "SELECT tags, name FROM traces WHERE trace_id = $1 AND project = $2", (trace_id, project)
    if not rows:
        raise NotFound(f"Trace with ID '{trace_id}' not found.")
    tags = strings(rows[0]["tags"])
    if key == TRACE_NAME:
        if value is None and rows[0]["name"] is None:
            raise _no_tag(trace_id, key)
        yield "UPDATE traces SET name = $2 WHERE trace_id = $1", (trace_id, value)
        return
    if value is None:
        if key not in tags:
            raise _no_tag(trace_id, key)
        del tags[key]
        yield "DELETE FROM labels WHERE trace_id = $1 AND kind = 'tag' AND key = $2", (trace_id, key)
    else:
        tags[key] = value
        _check_pairs("tags", tags)
        yield from add_labels(project, trace_id, "tag", {key: value})
    yield "UPDATE traces SET tags = $2 WHERE trace_id = $1", (trace_id, to_json(tags))


def _check_pairs(what: str, pairs: Mapping[str, str]) -> None:
    """Raise InvalidValue for too many or too long ones: each change writes all of them."""
    if len(pairs) > MAX_TAGS or sum(map(len, pairs.values())) > MAX_CHARS:
        raise InvalidValue(f"A trace has at most {MAX_TAGS} {what}, with {MAX_CHARS:,} characters together.")


def _no_tag(trace_id: str, key: str) -> NotFound:
    return NotFound(f"No trace tag with key '{key}' for trace with ID '{trace_id}'")


def delete_traces(
    project: str, experiment_id: str, trace_ids: Sequence[str] | None, before: int | None, limit: int
) -> Script[tuple[int, bool]]:
    """Delete traces with all that belongs to them, ratings too; a running chat stays. Return how many, and if more are.

    Either those of `trace_ids`, or the oldest `limit` up to the time `before`. A trace with many spans goes in parts.
    """
    if trace_ids is not None:
        rows = yield (
            f"SELECT {DELETED} FROM traces WHERE project = $1 AND experiment_id = $2 AND end_time IS NOT NULL"  # noqa: S608
            f" AND trace_id IN ({numbers(3, len(trace_ids))})",
            (project, experiment_id, *trace_ids),
        )
    else:
        rows = yield (
            f"SELECT {DELETED} FROM traces WHERE project = $1 AND experiment_id = $2 AND request_time <= $3"  # noqa: S608
            " AND end_time IS NOT NULL ORDER BY request_time, trace_id LIMIT $4",
            (project, experiment_id, before, limit),
        )
    room = MAX_DELETED
    for done, row in enumerate(rows):
        spans = yield (
            "DELETE FROM spans WHERE trace_id = $1 AND span_id IN"
            " (SELECT span_id FROM spans WHERE trace_id = $1 LIMIT $2) RETURNING span_id",
            (row["trace_id"], room),
        )
        room -= len(spans) + _ROWS_OF_TRACE
        if room <= 0:
            return done, True
        yield from delete_trace(row)
        yield "DELETE FROM assessments WHERE trace_id = $1", (row["trace_id"],)
    return len(rows), trace_ids is None and len(rows) == limit


# ------------------------------------------------------------------ files of older clients


def save_artifact(project: str, trace_id: str, data: str) -> Script[None]:
    """Store the spans of a client's trace as one file. Raise NotFound for the trace."""
    row = yield from writable_row(project, trace_id)
    if row is None:
        raise NotFound(f"Trace with ID '{trace_id}' not found.")
    yield (
        "INSERT INTO trace_artifacts (trace_id, project, data) VALUES ($1, $2, $3)"
        " ON CONFLICT (trace_id) DO UPDATE SET data = excluded.data",
        (trace_id, project, data),
    )


def get_artifact(project: str, trace_id: str) -> Script[str | None]:
    """Return the file of a trace, or None."""
    rows = yield "SELECT data FROM trace_artifacts WHERE trace_id = $1 AND project = $2", (trace_id, project)
    return rows[0]["data"] if rows else None
