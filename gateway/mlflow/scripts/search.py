"""The transaction script of the search over traces, a page at a time. Run by handlers/traces.py.

There are two ways to find a page: walk the traces from the newest and test each, or gather those that an index says can
match, and sort them. An equality on a tag, on metadata or on an assessment's value is counted first, up to FEW. If few
traces match, they are gathered. If many match, a short walk is likely to meet a page of them; if it doesn't, they are
gathered after all. See gateway/storage/engine.py for what a script is.
"""

from __future__ import annotations

import base64
from typing import Literal

import msgspec

from gateway.errors import InvalidValue
from gateway.mlflow.names import TRACE_SESSION
from gateway.mlflow.scripts.clauses import RUN, Add, adder, clause_sql, indexed_sql, order_sql, spans_sql
from gateway.mlflow.scripts.traces import SELECT_INFO, with_assessments
from gateway.mlflow.values import Clause, StoredTrace, TraceQuery
from gateway.storage.engine import Script
from gateway.storage.scripts.traces import numbers

FEW = 5_000  # matches that are sorted rather than walked to
WALK = 10_000  # traces that are tested before many matches are sorted, too
_TIME = ("attribute", "timestamp_ms")
_COLUMN_INDEX = {("metadata", TRACE_SESSION, "="), ("attribute", "client_request_id", "=")}
_IDS = {("attribute", "request_id", "="), ("attribute", "request_id", "IN"), (*RUN, "=")}


class _Cursor(msgspec.Struct, frozen=True):
    """Where a page ended: at the last trace in the usual order, or after so many traces in an order of the caller's."""

    time: int | None = None
    trace_id: str = ""
    offset: int = 0


class _Driver(msgspec.Struct, frozen=True):
    """How the traces are narrowed down: by IDs or an indexed column, and by clauses that few or many traces meet."""

    by: Literal["id", "column", ""]
    few: tuple[Clause, ...]
    many: tuple[Clause, ...]

    def widened(self) -> _Driver:
        """Return a driver that gathers by all clauses that an index answers, however many traces meet them."""
        return _Driver("id", self.few + self.many, ())


def search_traces(query: TraceQuery) -> Script[tuple[list[StoredTrace], str | None]]:
    """Return a page of traces, and the token of the next page or None. Raise InvalidValue for a bad token."""
    if query.limit <= 0 or not query.experiment_ids:
        return [], None
    cursor = _read_token(query.page_token)
    keyset = not query.orders
    driver = yield from _driver(query)
    begin = None
    if driver.many and not driver.by:
        if keyset and len(query.experiment_ids) == 1:  # the traces of several are not in the order of time
            begin = yield from _begin(query, cursor)
        else:
            driver = driver.widened()
    rows = yield _page(query, cursor, driver, begin)
    if begin is not None and len(rows) < query.limit:
        rows = yield _page(query, cursor, driver.widened(), None)
    ids = [row["trace_id"] for row in rows]
    token = None
    if len(rows) == query.limit:
        last_row = rows[-1]
        here = _Cursor(last_row["request_time"], last_row["trace_id"])
        token = _write_token(here if keyset else _Cursor(offset=cursor.offset + len(rows)))
    if not ids:
        return [], None
    found = yield (
        f"{SELECT_INFO} WHERE trace_id IN ({numbers(1, len(ids))})",
        ids,
    )
    by_id = {row["trace_id"]: row for row in found}
    return (yield from with_assessments(query.project, [by_id[each] for each in ids if each in by_id])), token


