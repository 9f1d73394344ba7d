"""Transaction scripts over runs. Run by handlers/runs.py.

A run has info, tags, parameters, metrics with their history, the datasets that went in, and traces that are linked to
it. `run_values` has the latest value of each metric, `metric_values` all of them; a value of the kind `history` counts
those. See gateway/storage/engine.py for what a script is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from gateway.errors import InvalidValue, NotFound
from gateway.mlflow.names import RUN_NAME
from gateway.mlflow.scripts.experiments import require_active
from gateway.mlflow.scripts.run_clauses import number_sql, run_clause_sql, run_order_sql
from gateway.mlflow.values import Run, RunQuery, RunValue, WholeRun
from gateway.storage.engine import Row, Script
from gateway.storage.scripts.clauses import adder
from gateway.storage.scripts.traces import assignments, insert_into, numbers

MAX_VALUES = 10_000  # of a run; those that replace others count, too
MAX_HISTORY = 1_000_000  # values of a run's metrics
_CHUNK = 500  # IDs a query

_FIELDS = Run.__struct_fields__
_INSERT = insert_into("runs", _FIELDS)
_UPSERT = (
    insert_into("run_values", ("run_id", *RunValue.__struct_fields__))
    + " ON CONFLICT (run_id, kind, key) DO UPDATE"
    + " SET value = excluded.value, step = excluded.step, time = excluded.time"
)
_NEW, _OLD = (f"({of}.step, {of}.time, {number_sql(f'{of}.value', nan='0')})" for of in ("excluded", "run_values"))
_LATEST = f"{_UPSERT} WHERE {_NEW} > {_OLD}"  # of a metric: by step, then by time, then by value
_POINT = (
    insert_into("metric_values", ("run_id", "key", "time", "step", "value"))
    + " ON CONFLICT DO NOTHING RETURNING run_id"
)


def create_run(run: Run, values: Sequence[RunValue]) -> Script[WholeRun]:
    """Insert a run with its first values. Raise NotFound for the experiment."""
    yield from require_active(run.project, run.experiment_id)
    yield _INSERT, [getattr(run, name) for name in _FIELDS]
    yield from _add(run.run_id, values)
    return (yield from get_run(run.project, run.run_id))


def get_run(project: str, run_id: str) -> Script[WholeRun]:
    """Return a run. Raise NotFound."""
    row = yield from _row(project, run_id)
    return (yield from _whole([row]))[0]


def _row(project: str, run_id: str) -> Script[Row]:
    rows = yield "SELECT * FROM runs WHERE run_id = $1 AND project = $2", (run_id, project)
    if not rows:
        raise NotFound(f"Run with id={run_id} not found")
    return rows[0]


def _active(project: str, run_id: str) -> Script[Row]:
    """Return the run's row. Raise NotFound, and InvalidValue where it was deleted."""
    row = yield from _row(project, run_id)
    if row["lifecycle_stage"] != "active":
        raise InvalidValue(
            f"The run {run_id} must be in the 'active' state. Current state is {row['lifecycle_stage']}."
        )
    return row


def _whole(rows: Sequence[Row]) -> Script[list[WholeRun]]:
    """Return runs with their values, in the order of their rows."""
    values: dict[str, list[RunValue]] = {row["run_id"]: [] for row in rows}
    ids = list(values)
    for at in range(0, len(ids), _CHUNK):
        chunk = ids[at : at + _CHUNK]
        found = yield (
            f"SELECT * FROM run_values WHERE run_id IN ({numbers(1, len(chunk))}) AND kind <> 'history'"  # noqa: S608
            " ORDER BY run_id, kind, key",
            chunk,
        )
        for row in found:
            values[row["run_id"]].append(_value(row))
    return [WholeRun(Run(**{name: row[name] for name in _FIELDS}), tuple(values[row["run_id"]])) for row in rows]


def _value(row: Row) -> RunValue:
    return RunValue(**{name: row[name] for name in RunValue.__struct_fields__})


