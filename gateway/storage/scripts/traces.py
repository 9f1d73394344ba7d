"""Transaction scripts over traces, their spans and conversations. They know no engine, no wire and no clock.

A script is a generator, and one transaction: it yields statements, receives their rows and returns a value. An engine
drives it; see gateway/storage/engine.py for what the SQL may hold. A script raises GatewayErrors, and raises them
before its first write. An engine with several writers at once must run scripts as if one followed the other.

Called by the chat spine, the runs and the services, which hand a script and its arguments to `Engine.write` or
`Engine.read`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, TypeVar

import msgspec

from gateway.domain.ids import parent_trace_id
from gateway.domain.messages import Usage
from gateway.domain.trace import Checkpoint, Outcome, Span, State, Trace, TraceEnd, TraceStart
from gateway.errors import NotFound
from gateway.storage.engine import Row, Script
from gateway.storage.scripts.attachments import LEAST, OF_TRACE, detach, save_attachments, whole_request

T = TypeVar("T")
Count = Callable[[int], None]  # hears of memory that is taken, and raises Unavailable where there is none
# Two values are MLflow's words, as they are in every store. They are here since chats are written and read by them.
CLIENT_ROUTE = "mlflow"  # of a trace that a client made itself, where a chat has the path it came by
EXPERIMENT_TAG = "mlflow.experimentId"  # of a chat: the experiment that it belongs to
PARENT_LABEL = "gateway.parent_trace_id"  # metadata of a chat: the caller's own trace, by its traceparent

_STRINGS = msgspec.json.Decoder(dict[str, str])
_ATTRIBUTES = msgspec.json.Decoder(dict[str, Any])


class Session(msgspec.Struct, frozen=True):
    """A conversation and its owner. `user_id` None: it belongs to the whole project."""

    session_id: str
    project: str
    user_id: str | None


def to_json(value: object) -> str:
    """Return the JSON text of pairs; `{}` also for None."""
    return msgspec.json.encode(value).decode() if value else "{}"


def strings(text: str) -> dict[str, str]:
    """Return the string pairs that `to_json` wrote."""
    return _STRINGS.decode(text) if text != "{}" else {}


def numbers(first: int, count: int) -> str:
    """Return the placeholders of a list: `$2, $3, $4`."""
    return ", ".join(f"${i}" for i in range(first, first + count))


def insert_into(table: str, columns: Sequence[str]) -> str:
    """Return the INSERT of one row. Its values come in the order of the columns."""
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({numbers(1, len(columns))})"  # noqa: S608  our own names


def assignments(columns: Iterable[str], first: int) -> str:
    """Return the SET of an UPDATE, its values from `$first` on: `state = $2, outcome = $3`."""
    return ", ".join(f"{name} = ${at}" for at, name in enumerate(columns, first))


# The columns follow from the fields, so that a new one is written and read without a change here.
_START_COLUMNS = tuple(name for name in TraceStart.__struct_fields__ if name not in ("tags", "metadata"))
_BEGIN = insert_into("traces", (*_START_COLUMNS, "tags", "metadata", "state"))

_END_COLUMNS = tuple(
    name
    for name in TraceEnd.__struct_fields__
    if name not in ("trace_id", "project", "outcome", "usage", "usage_estimated", "spans")
)
_ENCODED_COLUMNS = ("state", "outcome", "prompt_tokens", "completion_tokens", "total_tokens", "usage_estimated")
_FINISH = f"UPDATE traces SET {assignments((*_ENCODED_COLUMNS, *_END_COLUMNS), 2)} WHERE trace_id = $1"  # noqa: S608  our own names

_SPAN_COLUMNS = ("span_id", "parent_id", "name", "kind", "start_ms", "end_ms", "status", "message")
_SPAN = insert_into("spans", ("trace_id", *_SPAN_COLUMNS, "attributes"))

_OWNER = "SELECT user_id FROM sessions WHERE project = $1 AND session_id = $2"


def begin_trace(start: TraceStart) -> Script[None]:
    """Insert a running trace, and its conversation if it is new.

    Raise NotFound if the conversation is another user's.
    """
    owners = yield _OWNER, (start.project, start.session_id)
    if not owners:
        yield (
            "INSERT INTO sessions (project, session_id, user_id, created) VALUES ($1, $2, $3, $4)",
            (start.project, start.session_id, start.user_id, start.request_time),
        )
    elif owners[0]["user_id"] not in (None, start.user_id):
        raise NotFound("No such session.")
    if start.request is not None and len(start.request) >= LEAST:
        request, data = detach(start.request)
        if data:
            yield from save_attachments(start.trace_id, start.project, data)
            start = msgspec.structs.replace(start, request=request)
    plain = [getattr(start, name) for name in _START_COLUMNS]
    yield _BEGIN, (*plain, to_json(start.tags), to_json(start.metadata), State.IN_PROGRESS.value)
    if start.tags or start.metadata or start.traceparent:
        yield from _label(start)


def _label(start: TraceStart) -> Script[None]:
    """Insert tags and metadata for the search, and set the experiment if a tag names one of this project."""
    metadata = start.metadata
    if start.traceparent:
        metadata = metadata | {PARENT_LABEL: parent_trace_id(start.traceparent)}
    for kind, pairs in (("tag", start.tags), ("metadata", metadata)):
        yield from add_labels(start.project, start.trace_id, kind, pairs)
    if EXPERIMENT_TAG in start.tags:
        yield (
            "UPDATE traces SET experiment_id = $2 WHERE trace_id = $1"
            " AND EXISTS (SELECT 1 FROM experiments WHERE project = $3 AND experiment_id = $2)",
            (start.trace_id, start.tags[EXPERIMENT_TAG], start.project),
        )


def add_labels(project: str, trace_id: str, kind: str, pairs: Mapping[str, str]) -> Script[None]:
    """Insert tags or metadata of a trace as the search looks them up. One that is there gets the new value."""
    for key, value in pairs.items():
        yield (
            "INSERT INTO labels (trace_id, kind, key, value, project) VALUES ($1, $2, $3, $4, $5)"
            " ON CONFLICT (trace_id, kind, key) DO UPDATE SET value = excluded.value",
            (trace_id, kind, key, value, project),
        )


def checkpoint(deltas: Iterable[Checkpoint], now: int) -> Script[None]:
    """Append to the kept text of running traces. A checkpoint that is there already changes nothing."""
    for delta in deltas:
        # The caller sends a batch again if it could not learn whether it was committed.
        yield (
            "INSERT INTO checkpoints (trace_id, seq, time, parts) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            (delta.trace_id, delta.seq, now, delta.parts),
        )


def finish_trace(end: TraceEnd) -> Script[None]:
    """Write the terminal state and the spans, and delete the checkpoints. A second call changes nothing."""
    # Looking first was measured to take half the time of an UPDATE with RETURNING.
    running = yield "SELECT 1 FROM traces WHERE trace_id = $1 AND end_time IS NULL", (end.trace_id,)
    if not running:  # ended by an earlier call, or never begun
        return
    usage = end.usage
    tokens = (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) if usage else (None, None, None)
    encoded = (end.outcome.state.value, end.outcome.value, *tokens, int(end.usage_estimated))
    yield _FINISH, (end.trace_id, *encoded, *[getattr(end, name) for name in _END_COLUMNS])
    for span in end.spans:
        plain = [getattr(span, name) for name in _SPAN_COLUMNS]
        yield _SPAN, (end.trace_id, *plain, to_json(span.attributes))
    yield "DELETE FROM checkpoints WHERE trace_id = $1", (end.trace_id,)


_TRACE_COLUMNS = (*_START_COLUMNS, *_END_COLUMNS)


def whole_trace(row: Row) -> Script[Trace]:
    """Return the trace that a row of `traces` holds, its request whole."""
    trace, request = to_trace(row), (yield from whole_request(row))
    return trace if request is trace.request else msgspec.structs.replace(trace, request=request)


def to_trace(row: Row) -> Trace:
    """Return the trace that a row of `traces` holds. Its request may have marks in it, see attachments.py."""
    usage = None
    if row["total_tokens"] is not None:
        usage = Usage(row["prompt_tokens"], row["completion_tokens"], row["total_tokens"])
    return Trace(
        **{name: row[name] for name in _TRACE_COLUMNS},
        state=State(row["state"]),
        outcome=row["outcome"] and Outcome(row["outcome"]),
        usage=usage,
        usage_estimated=bool(row["usage_estimated"]),
        tags=strings(row["tags"]),
        metadata=strings(row["metadata"]),
    )


def get_trace(project: str, trace_id: str) -> Script[Trace | None]:
    """Return the trace, or None if this project has none with that ID."""
    rows = yield "SELECT * FROM traces WHERE trace_id = $1 AND project = $2", (trace_id, project)
    return (yield from whole_trace(rows[0])) if rows else None


def last_asked(project: str, key_id: str | None, route: str, client_request_id: str) -> Script[Trace | None]:
    """Return the newest trace of this key and route with the client's own ID for its request, or None."""
    rows = yield (
        f"SELECT * FROM traces WHERE project = $1 AND client_request_id = $2 AND COALESCE(key_id, '') = $3"  # noqa: S608
        f" AND route = $4 {_NEWEST_FIRST} LIMIT 1",
        (project, client_request_id, key_id or "", route),
    )
    return (yield from whole_trace(rows[0])) if rows else None


