"""Transaction scripts over runs, as far as an evaluation needs them. Run by handlers/runs.py.

A run has info, tags, parameters, the last value of each metric, the datasets that went in, and traces that are linked
to it. See gateway/storage/engine.py for what a script is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gateway.errors import InvalidValue, NotFound
from gateway.mlflow.names import RUN_NAME
from gateway.mlflow.scripts.experiments import require_experiment
from gateway.mlflow.values import Run, RunValue, WholeRun
from gateway.storage.engine import Script
from gateway.storage.scripts.traces import insert_into, numbers

MAX_VALUES = 10_000  # of a run; those that replace others count, too

_FIELDS = Run.__struct_fields__
_INSERT = insert_into("runs", _FIELDS)
_VALUE = (
    insert_into("run_values", ("run_id", *RunValue.__struct_fields__))
    + " ON CONFLICT (run_id, kind, key) DO UPDATE"
    + " SET value = excluded.value, step = excluded.step, time = excluded.time"
)


def create_run(run: Run, values: Sequence[RunValue]) -> Script[WholeRun]:
    """Insert a run with its first values. Raise NotFound for the experiment."""
    yield from require_experiment(run.project, run.experiment_id)
    yield _INSERT, [getattr(run, name) for name in _FIELDS]
    yield from _add(run.run_id, values)
    return (yield from get_run(run.project, run.run_id))


def get_run(project: str, run_id: str) -> Script[WholeRun]:
    """Return a run. Raise NotFound."""
    rows = yield "SELECT * FROM runs WHERE run_id = $1 AND project = $2", (run_id, project)
    if not rows:
        raise NotFound(f"Run with id={run_id} not found")
    values = yield "SELECT * FROM run_values WHERE run_id = $1 ORDER BY kind, key", (run_id,)
    return WholeRun(
        Run(**{name: rows[0][name] for name in _FIELDS}),
        tuple(RunValue(**{name: row[name] for name in RunValue.__struct_fields__}) for row in values),
    )


def update_run(
    project: str, run_id: str, name: str | None, status: str | None, end_time: int | None
) -> Script[WholeRun]:
    """Change the fields that aren't None. Raise NotFound."""
    yield from get_run(project, run_id)
    yield (
        "UPDATE runs SET name = COALESCE($2, name), status = COALESCE($3, status), end_time = COALESCE($4, end_time)"
        " WHERE run_id = $1",
        (run_id, name, status, end_time),
    )
    if name is not None:
        yield from _add(run_id, [RunValue(kind="tag", key=RUN_NAME, value=name)])
    return (yield from get_run(project, run_id))


def set_stage(project: str, run_id: str, stage: str) -> Script[None]:
    """Set the lifecycle stage: `deleted` hides a run, `active` brings it back. Raise NotFound."""
    yield from get_run(project, run_id)
    yield "UPDATE runs SET lifecycle_stage = $2 WHERE run_id = $1", (run_id, stage)


def log_values(project: str, run_id: str, values: Sequence[RunValue]) -> Script[None]:
    """Add values, or replace those of the same kind and key.

    Raise NotFound, and InvalidValue for a parameter that has another value or for more than MAX_VALUES.
    """
    known = yield from get_run(project, run_id)
    params = {value.key: value.value for value in known.values if value.kind == "param"}
    for value in values:
        if value.kind == "param" and params.get(value.key, value.value) != value.value:
            raise InvalidValue(f"Changing param values is not allowed. Param with key='{value.key}' is there already.")
    if len(known.values) + len(values) > MAX_VALUES:
        raise InvalidValue(f"A run has at most {MAX_VALUES} tags, parameters, metrics and inputs.")
    yield from _add(run_id, values)


def delete_tag(project: str, run_id: str, key: str) -> Script[None]:
    """Delete a tag. Raise NotFound for the run or the tag."""
    whole = yield from get_run(project, run_id)
    if not any(value.kind == "tag" and value.key == key for value in whole.values):
        raise NotFound(f"No tag with name: {key} in run with id {run_id}")
    yield "DELETE FROM run_values WHERE run_id = $1 AND kind = 'tag' AND key = $2", (run_id, key)


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
    project: str, experiment_ids: Sequence[str], stages: Sequence[str], limit: int, offset: int
) -> Script[list[WholeRun]]:
    """Return runs of the experiments in one of the lifecycle stages, the newest first."""
    if not experiment_ids:
        return []
    places = numbers(2, len(experiment_ids))
    staged = numbers(2 + len(experiment_ids), len(stages))
    last = 2 + len(experiment_ids) + len(stages)
    rows = yield (
        f"SELECT run_id FROM runs WHERE project = $1 AND experiment_id IN ({places})"  # noqa: S608  numbers only
        f" AND lifecycle_stage IN ({staged}) ORDER BY start_time DESC, run_id LIMIT ${last} OFFSET ${last + 1}",
        (project, *experiment_ids, *stages, limit, offset),
    )
    found = []
    for row in rows:
        found.append((yield from get_run(project, row["run_id"])))
    return found


def _add(run_id: str, values: Iterable[RunValue]) -> Script[None]:
    for value in values:
        yield _VALUE, (run_id, *[getattr(value, name) for name in RunValue.__struct_fields__])