def update_run(
    project: str, run_id: str, name: str | None, status: str | None, end_time: int | None
) -> Script[WholeRun]:
    """Change the fields that aren't None. Raise NotFound, and InvalidValue for a deleted run."""
    yield from _active(project, run_id)
    yield from _change(run_id, {"name": name, "status": status, "end_time": end_time})
    if name is not None:
        yield from _add(run_id, [RunValue(kind="tag", key=RUN_NAME, value=name)])
    return (yield from get_run(project, run_id))


def _change(run_id: str, fields: dict[str, Any]) -> Script[None]:
    given = {name: value for name, value in fields.items() if value is not None}
    if given:
        yield f"UPDATE runs SET {assignments(given, 2)} WHERE run_id = $1", (run_id, *given.values())  # noqa: S608


def set_stage(project: str, run_id: str, stage: str) -> Script[None]:
    """Set the lifecycle stage: `deleted` hides a run, `active` brings it back. Raise NotFound."""
    yield from _row(project, run_id)
    yield from _change(run_id, {"lifecycle_stage": stage})


def log_values(project: str, run_id: str, values: Sequence[RunValue]) -> Script[None]:
    """Add values, or replace those of the same kind and key; of a metric's the latest counts, and all are kept.

    Raise NotFound, and InvalidValue for a deleted run, for a parameter that has another value, or for more than
    MAX_VALUES or MAX_HISTORY.
    """
    yield from _active(project, run_id)
    given = {value.key: value.value for value in values if value.kind == "param"}
    if given:
        rows = yield (
            "SELECT key, value FROM run_values WHERE run_id = $1 AND kind = 'param'"  # noqa: S608  numbers only
            f" AND key IN ({numbers(2, len(given))})",
            (run_id, *given),
        )
        there = {row["key"]: row["value"] for row in rows}
        for value in values:
            if value.kind == "param" and there.get(value.key, value.value) != value.value:
                raise InvalidValue(
                    f"Changing param values is not allowed. Param with key='{value.key}' is there already."
                )
    counted = yield (
        "SELECT COUNT(*) AS n, MAX(CASE WHEN kind = 'history' THEN step END) AS points FROM run_values"
        " WHERE run_id = $1",
        (run_id,),
    )
    if counted[0]["n"] + len(values) > MAX_VALUES:
        raise InvalidValue(f"A run has at most {MAX_VALUES} tags, parameters, metrics and inputs.")
    if (counted[0]["points"] or 0) + len(values) > MAX_HISTORY:
        raise InvalidValue(f"A run has at most {MAX_HISTORY} values of metrics.")
    yield from _add(run_id, values, counted[0]["points"] or 0)
    names = [value.value for value in values if (value.kind, value.key) == ("tag", RUN_NAME)]
    if names:
        yield from _change(run_id, {"name": names[-1]})


def delete_tag(project: str, run_id: str, key: str) -> Script[None]:
    """Delete a tag. Raise NotFound for the run or the tag, InvalidValue for a deleted run."""
    yield from _active(project, run_id)
    rows = yield "SELECT 1 FROM run_values WHERE run_id = $1 AND kind = 'tag' AND key = $2", (run_id, key)
    if not rows:
        raise NotFound(f"No tag with name: {key} in run with id {run_id}")
    yield "DELETE FROM run_values WHERE run_id = $1 AND kind = 'tag' AND key = $2", (run_id, key)


def metric_history(project: str, run_id: str, key: str, limit: int, offset: int) -> Script[list[RunValue]]:
    """Return values of a metric by time, step and value, one more than `limit` where there are; none of no run."""
    rows = yield (
        "SELECT 'metric' AS kind, key, value, step, time FROM metric_values WHERE run_id = $1 AND key = $2"  # noqa: S608
        " AND EXISTS (SELECT 1 FROM runs WHERE runs.run_id = $1 AND project = $3)"
        f" ORDER BY time, step, {number_sql('value', nan='0')} LIMIT $4 OFFSET $5",
        (run_id, key, project, limit + 1, offset),
    )
    return [_value(row) for row in rows]


