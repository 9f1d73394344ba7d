"""Experiments, a project's folders of traces. The gateway's own chats lie in 0, "Default", unless a tag says more."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.mlflow.call import Call
from gateway.mlflow.scripts import experiments as sql
from gateway.mlflow.wire.body import KeyValue, read_offset, without_none
from gateway.mlflow.wire.errors import check_length, check_pairs, invalid
from gateway.mlflow.wire.traces import MAX_KEY, MAX_TAG

_STAGES = {"ACTIVE_ONLY": ("active",), "DELETED_ONLY": ("deleted",), "ALL": ("active", "deleted")}


class _Create(msgspec.Struct):
    name: str
    tags: list[KeyValue] = []


class _Search(msgspec.Struct):
    max_results: int = 1000
    page_token: str | None = None
    filter: str = ""
    order_by: list[str] = []
    view_type: str = "ACTIVE_ONLY"


class _SetTag(msgspec.Struct):
    experiment_id: str
    key: str
    value: str


async def get_by_name(call: Call) -> Any:
    found = await call.store.read(sql.experiment_by_name, call.project, call.one("experiment_name"))
    return {"experiment": _write(found)}


async def get(call: Call) -> Any:
    found = await call.store.read(sql.get_experiment, call.project, call.one("experiment_id"))
    return {"experiment": _write(found)}


async def create(call: Call) -> Any:
    body = call.read(_Create)
    check_length("An experiment's name", body.name, 500, 1)
    tags = _tags(body.tags)
    return {"experiment_id": await call.store.write(sql.create_experiment, call.project, body.name, tags, call.now)}


async def search(call: Call) -> Any:
    """All of a project; only `name = '…'` and `name LIKE '…'` would narrow them, and they are few."""
    body = call.read(_Search)
    if body.filter:
        invalid("Experiments are not filtered here: ask for all of them, or for one by its name.")
    if body.view_type not in _STAGES:
        invalid(f"Invalid view_type '{body.view_type}'.")
    found = await call.store.read(sql.list_experiments, call.project, _STAGES[body.view_type])
    at = read_offset(body.page_token)
    page = found[at : at + max(0, body.max_results)]
    following = str(at + len(page)) if page and at + len(page) < len(found) else None
    return without_none([("experiments", [_write(each) for each in page]), ("next_page_token", following)])


async def set_tag(call: Call) -> Any:
    body = call.read(_SetTag)
    ((key, value),) = _tags([KeyValue(body.key, body.value)]).items()
    await call.store.write(sql.set_experiment_tag, call.project, body.experiment_id, key, value, call.now)
    return {}


def _tags(tags: list[KeyValue]) -> dict[str, str]:
    check_pairs("tags", [(tag.key, tag.value) for tag in tags], 100)
    for tag in tags:
        check_length("A tag's key", tag.key, MAX_KEY, 1)
        check_length("A tag's value", tag.value, MAX_TAG)
    return {tag.key: tag.value for tag in tags}


def _write(experiment: sql.Experiment) -> dict[str, Any]:
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