def get_spans(trace_id: str) -> Script[list[Span]]:
    """Return the request's span, then those of its attempts in their order, also within a millisecond."""
    order = "parent_id IS NOT NULL, start_ms, end_ms, span_id"  # IDs rise, see domain/ids.py
    rows = yield f"SELECT * FROM spans WHERE trace_id = $1 ORDER BY {order}", (trace_id,)  # noqa: S608 - our own words
    return [
        Span(**{name: row[name] for name in _SPAN_COLUMNS}, attributes=_ATTRIBUTES.decode(row["attributes"]))
        for row in rows
    ]


def get_session(project: str, session_id: str) -> Script[Session | None]:
    """Return the conversation, or None if this project has none with that ID."""
    rows = yield _OWNER, (project, session_id)
    return Session(session_id, project, rows[0]["user_id"]) if rows else None


_NEWEST_FIRST = "ORDER BY request_time DESC, trace_id DESC"
_SIZES = f"""SELECT trace_id, COALESCE(LENGTH(request), 0) + COALESCE(LENGTH(response), 0) + COALESCE(LENGTH(parts), 0)
+ COALESCE((SELECT SUM(LENGTH(a.data)) FROM {OF_TRACE} = traces.trace_id), 0)
AS size FROM traces WHERE project = $1 AND session_id = $2 AND route <> '{CLIENT_ROUTE}' {_NEWEST_FIRST} LIMIT $3"""  # noqa: S608  a constant
_SMALL, _COPIES = 65_536, 3  # what isn't worth counting; texts are there as they were read, decoded, and written
MOST_CHARS = 32_000_000  # of a conversation; each of its turns may be as long as a request body


