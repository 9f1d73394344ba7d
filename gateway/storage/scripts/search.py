"""The transaction script that finds a page of traces; counts.py counts them by the same conditions.

There are two ways to find a page: walk the traces from the newest and test each, or gather those that an index says can
match, and sort them. An equality on a tag, on metadata or on an assessment's value is counted first, up to FEW. If few
traces match, they are gathered. If many match, a short walk is likely to meet a page of them; if it doesn't, they are
gathered after all. See gateway/storage/engine.py for what a script is.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Literal

import msgspec

from gateway.domain.names import OUTCOME, TRACE_SESSION
from gateway.domain.search import Clause, Expression, Order, TraceQuery
from gateway.errors import InvalidValue
from gateway.storage.engine import Row, Script
from gateway.storage.scripts.clauses import (
    RUN,
    Add,
    adder,
    all_sql,
    clause_sql,
    indexed_sql,
    left_out_sql,
    order_sql,
    text_sql,
)

FEW = 5_000  # matches that are sorted rather than walked to
WALK = 10_000  # traces that are tested before many matches are sorted, too
_AFTER_ALL = "u"  # comes after every trace's ID
_TIME = ("attribute", "timestamp_ms")
_NEWEST_FIRST = Order("attribute", "timestamp_ms", ascending=False)
_COLUMN_INDEX = {("metadata", TRACE_SESSION, "="), ("attribute", "client_request_id", "=")}
_IDS = {("attribute", "request_id", "="), ("attribute", "request_id", "IN"), (*RUN, "=")}


class _Cursor(msgspec.Struct, frozen=True):
    """Where a page ended: at the last trace in the usual order, or after so many traces in an order of the caller's."""

    time: int | None = None
    trace_id: str = ""
    offset: int = 0


class Driver(msgspec.Struct, frozen=True):
    """How the traces are narrowed down: by IDs or an indexed column, and by conditions that few or many traces meet."""

    by: Literal["id", "column", ""]
    few: tuple[Expression, ...]
    many: tuple[Expression, ...]

    def widened(self) -> Driver:
        """Return a driver that gathers by all conditions that an index answers, however many traces meet them."""
        return Driver("id", self.few + self.many, ()) if self.many else self


def find_page(query: TraceQuery) -> Script[tuple[list[str], str | None]]:
    """Return the IDs of a page of traces, and the next page's token or None. Raise InvalidValue for a bad token."""
    experiments = yield from experiments_of(query)
    limit = query.limit
    if limit <= 0 or not experiments:
        return [], None
    cursor = _read_token(query.page_token)
    query = msgspec.structs.replace(query, limit=limit + 1)  # one more tells whether another page follows
    if query.orders == (_NEWEST_FIRST,):  # said in so many words
        query = msgspec.structs.replace(query, orders=())
    driver = yield from driver_of(query)
    here: _Cursor | None = None
    rows: Sequence[Row]
    if driver.by or query.orders:
        if not driver.by:
            driver = driver.widened()
        rows = yield _page(query, experiments, cursor, driver, None)
    elif query.tested is None or driver.many or _by_outcome(query):
        rows = yield from _walk(query, experiments, cursor, driver)
    else:
        rows, here = yield from _walk_some(query, experiments, cursor, driver)
    if len(rows) > limit:
        last = rows[limit - 1]
        here = _Cursor(last["request_time"], last["trace_id"])
        if query.orders:
            here = _Cursor(offset=cursor.offset + limit)
    return [row["trace_id"] for row in rows[:limit]], _write_token(here) if here else None


def experiments_of(query: TraceQuery) -> Script[tuple[str, ...]]:
    """Return the experiments to search: those that are named, or all of the project."""
    if query.experiment_ids is not None:
        return query.experiment_ids
    rows = yield "SELECT experiment_id FROM experiments WHERE project = $1", (query.project,)
    return tuple({"0", *(row["experiment_id"] for row in rows)})  # "0" may not have been asked for yet


