"""Experiments on MLflow's wire: bodies, checks, and what is written. Called by handlers/experiments.py."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.mlflow.values import Experiment
from gateway.mlflow.wire.body import KeyValue, without_none
from gateway.mlflow.wire.checks import check_count, check_length, check_tag, invalid

_STAGES = {"ACTIVE_ONLY": ("active",), "DELETED_ONLY": ("deleted",), "ALL": ("active", "deleted")}


class CreateExperiment(msgspec.Struct):
    """Body that creates an experiment."""

    name: str
    tags: list[KeyValue] = []


class SearchExperiments(msgspec.Struct):
    """Body that lists experiments."""

    max_results: int = 1000
    page_token: str | None = None
    filter: str = ""
    order_by: list[str] = []
    view_type: str = "ACTIVE_ONLY"


class UpdateExperiment(msgspec.Struct):
    """Body that renames an experiment."""

    experiment_id: str
    new_name: str


class OneExperiment(msgspec.Struct):
    """Body that deletes or restores an experiment."""

    experiment_id: str


class DeleteExperimentTag(msgspec.Struct):
    """Body that deletes a tag of an experiment."""

    experiment_id: str
    key: str


class SetExperimentTag(msgspec.Struct):
    """Body that tags an experiment."""

    experiment_id: str
    key: str
    value: str


def read_name(name: str) -> str:
    """Return an experiment's name. Raise InvalidValue for an empty or long one."""
    check_length("An experiment's name", name, 500, 1)
    return name


def read_tags(tags: list[KeyValue]) -> dict[str, str]:
    """Return an experiment's tags. Raise InvalidValue for too many or too long ones."""
    check_count("tags", tags, 100)
    for tag in tags:
        check_tag(tag.key, tag.value)
    return {tag.key: tag.value for tag in tags}


def read_stages(field: str, view_type: str) -> tuple[str, ...]:
    """Return the lifecycle stages of a view of experiments or runs. Raise InvalidValue, which names the field."""
    if view_type not in _STAGES:
        invalid(f"Invalid {field} '{view_type}'.")
    return _STAGES[view_type]


def write_experiment(experiment: Experiment) -> dict[str, Any]:
    """Return the JSON of an experiment."""
    tags = [{"key": key, "value": value} for key, value in experiment.tags.items()]
    return without_none(
        [
            ("experiment_id", experiment.experiment_id),
            ("name", experiment.name),
            ("artifact_location", f"mlflow-artifacts:/{experiment.experiment_id}"),
            ("lifecycle_stage", experiment.lifecycle_stage),
            ("last_update_time", experiment.last_update_time),
            ("creation_time", experiment.creation_time),
            ("tags", tags or None),
        ]
    )
