"""Transaction scripts over experiments, a project's folders of traces. Run by handlers/experiments.py.

Experiment 0 has no row until it is changed, and can't be deleted, as chats lie there. A deleted experiment is kept with
all that is in it, and can be restored. See gateway/storage/engine.py for what a script is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from gateway.errors import Conflict, InvalidValue, NotFound
from gateway.mlflow.values import Experiment
from gateway.storage.engine import Row, Script
from gateway.storage.scripts.traces import assignments, strings, to_json

DEFAULT = "0"
_DEFAULT = Experiment(DEFAULT, "Default", "active", 0, 0, {})
_INSERT = (
    "INSERT INTO experiments (project, experiment_id, name, lifecycle_stage, creation_time, last_update_time, tags)"
    " VALUES ($1, $2, $3, 'active', $4, $4, $5)"
)


def _experiment(row: Row) -> Experiment:
    fields = {name: row[name] for name in Experiment.__struct_fields__ if name != "tags"}
    return Experiment(**fields, tags=strings(row["tags"]))


def require_experiment(project: str, experiment_id: str) -> Script[None]:
    """Raise NotFound unless the project has the experiment."""
    if experiment_id != DEFAULT:
        yield from get_experiment(project, experiment_id)


def require_active(project: str, experiment_id: str) -> Script[None]:
    """Raise NotFound unless the project has the experiment, InvalidValue where it was deleted."""
    if experiment_id != DEFAULT:
        _check_active((yield from get_experiment(project, experiment_id)))


def _check_active(found: Experiment) -> Experiment:
    if found.lifecycle_stage != "active":
        raise InvalidValue(
            f"The experiment {found.experiment_id} must be in the 'active' state. Current state is"
            f" {found.lifecycle_stage}."
        )
    return found


def get_experiment(project: str, experiment_id: str) -> Script[Experiment]:
    """Return an experiment, a deleted one too. Raise NotFound unless the project has it; each has the first."""
    rows = yield "SELECT * FROM experiments WHERE project = $1 AND experiment_id = $2", (project, experiment_id)
    if rows:
        return _experiment(rows[0])
    if experiment_id != DEFAULT:
        raise NotFound(f"No Experiment with id={experiment_id} exists")
    return _DEFAULT


def get_experiment_by_name(project: str, name: str) -> Script[Experiment]:
    """Return the experiment of that name, a deleted one too. Raise NotFound."""
    rows = yield "SELECT * FROM experiments WHERE project = $1 AND name = $2", (project, name)
    found = _experiment(rows[0]) if rows else (yield from get_experiment(project, DEFAULT))
    if found.name != name:
        raise NotFound(f"Could not find experiment with name '{name}'")
    return found


def create_experiment(project: str, name: str, tags: dict[str, str], now: int) -> Script[str]:
    """Insert an experiment and return its ID, the project's next number. Raise Conflict for a taken name."""
    rows = yield "SELECT experiment_id FROM experiments WHERE project = $1", (project,)
    yield from _check_free(project, name)
    new = str(1 + max((int(row["experiment_id"]) for row in rows), default=0))
    yield _INSERT, (project, new, name, now, to_json(tags))
    return new


def _check_free(project: str, name: str) -> Script[None]:
    rows = yield "SELECT 1 FROM experiments WHERE project = $1 AND name = $2", (project, name)
    if rows or (yield from get_experiment(project, DEFAULT)).name == name:
        raise Conflict(f"Experiment(name={name}) already exists.")


def rename_experiment(project: str, experiment_id: str, name: str, now: int) -> Script[None]:
    """Give an experiment another name. Raise NotFound, Conflict for a taken name, InvalidValue for a deleted one."""
    found = _check_active((yield from get_experiment(project, experiment_id)))
    if name != found.name:
        yield from _check_free(project, name)
    yield from _change(project, found, now, name=name)


def set_experiment_tag(project: str, experiment_id: str, key: str, value: str, now: int) -> Script[None]:
    """Set a tag. Raise NotFound for the experiment, InvalidValue for a deleted one."""
    found = _check_active((yield from get_experiment(project, experiment_id)))
    yield from _change(project, found, now, tags=to_json(found.tags | {key: value}))


def delete_experiment_tag(project: str, experiment_id: str, key: str, now: int) -> Script[None]:
    """Delete a tag. Raise NotFound for the experiment or the tag, InvalidValue for a deleted experiment."""
    found = _check_active((yield from get_experiment(project, experiment_id)))
    if key not in found.tags:
        raise NotFound(f"No tag with name: {key} in experiment with id {experiment_id}")
    kept = {name: value for name, value in found.tags.items() if name != key}
    yield from _change(project, found, now, tags=to_json(kept))


def set_experiment_stage(project: str, experiment_id: str, stage: str, now: int) -> Script[None]:
    """Delete an experiment with its runs (`deleted`), or restore both (`active`).

    Raise NotFound unless it is in the other stage, InvalidValue for the first one.
    """
    if experiment_id == DEFAULT:
        raise InvalidValue(f"Cannot delete the default experiment '{DEFAULT}'. The project's chats lie there.")
    found = yield from get_experiment(project, experiment_id)
    if found.lifecycle_stage == stage:
        raise NotFound(f"No Experiment with id={experiment_id} exists")
    yield from _change(project, found, now, lifecycle_stage=stage)
    yield (
        "UPDATE runs SET lifecycle_stage = $1 WHERE project = $2 AND experiment_id = $3",
        (stage, project, experiment_id),
    )


def _change(project: str, old: Experiment, now: int, **columns: Any) -> Script[None]:
    if old is _DEFAULT:  # it has no row yet
        yield _INSERT, (project, DEFAULT, old.name, now, "{}")
    columns["last_update_time"] = now
    yield (
        f"UPDATE experiments SET {assignments(columns, 3)} WHERE project = $1 AND experiment_id = $2",  # noqa: S608
        (project, old.experiment_id, *columns.values()),
    )


def search_experiments(
    project: str, stages: Sequence[str], select: Callable[[list[Experiment]], list[Experiment]]
) -> Script[list[Experiment]]:
    """Return what `select` keeps of the project's experiments in one of the lifecycle stages, in its order."""
    rows = yield "SELECT * FROM experiments WHERE project = $1", (project,)
    found = [_experiment(row) for row in rows]
    if all(each.experiment_id != DEFAULT for each in found):
        found.append(msgspec.structs.replace(_DEFAULT))
    return select([each for each in found if each.lifecycle_stage in stages])
