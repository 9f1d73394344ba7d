"""Transaction scripts that count the traces of a search: how many there are, and what they have in common.

A count stops at a bound, so that it takes no longer than a page. What is told apart beyond it, such as the names of
ratings, comes from indexes. See gateway/storage/engine.py for what a script is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.domain.search import TraceQuery
from gateway.domain.trace import Outcome
from gateway.storage.engine import Script
from gateway.storage.scripts.clauses import INDEXED, adder, indexed_sql
from gateway.storage.scripts.feedback import read_value
from gateway.storage.scripts.search import Driver, driver_of, experiments_of, is_indexed, last_tested, where_sql
from gateway.storage.scripts.traces import numbers

_CHUNK = 500  # IDs a statement
_NAMES = 500  # names and keys, at most, that are told apart
_EXPERIMENTS = 20  # in which rare outcomes are looked for
_VALUES = 50  # values of one name, the most frequent
_LOOKED_AT = 1_000  # assessments of a name, to learn of what kinds they are


class ValueCounts(msgspec.Struct, frozen=True):
    """Of one name and kind: how many valid assessments there are, and how often each value comes, most often first."""

    name: str
    kind: str
    count: int
    values: list[tuple[Any, int]]


class Facets(msgspec.Struct, frozen=True):
    """What traces have in common, counted over `counted` of them. `more`: there are more than that."""

    counted: int
    more: bool
    assessments: list[ValueCounts]
    models: Mapping[str, int]
    outcomes: Mapping[str, int]
    tags: Mapping[str, int]


def count_traces(query: TraceQuery, most: int | None) -> Script[tuple[int, bool]]:
    """Return how many traces there are, up to `most`, and whether there are or may be more."""
    found = yield from _matching(query, "1", most)
    if found is None:
        return 0, False
    rows = yield f"SELECT COUNT(*) AS n FROM ({found.sql}) x", found.params  # noqa: S608  our own words
    count = int(rows[0]["n"])
    return (count, found.edge is not None) if most is None or count <= most else (most, True)


def count_part(query: TraceQuery) -> Script[tuple[int, int | None]]:
    """Return how many of the newest traces meet a search, and the time before which the others are; None without any.

    Parts are counted one after the other where all together take too long.
    """
    found = yield from _matching(query, "1", None, in_parts=True)
    if found is None:
        return 0, None
    rows = yield f"SELECT COUNT(*) AS n FROM ({found.sql}) x", found.params  # noqa: S608  our own words
    return int(rows[0]["n"]), found.edge


def get_facets(query: TraceQuery, most: int) -> Script[Facets]:
    """Return what the traces have in common, counted over `most` of them. Names of all the project are among it."""
    found = yield from _matching(query, "t.model, t.outcome", most)
    rows = () if found is None else (yield found.sql, found.params)
    ids = [row["trace_id"] for row in rows[:most]]
    values: dict[tuple[str, str], Counter[str]] = {}
    tags: Counter[str] = Counter()
    for at in range(0, len(ids), _CHUNK):
        chunk = ids[at : at + _CHUNK]
        counted = yield (
            f"SELECT name, kind, value, COUNT(*) AS n FROM assessments WHERE trace_id IN ({numbers(2, len(chunk))})"  # noqa: S608
            f" AND no_index(project) = $1 AND valid = 1 AND {INDEXED} GROUP BY name, kind, value",
            (query.project, *chunk),
        )
        for row in counted:
            values.setdefault((row["name"], row["kind"]), Counter())[row["value"]] += row["n"]
        keys = yield (
            f"SELECT key, COUNT(*) AS n FROM labels WHERE trace_id IN ({numbers(1, len(chunk))}) AND kind = 'tag'"  # noqa: S608
            " GROUP BY key",
            chunk,
        )
        for row in keys:
            tags[row["key"]] += row["n"]
    names = yield from assessment_names(query.project)
    outcomes = Counter(row["outcome"] for row in rows[:most] if row["outcome"])
    for outcome in (yield from _outcomes(query)):
        outcomes.setdefault(outcome, 0)
    for key in (yield from _distinct(query.project, "labels", "key", "kind = 'tag'")):
        tags.setdefault(key, 0)
    for name in names:
        values.setdefault(name, Counter())
    return Facets(
        counted=len(ids),
        more=len(rows) > most or (found is not None and found.edge is not None),
        assessments=[_value_counts(*name, values[name]) for name in sorted(values)],
        models=_falling(Counter(row["model"] for row in rows[:most] if row["model"])),
        outcomes=_falling(outcomes),
        tags=_falling(tags),
    )


def _value_counts(name: str, kind: str, values: Counter[str]) -> ValueCounts:
    return ValueCounts(
        name, kind, values.total(), [(read_value(text), count) for text, count in values.most_common(_VALUES)]
    )


def _falling(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


class _Matching(msgspec.Struct, frozen=True):
    """A statement that finds traces. `edge`: only among those from this time on, which may not be all there are."""

    sql: str
    params: list[object]
    edge: int | None


def _matching(query: TraceQuery, columns: str, most: int | None, *, in_parts: bool = False) -> Script[_Matching | None]:
    """Return the statement for `most` + 1 of the traces, in any order; None where there can be none."""
    experiments = yield from experiments_of(query)
    if not experiments:
        return None
    driver = yield from driver_of(query)
    edge = None
    every = not (query.clauses or query.text or in_parts)  # of which the first will do
    if query.tested is not None and not every and not is_indexed(query, driver):
        edge = yield from last_tested(query, experiments, query.tested)
    params: list[object] = []
    add = adder(params)
    distinct, tables = "", "traces t"
    if indexed := driver.few + driver.many:
        # From the index to the traces, one by one: with a bound, most of those that are many need no look.
        table = indexed_sql(query.project, indexed[0], add)
        distinct, tables = "DISTINCT ", f"(SELECT trace_id FROM {table}) d JOIN traces t ON t.trace_id = d.trace_id"  # noqa: S608
        driver = Driver("id", (), ())
    where = where_sql(query, experiments, driver, add)
    where += [] if edge is None else [f"t.request_time >= {add(edge)}"]
    limit = "" if most is None else f" LIMIT {most + 1}"
    sql = f"SELECT {distinct}t.trace_id, {columns} FROM {tables} WHERE {' AND '.join(where)}{limit}"  # noqa: S608
    return _Matching(sql, params, edge)


def _outcomes(query: TraceQuery) -> Script[list[str]]:
    """Return the outcomes other than `complete` that there are, by their index."""
    found = []
    for experiment in (yield from experiments_of(query))[:_EXPERIMENTS]:
        for outcome in Outcome:
            rows = yield (
                "SELECT 1 FROM traces WHERE project = $1 AND experiment_id = $2 AND outcome = $3"
                " AND outcome <> 'complete' LIMIT 1",
                (query.project, experiment, outcome.value),
            )
            found += [outcome.value] if rows else []
    return found


def assessment_names(project: str) -> Script[list[tuple[str, str]]]:
    """Return the names of assessments with each kind that they have."""
    found = []
    for name in (yield from _distinct(project, "assessments", "name")):
        rows = yield (
            f"SELECT DISTINCT kind FROM (SELECT kind, valid FROM assessments WHERE project = $1 AND name = $2"  # noqa: S608
            f" AND {INDEXED} LIMIT {_LOOKED_AT}) x WHERE valid = 1",
            (project, name),
        )
        found += [(name, row["kind"]) for row in rows]
    return found


def _distinct(project: str, table: str, column: str, also: str = "1 = 1") -> Script[list[str]]:
    """Return the values that a column has in a project: from one to the next, by an index."""
    found: list[str] = []
    while len(found) < _NAMES:
        rows = yield (
            f"SELECT MIN({column}) AS next FROM {table} WHERE project = $1 AND {also} AND {column} > $2 AND {INDEXED}",  # noqa: S608
            (project, found[-1] if found else ""),
        )
        if rows[0]["next"] is None:
            break
        found.append(rows[0]["next"])
    return found
