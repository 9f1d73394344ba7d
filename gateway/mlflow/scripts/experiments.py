"""Transaction scripts over experiments, a project's folders of traces. Run by handlers/experiments.py.

Experiment 0 has no row until it is tagged. See gateway/storage/engine.py for what a script is.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.errors import Conflict, NotFound
from gateway.mlflow.values import Experiment
from gateway.storage.engine import Row, Script
from gateway.storage.scripts.traces import strings, to_json

DEFAULT = "0"
_DEFAULT_NAME = "Default"


def _experiment(row: Row) -> Experiment:
    fields = {name: row[name] for name in Experiment.__struct_fields__ if name != "tags"}
    return Experiment(**fields, tags=strings(row["tags"]))


def require_experiment(project: str, experiment_id: str) -> Script[None]:
    """Raise NotFound unless the project has the experiment."""
    if experiment_id != DEFAULT:
        yield from get_experiment(project, experiment_id)


def get_experiment(project: str, experiment_id: str) -> Script[Experiment]:
    """Return an experiment. Raise NotFound unless the project has it; every project has the first."""
    rows = yield "SELECT * FROM experiments WHERE project = $1 AND experiment_id = $2", (project, experiment_id)
    if rows:
        return _experiment(rows[0])
    if experiment_id != DEFAULT:
        raise NotFound(f"No Experiment with id={experiment_id} exists")
    return Experiment(DEFAULT, _DEFAULT_NAME, "active", 0, 0, {})


def get_experiment_by_name(project: str, name: str) -> Script[Experiment]:
    """Return the experiment of that name. Raise NotFound."""
    rows = yield "SELECT * FROM experiments WHERE project = $1 AND name = $2", (project, name)
    if rows:
        return _experiment(rows[0])
    if name == _DEFAULT_NAME:
        return (yield from get_experiment(project, DEFAULT))
    raise NotFound(f"Could not find experiment with name '{name}'")


def create_experiment(project: str, name: str, tags: dict[str, str], now: int) -> Script[str]:
    """Insert an experiment and return its ID, the project's next number. Raise Conflict for a taken name."""
    rows = yield "SELECT experiment_id, name FROM experiments WHERE project = $1", (project,)
    if name == _DEFAULT_NAME or any(row["name"] == name for row in rows):
        raise Conflict(f"Experiment(name={name}) already exists.")
    new = str(1 + max((int(row["experiment_id"]) for row in rows), default=0))
    yield _INSERT, (project, new, name, now, to_json(tags))
    return new


_INSERT = (
    "INSERT INTO experiments (project, experiment_id, name, lifecycle_stage, creation_time, last_update_time, tags)"
    " VALUES ($1, $2, $3, 'active', $4, $4, $5)"
)


def set_experiment_tag(project: str, experiment_id: str, key: str, value: str, now: int) -> Script[None]:
    """Set a tag. Raise NotFound for the experiment."""
    found = yield from get_experiment(project, experiment_id)
    if found.creation_time == 0:  # experiment 0, which has no row yet
        yield _INSERT, (project, DEFAULT, _DEFAULT_NAME, now, "{}")
    yield (
        "UPDATE experiments SET tags = $3, last_update_time = $4 WHERE project = $1 AND experiment_id = $2",
        (project, experiment_id, to_json(found.tags | {key: value}), now),
    )


def list_experiments(project: str, stages: Sequence[str]) -> Script[list[Experiment]]:
    """Return all experiments of a project in one of the lifecycle stages, the newest first."""
    rows = yield "SELECT * FROM experiments WHERE project = $1", (project,)
    found = [_experiment(row) for row in rows]
    if all(each.experiment_id != DEFAULT for each in found):
        found.append((yield from get_experiment(project, DEFAULT)))
    found = [each for each in found if each.lifecycle_stage in stages]
    return sorted(found, key=lambda each: (each.creation_time, int(each.experiment_id)), reverse=True)
