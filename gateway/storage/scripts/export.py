"""The reads of `gateway export` and `gateway report`: statements by the page, and the columns that leave the store.

Each page is a transaction of its own, since a long one would keep the log from being moved into the file. No key, and
no hash of one, is among the columns. Called by the commands of these names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from gateway.storage.engine import Row, RowReader, Statement, drive
from gateway.storage.scripts.attachments import whole_request
from gateway.storage.scripts.clauses import left_out_sql
from gateway.storage.scripts.traces import numbers

What = Literal["traces", "assessments"]


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


COLUMNS: Mapping[What, tuple[str, ...]] = {
    "traces": _names(
        "trace_id project route state outcome request_time end_time duration_ms first_token_ms model answered_model "
        "provider session_id user_id client_request_id finish_reason error_code error_message prompt_tokens "
        "completion_tokens total_tokens usage_estimated traceparent key_id config_hash tags metadata request_preview "
        "response_preview request response parts cost"
    ),
    "assessments": _names(
        "assessment_id trace_id project model kind name value source_type source_id span_id create_time "
        "last_update_time overrides valid retracted rationale metadata"
    ),
}
# the name in `--filter` → the column
FILTERS: Mapping[What, Mapping[str, str]] = {
    "traces": {
        "model": "model",
        "outcome": "outcome",
        "session": "session_id",
        "user": "user_id",
        "project": "project",
        "provider": "provider",
        "route": "route",
        "state": "state",
        "trace": "trace_id",
    },
    "assessments": {
        "name": "name",
        "value": "value",
        "user": "source_id",
        "model": "model",
        "project": "project",
        "trace": "trace_id",
        "kind": "kind",
        "valid": "valid",
    },
}
_PAGE = 500  # rows of one read, so that a caller who stops between two rows holds up nobody for long
_TIME = {"traces": "request_time", "assessments": "create_time"}
_ORDER = {"traces": ("trace_id",), "assessments": ("create_time", "assessment_id")}


class Query(msgspec.Struct, frozen=True):
    """`filters`: name → the values it may have; all names must hold. `since`: milliseconds, 0 for ever."""

    what: What
    since: int = 0
    filters: Mapping[str, tuple[str, ...]] = {}


def rows(reader: RowReader, query: Query) -> Iterator[Row]:
    """Yield all that a query finds, in constant memory."""
    last: Row | None = None
    while True:
        found = 0
        for row in reader.rows(page(query, last, _PAGE)):
            yield row if query.what == "assessments" else WholeRow(row, _whole(reader, row))
            last, found = row, found + 1
        if found < _PAGE:
            return


class WholeRow:
    """A row of `traces` with its request whole."""

    def __init__(self, row: Row, request: str | None) -> None:
        self._row, self._request = row, request

    def __getitem__(self, key: str) -> Any:
        return self._request if key == "request" else self._row[key]


def _whole(reader: RowReader, row: Row) -> str | None:
    return drive(whole_request(row), lambda sql, params: list(reader.rows((sql, params))))


def count(reader: RowReader, query: Query) -> int:
    """Return how many rows there are, as things stand."""
    (row,) = reader.rows(count_statement(query))
    return int(row["n"])


def count_statement(query: Query) -> Statement:
    """Return the statement that counts the rows, as `n`."""
    where, params = _where(query)
    return f"SELECT COUNT(*) AS n FROM {query.what} WHERE {where}", params  # noqa: S608  our own names


def page(query: Query, after: Row | None, limit: int) -> Statement:
    """Return the statement of the next `limit` rows after `after`: traces as they began, ratings as they came."""
    order = _ORDER[query.what]
    # `after` narrows more than `since` if the order begins with the time; with both an engine may pick the wrong index.
    where, params = _where(query, timed=after is None or _TIME[query.what] not in order)
    if after is not None:
        where += f" AND ({', '.join(order)}) > ({numbers(len(params) + 1, len(order))})"
        params += [after[name] for name in order]
    columns = ", ".join(COLUMNS[query.what])
    return (
        f"SELECT {columns} FROM {query.what} WHERE {where} ORDER BY {', '.join(order)} LIMIT {limit:d}",  # noqa: S608
        params,
    )


def _where(query: Query, *, timed: bool = True) -> tuple[str, list[object]]:
    wheres, bound = ["1 = 1"], list[object]()
    if timed and query.since:
        wheres, bound = [f"{_TIME[query.what]} >= $1"], [query.since]
    for name, texts in query.filters.items():
        values = [value for text in texts for value in _values(name, text)]
        wheres.append(f"{FILTERS[query.what][name]} IN ({numbers(len(bound) + 1, len(values))})")
        bound += values
    return " AND ".join(wheres), bound


def _values(name: str, text: str) -> list[object]:
    """Return the forms in which the store may hold the value of a filter."""
    if name == "valid":
        return [int(text == "true")]
    if name != "value":
        return [text]
    forms: list[object] = [text, msgspec.json.encode(text).decode()]
    try:
        number = float(text)
    except ValueError:
        return forms
    return [*forms, msgspec.json.encode(number).decode()]


# ------------------------------------------------------------------ report

# What judges, evaluations, reviewers and labeling make is no one's chat. A trace that was deleted may have been one.
_CHATS = " AND ".join(left_out_sql(("judges", "evaluations", "review", "copies")))


def chats(since: int, project: str | None) -> Statement:
    """Return the statement that counts finished chats by the model asked for: `chats`, and `rated` with a rating."""
    rated = (
        "EXISTS (SELECT 1 FROM assessments a WHERE a.trace_id = t.trace_id AND a.kind = 'feedback'"
        " AND a.source_type = 'HUMAN' AND a.valid = 1)"
    )
    return (
        f"SELECT model, COUNT(*) AS chats, SUM(CASE WHEN {rated} THEN 1 ELSE 0 END) AS rated FROM traces t"  # noqa: S608
        " WHERE request_time >= $1 AND outcome IS NOT NULL AND project = COALESCE($2, project)"
        f" AND {_CHATS} GROUP BY model",
        (since, project),
    )


def ratings(since: int, project: str | None) -> Statement:
    """Return the statement of each valid rating that a person gave: model, name, value, metadata."""
    return (
        "SELECT a.model, a.name, a.value, a.metadata FROM assessments a LEFT JOIN traces t ON t.trace_id = a.trace_id"  # noqa: S608
        " WHERE a.create_time >= $1 AND a.kind = 'feedback' AND a.source_type = 'HUMAN' AND a.valid = 1"
        f" AND a.project = COALESCE($2, a.project) AND {_CHATS}",
        (since, project),
    )