def session_traces(project: str, session_id: str, limit: int = 200, count: Count | None = None) -> Script[list[Trace]]:
    """Return the newest `limit` traces of a conversation, oldest first.

    They are fewer, but at least one, if they have more than MOST_CHARS characters together. `count` hears of the bytes
    of memory that they will take, before they are read.
    """
    found = yield _SIZES, (project, session_id, limit)
    totals = list(accumulate(row["size"] for row in found))
    ids = [row["trace_id"] for row, total in zip(found, totals, strict=True) if total <= max(MOST_CHARS, row["size"])]
    if not ids:
        return []
    if count is not None and (size := totals[len(ids) - 1]) > _SMALL:
        count(_COPIES * size)
    rows = yield f"SELECT * FROM traces WHERE trace_id IN ({numbers(1, len(ids))}) {_NEWEST_FIRST}", ids  # noqa: S608
    traces = []
    for row in reversed(rows):
        traces.append((yield from whole_trace(row)))
    return traces


# An ID that clients give may come more than once. The caller's own trace is that of the caller's key, and of the rater
# or of nobody; then come those of other secret keys, then other users'. What a page asked by a publishable key counts
# for its own user alone: else a visitor could catch what a server rates by such an ID.
_OTHERS = "t.user_id IS NOT NULL AND t.user_id <> COALESCE($4, '')"
_FIND_ASKED = (
    "SELECT t.trace_id, t.model FROM traces t LEFT JOIN keys k ON k.key_id = t.key_id"  # noqa: S608  a constant
    " WHERE t.project = $1 AND t.client_request_id = $2 AND (COALESCE(k.publishable, 0) = 0 OR t.user_id = $4)"
    f" ORDER BY CASE WHEN {_OTHERS} THEN 1 ELSE 0 END,"
    " CASE WHEN COALESCE(t.key_id, '') = COALESCE($3, '') THEN 0 ELSE 1 END,"
    " CASE WHEN t.user_id = $4 THEN 0 ELSE 1 END, t.request_time DESC, t.trace_id DESC LIMIT 1"
)


def find_trace(
    project: str,
    trace_id: str | None,
    client_request_id: str | None,
    key_id: str | None = None,
    user_id: str | None = None,
) -> Script[Row | None]:
    """Return the trace's `trace_id` and `model`: by its own ID, or by the client request ID that it was asked with.

    Of several with that ID it is the caller's own, and of these the newest. `key_id` is the caller's key, and `user_id`
    whom the caller rates as.
    """
    if trace_id is not None:
        rows = yield "SELECT trace_id, model FROM traces WHERE trace_id = $1 AND project = $2", (trace_id, project)
    else:
        rows = yield _FIND_ASKED, (project, client_request_id, key_id, user_id)
    return rows[0] if rows else None


def resolve_trace(
    project: str,
    trace_id: str | None,
    client_request_id: str | None,
    key_id: str | None = None,
    user_id: str | None = None,
) -> Script[str | None]:
    """Return the ID of the trace that `find_trace` finds, if there is one."""
    row = yield from find_trace(project, trace_id, client_request_id, key_id, user_id)
    return row["trace_id"] if row else None