def _walk(query: TraceQuery, experiments: tuple[str, ...], cursor: _Cursor, driver: Driver) -> Script[Sequence[Row]]:
    """Return a page from the newest traces of each experiment, which alone lie in the order of time."""
    found: list[Row] = []
    for experiment in experiments:
        begin = None
        if driver.many:
            begin = yield from _begin(query, experiment, cursor, WALK // len(experiments))
        rows = yield _page(query, (experiment,), cursor, driver, begin)
        if begin is not None and len(rows) < query.limit:
            return (yield _page(query, experiments, cursor, driver.widened(), None))
        found += rows
    return _newest(found)[: query.limit]


def _walk_some(
    query: TraceQuery, experiments: tuple[str, ...], cursor: _Cursor, driver: Driver
) -> Script[tuple[Sequence[Row], _Cursor | None]]:
    """Return what a page has from as many traces as may be tested, and where the next one begins if more may follow."""
    rows: Sequence[Row] = ()
    edge: int | None = None
    for most in (WALK // 5, query.tested or WALK):  # a few are enough for most pages
        edge = yield from last_tested(query, experiments, most, cursor)
        found: list[Row] = []
        for experiment in experiments:
            found += yield _page(query, (experiment,), cursor, driver, edge)
        rows = _newest(found)
        if edge is None or len(rows) >= query.limit:
            return rows[: query.limit], None
    return rows, _Cursor(edge, _AFTER_ALL)


def last_tested(
    query: TraceQuery, experiments: tuple[str, ...], most: int, cursor: _Cursor | None = None
) -> Script[int | None]:
    """Return the time of the oldest trace to test, so that they are about `most`; None where all may be tested."""
    edges = []
    for experiment in experiments:
        edges.append((yield from _begin(query, experiment, cursor or _Cursor(), most // len(experiments))))
    return max((edge for edge in edges if edge is not None), default=None)


def _newest(rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (-row["request_time"], row["trace_id"]))


def _page(
    query: TraceQuery, experiments: tuple[str, ...], cursor: _Cursor, driver: Driver, begin: int | None
) -> tuple[str, list[object]]:
    """Return the statement for the IDs and times of a page's traces, none older than `begin`."""
    params: list[object] = []
    add = adder(params)
    where = where_sql(query, experiments, driver, add)
    if begin is not None:
        where.append(f"t.request_time >= {add(begin)}")
    orders = [each for order in query.orders for each in order_sql(order, add)]
    if not orders:
        where += _after(cursor, add)
    orders += ["t.request_time DESC", "t.trace_id"]
    return (
        f"SELECT t.trace_id, t.request_time FROM traces t WHERE {' AND '.join(where)}"  # noqa: S608  our own words
        f" ORDER BY {', '.join(orders)} LIMIT {add(query.limit)} OFFSET {add(cursor.offset if query.orders else 0)}",
        params,
    )


def where_sql(query: TraceQuery, experiments: tuple[str, ...], driver: Driver, add: Add) -> list[str]:
    """Return all conditions of a search on `traces t`, but its place in the pages."""
    # Without its indexes the engine can't walk a whole experiment where few traces match.
    where = [
        f"{'no_index(t.project)' if driver.by == 'id' else 't.project'} = {add(query.project)}",
        f"{'no_index(t.experiment_id)' if driver.by else 't.experiment_id'}"
        f" IN ({', '.join(add(each) for each in experiments)})",
    ]
    where += [f"t.trace_id IN (SELECT trace_id FROM {indexed_sql(query.project, c, add)})" for c in driver.few]  # noqa: S608
    for clause in query.clauses:
        if isinstance(clause, Clause) and (clause.kind, clause.key, clause.op) == ("metadata", TRACE_SESSION, "="):
            where.append(f"t.session_id = {add(clause.value)}")
        if isinstance(clause, Clause) and _is_rare(clause):
            where.append("t.outcome <> 'complete'")  # as the index of such outcomes says
    where += _between(query, add)
    where += all_sql(query.project, query.clauses, add)
    if query.text is not None:
        where.append(text_sql(query.text, add))
    return where + left_out_sql(query.left_out)


def _by_outcome(query: TraceQuery) -> bool:
    """Tell whether the index of rare outcomes answers a search."""
    return any(isinstance(clause, Clause) and _is_rare(clause) for clause in query.clauses)


def is_indexed(query: TraceQuery, driver: Driver) -> bool:
    """Tell whether an index narrows the traces down; else each of them has to be tested."""
    return bool(driver.by or driver.few or driver.many or _by_outcome(query))


def _is_rare(clause: Clause) -> bool:
    """Tell whether a clause asks for outcomes that few traces have."""
    if (clause.kind, clause.key) != ("metadata", OUTCOME) or clause.op not in ("=", "IN"):
        return False
    return "complete" not in (clause.value if isinstance(clause.value, tuple) else (clause.value,))


def _between(query: TraceQuery, add: Add) -> list[str]:
    since = [] if query.since is None else [f"t.request_time >= {add(query.since)}"]
    return since if query.until is None else [*since, f"t.request_time < {add(query.until)}"]


def _after(cursor: _Cursor, add: Add) -> list[str]:
    if cursor.time is None:
        return []
    at, last = add(cursor.time), add(cursor.trace_id)
    return [
        f"(t.request_time < {at} OR (t.request_time = {at} AND t.trace_id > {last}))",
        f"t.request_time <= {at}",
    ]


def driver_of(query: TraceQuery) -> Script[Driver]:
    """Count what an index can count, up to FEW, and return the driver."""
    column, by_id = False, False
    few: list[Expression] = []
    many: list[Expression] = []
    for condition in query.clauses:
        if isinstance(condition, Clause):
            name = (condition.kind, condition.key, condition.op)
            column = column or name in _COLUMN_INDEX
            by_id = by_id or name in _IDS
        counted: list[object] = []
        one = indexed_sql(query.project, condition, adder(counted))
        if one is not None:
            rows = yield f"SELECT COUNT(*) AS n FROM (SELECT 1 FROM {one} LIMIT {FEW + 1}) x", counted  # noqa: S608
            (few if rows[0]["n"] <= FEW else many).append(condition)
    return Driver("column" if column else "id" if by_id or few else "", tuple(few), tuple(many))


def _begin(query: TraceQuery, experiment: str, cursor: _Cursor, walk: int) -> Script[int | None]:
    """Return the time of the last trace to test before all matches are gathered; None if all traces may be tested."""
    params: list[object] = []
    add = adder(params)
    where = [f"t.project = {add(query.project)}", f"t.experiment_id = {add(experiment)}", *_after(cursor, add)]
    where += _between(query, add)
    where += [
        clause_sql(query.project, clause, add)
        for clause in query.clauses
        if isinstance(clause, Clause) and (clause.kind, clause.key) == _TIME
    ]
    rows = yield (
        f"SELECT t.request_time FROM traces t WHERE {' AND '.join(where)}"  # noqa: S608  our own words
        f" ORDER BY t.request_time DESC, t.trace_id LIMIT 1 OFFSET {walk}",
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