def _page(query: TraceQuery, cursor: _Cursor, driver: _Driver, begin: int | None) -> tuple[str, list[object]]:
    """Return the statement for the IDs and times of a page's traces, none older than `begin`."""
    params: list[object] = []
    add = adder(params)
    experiments = ", ".join(add(each) for each in query.experiment_ids)
    # Without its indexes the engine can't walk a whole experiment where few traces match.
    where = [
        f"{'no_index(t.project)' if driver.by == 'id' else 't.project'} = {add(query.project)}",
        f"{'no_index(t.experiment_id)' if driver.by else 't.experiment_id'} IN ({experiments})",
    ]
    where += [f"t.trace_id IN (SELECT trace_id FROM {indexed_sql(query.project, c, add)})" for c in driver.few]  # noqa: S608
    for clause in query.clauses:
        if (clause.kind, clause.key, clause.op) == ("metadata", TRACE_SESSION, "="):
            where.append(f"t.session_id = {add(clause.value)}")
        if clause.kind != "span":
            where.append(clause_sql(query.project, clause, add))
    if on_spans := [clause for clause in query.clauses if clause.kind == "span"]:
        where.append(spans_sql(on_spans, add))
    if begin is not None:
        where.append(f"t.request_time >= {add(begin)}")
    orders = [f"{order_sql(order, add)} {'ASC' if order.ascending else 'DESC'} NULLS LAST" for order in query.orders]
    if not orders:
        where += _after(cursor, add)
    orders += ["t.request_time DESC", "t.trace_id"]
    return (
        f"SELECT t.trace_id, t.request_time FROM traces t WHERE {' AND '.join(where)}"  # noqa: S608  our own words
        f" ORDER BY {', '.join(orders)} LIMIT {add(query.limit)} OFFSET {add(cursor.offset if query.orders else 0)}",
        params,
    )


def _after(cursor: _Cursor, add: Add) -> list[str]:
    if cursor.time is None:
        return []
    at, last = add(cursor.time), add(cursor.trace_id)
    return [
        f"(t.request_time < {at} OR (t.request_time = {at} AND t.trace_id > {last}))",
        f"t.request_time <= {at}",
    ]


def _driver(query: TraceQuery) -> Script[_Driver]:
    """Count what an index can count, up to FEW, and return the driver."""
    column, by_id = False, False
    few: list[Clause] = []
    many: list[Clause] = []
    for clause in query.clauses:
        name = (clause.kind, clause.key, clause.op)
        column = column or name in _COLUMN_INDEX
        by_id = by_id or name in _IDS
        counted: list[object] = []
        one = indexed_sql(query.project, clause, adder(counted))
        if one is not None:
            rows = yield f"SELECT COUNT(*) AS n FROM (SELECT 1 FROM {one} LIMIT {FEW + 1}) x", counted  # noqa: S608
            (few if rows[0]["n"] <= FEW else many).append(clause)
    return _Driver("column" if column else "id" if by_id or few else "", tuple(few), tuple(many))


def _begin(query: TraceQuery, cursor: _Cursor) -> Script[int | None]:
    """Return the time of the last trace to test before all matches are gathered; None if all traces may be tested."""
    params: list[object] = []
    add = adder(params)
    experiments = ", ".join(add(each) for each in query.experiment_ids)
    where = [f"t.project = {add(query.project)}", f"t.experiment_id IN ({experiments})", *_after(cursor, add)]
    where += [clause_sql(query.project, c, add) for c in query.clauses if (c.kind, c.key) == _TIME]
    rows = yield (
        f"SELECT t.request_time FROM traces t WHERE {' AND '.join(where)}"  # noqa: S608  our own words
        f" ORDER BY t.request_time DESC, t.trace_id LIMIT 1 OFFSET {WALK}",
        params,
    )
    return rows[0]["request_time"] if rows else None


def _write_token(cursor: _Cursor) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(cursor)).decode()


def _read_token(token: str | None) -> _Cursor:
    if not token:
        return _Cursor()
    try:
        cursor = msgspec.json.decode(base64.urlsafe_b64decode(token), type=_Cursor)
    except (ValueError, msgspec.MsgspecError):
        raise InvalidValue("Invalid page token, could not be decoded.") from None
    if not 0 <= cursor.offset < 2**53 or not 0 <= (cursor.time or 0) < 2**53:
        raise InvalidValue("Invalid page token.")
    return cursor
