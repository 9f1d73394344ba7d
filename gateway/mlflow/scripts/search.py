"""The search over traces: clauses to SQL, a page at a time. See sql.py for what a script is.

Two ways to one page: walk the traces newest first and test each, or gather those that an index says can match, and
sort them. An equality on a tag, on metadata or on an assessment's value is counted first, up to a bound: few are
gathered; of many it is likely that a short walk meets a page of them, and if it doesn't, they are gathered after all.
"""

from __future__ import annotations

import base64
from typing import Literal

import msgspec

from gateway.errors import InvalidValue
from gateway.mlflow.scripts.clauses import RUN, Add, adder, clause_sql, equality, ordered, spans_sql
from gateway.mlflow.scripts.traces import INFO, with_company
from gateway.mlflow.wire.filter import Clause, Order
from gateway.mlflow.wire.traces import SESSION, Stored
from gateway.storage.engine import Script
from gateway.storage.scripts.traces import numbers

FEW = 5_000  # matches that are sorted rather than walked to
WALK = 10_000  # traces that are tested before many matches are sorted, too
_TIME = ("attribute", "timestamp_ms")
_COLUMN_INDEX = {("metadata", SESSION, "="), ("attribute", "client_request_id", "=")}
_IDS = {("attribute", "request_id", "="), ("attribute", "request_id", "IN"), (*RUN, "=")}


class _Cursor(msgspec.Struct, frozen=True):
    """Where a page ended: the last trace in the usual order, or how many went before."""

    time: int | None = None
    trace_id: str = ""
    offset: int = 0


class _Driver(msgspec.Struct, frozen=True):
    """What narrows the traces down: IDs, or a column with an index; the clauses that few or many traces meet."""

    by: Literal["id", "column", ""]
    few: tuple[Clause, ...]
    many: tuple[Clause, ...]

    def widened(self) -> _Driver:
        """With all that an index knows, however many they are."""
        return _Driver("id", self.few + self.many, ())


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a search."""

    project: str
    experiment_ids: tuple[str, ...]
    clauses: tuple[Clause, ...] = ()
    orders: tuple[Order, ...] = ()
    limit: int = 100
    page_token: str | None = None


def search_traces(query: Query) -> Script[tuple[list[Stored], str | None]]:
    """The page, and the token of the next one."""
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
        f"SELECT {INFO}, NULL AS request, NULL AS response, NULL AS parts FROM traces"  # noqa: S608  our own names
        f" WHERE trace_id IN ({numbers(1, len(ids))})",
        ids,
    )
    by_id = {row["trace_id"]: row for row in found}
    return (yield from with_company(query.project, [by_id[each] for each in ids if each in by_id])), token


def _page(query: Query, cursor: _Cursor, driver: _Driver, begin: int | None) -> tuple[str, list[object]]:
    """IDs and times of a page's traces, none of them older than `begin`."""
    params: list[object] = []
    add = adder(params)
    experiments = ", ".join(add(each) for each in query.experiment_ids)
    # A plus keeps an engine from an index: from walking all of an experiment where few traces can match.
    where = [
        f"{'+' if driver.by == 'id' else ''}t.project = {add(query.project)}",
        f"{'+' if driver.by else ''}t.experiment_id IN ({experiments})",
    ]
    where += [f"t.trace_id IN (SELECT trace_id FROM {equality(query.project, c, add)})" for c in driver.few]  # noqa: S608
    for clause in query.clauses:
        if (clause.kind, clause.key, clause.op) == ("metadata", SESSION, "="):
            where.append(f"t.session_id = {add(clause.value)}")
        if clause.kind != "span":
            where.append(clause_sql(query.project, clause, add))
    if on_spans := [clause for clause in query.clauses if clause.kind == "span"]:
        where.append(spans_sql(on_spans, add))
    if begin is not None:
        where.append(f"t.request_time >= {add(begin)}")
    orders = [f"{ordered(order, add)} {'ASC' if order.ascending else 'DESC'} NULLS LAST" for order in query.orders]
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


def _driver(query: Query) -> Script[_Driver]:
    """Counts what an index can count, up to a bound."""
    column, by_id = False, False
    few: list[Clause] = []
    many: list[Clause] = []
    for clause in query.clauses:
        name = (clause.kind, clause.key, clause.op)
        column = column or name in _COLUMN_INDEX
        by_id = by_id or name in _IDS
        counted: list[object] = []
        one = equality(query.project, clause, adder(counted))
        if one is not None:
            rows = yield f"SELECT COUNT(*) AS n FROM (SELECT 1 FROM {one} LIMIT {FEW + 1}) x", counted  # noqa: S608
            (few if rows[0]["n"] <= FEW else many).append(clause)
    return _Driver("column" if column else "id" if by_id or few else "", tuple(few), tuple(many))


def _begin(query: Query, cursor: _Cursor) -> Script[int | None]:
    """The time of the last trace that is tested before all matches are gathered; None if all of them may be."""
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