def link_traces(project: str, run_id: str, trace_ids: Sequence[str]) -> Script[None]:
    """Link the traces that are there to a run. Raise NotFound for the run."""
    yield from get_run(project, run_id)
    if not trace_ids:
        return
    rows = yield (
        f"SELECT trace_id FROM traces WHERE project = $1 AND trace_id IN ({numbers(2, len(trace_ids))})",  # noqa: S608
        (project, *trace_ids),
    )
    for row in rows:
        yield (
            "INSERT INTO run_traces (run_id, trace_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            (run_id, row["trace_id"]),
        )


def search_runs(
    query: RunQuery, keep: Callable[[Sequence[RunValue]], bool] | None
) -> Script[tuple[list[WholeRun], bool]]:
    """Return a page of runs, the newest first where nothing else is asked for, and whether more follow.

    `keep` is asked about each run's inputs, where the query is about those.
    """
    if not query.experiment_ids or query.limit <= 0:
        return [], False
    statement, params = _page(query, None if keep is not None else query.limit + 1)
    rows = yield statement, params
    ids = [row["run_id"] for row in rows]
    if keep is not None:
        ids = (yield from _kept(ids, keep))[query.offset : query.offset + query.limit + 1]
    page = ids[: query.limit]
    found: dict[str, Row] = {}
    for at in range(0, len(page), _CHUNK):
        chunk = page[at : at + _CHUNK]
        rows = yield f"SELECT * FROM runs WHERE run_id IN ({numbers(1, len(chunk))})", chunk  # noqa: S608  numbers only
        found |= {row["run_id"]: row for row in rows}
    whole = yield from _whole([found[run_id] for run_id in page if run_id in found])
    return whole, len(ids) > query.limit


def _page(query: RunQuery, limit: int | None) -> tuple[str, list[object]]:
    """Return the statement for the IDs of a page, or of all runs that meet the clauses."""
    params: list[object] = []
    add = adder(params)
    experiments, stages = (", ".join(map(add, each)) for each in (query.experiment_ids, query.stages))
    where = [
        f"r.project = {add(query.project)}",
        f"r.experiment_id IN ({experiments})",
        f"r.lifecycle_stage IN ({stages})",
        *(run_clause_sql(clause, add) for clause in query.clauses if clause.kind != "dataset"),
    ]
    orders = [sql for order in query.orders for sql in run_order_sql(order, add)]
    if all(order.key != "start_time" for order in query.orders):
        orders.append("r.start_time DESC")
    paged = "" if limit is None else f" LIMIT {add(limit)} OFFSET {add(query.offset)}"
    return (
        f"SELECT r.run_id FROM runs r WHERE {' AND '.join(where)} ORDER BY {', '.join(orders)}, r.run_id{paged}",  # noqa: S608
        params,
    )


def _kept(ids: Sequence[str], keep: Callable[[Sequence[RunValue]], bool]) -> Script[list[str]]:
    found: list[str] = []
    for at in range(0, len(ids), _CHUNK):
        chunk = ids[at : at + _CHUNK]
        inputs: dict[str, list[RunValue]] = {}
        rows = yield f"SELECT * FROM run_values WHERE kind = 'input' AND run_id IN ({numbers(1, len(chunk))})", chunk  # noqa: S608
        for row in rows:
            inputs.setdefault(row["run_id"], []).append(_value(row))
        found += [run_id for run_id in chunk if keep(inputs.get(run_id, ()))]
    return found


def _add(run_id: str, values: Iterable[RunValue], points: int = 0) -> Script[None]:
    """Insert values. `points` is how many values of metrics the run has had."""
    before = points
    for value in values:
        fields = (run_id, *[getattr(value, name) for name in RunValue.__struct_fields__])
        if value.kind != "metric":
            yield _UPSERT, fields
            continue
        yield _LATEST, fields
        inserted = yield _POINT, (run_id, value.key, value.time, value.step, value.value)
        points += len(inserted)
    if points != before:
        yield _UPSERT, (run_id, "history", "", "", points, 0)
