"""Handlers of experiments, a project's folders of traces. Chats lie in 0, "Default", unless a tag names another."""

from __future__ import annotations

from typing import Any

from gateway.mlflow.request import Request
from gateway.mlflow.scripts import experiments as scripts
from gateway.mlflow.wire import experiments as wire
from gateway.mlflow.wire.body import KeyValue, read_offset, write_page
from gateway.mlflow.wire.checks import invalid


async def get_by_name(request: Request) -> Any:
    """Read the experiment of a name."""
    found = await request.store.read(
        scripts.get_experiment_by_name, request.project, request.query_value("experiment_name")
    )
    return {"experiment": wire.write_experiment(found)}


async def get(request: Request) -> Any:
    """Read the experiment of an ID."""
    found = await request.store.read(scripts.get_experiment, request.project, request.query_value("experiment_id"))
    return {"experiment": wire.write_experiment(found)}


async def create(request: Request) -> Any:
    """Create an experiment under the project's next number."""
    body = request.decode(wire.CreateExperiment)
    name, tags = wire.read_name(body.name), wire.read_tags(body.tags)
    made = await request.write(scripts.create_experiment, request.project, name, tags, request.now)
    return {"experiment_id": made}


async def search(request: Request) -> Any:
    """List all experiments of the project. MLflow can filter them by name; here they are few."""
    body = request.decode(wire.SearchExperiments)
    if body.filter:
        invalid("A filter of experiments is not supported: ask for all of them, or for one by its name.")
    stages = wire.read_stages("view_type", body.view_type)
    found = await request.store.read(scripts.list_experiments, request.project, stages)
    at = read_offset(body.page_token)
    page = found[at : at + max(0, body.max_results)]
    return write_page(
        "experiments", [wire.write_experiment(each) for each in page], at, more=at + len(page) < len(found)
    )


async def set_tag(request: Request) -> Any:
    """Set a tag of an experiment."""
    body = request.decode(wire.SetExperimentTag)
    ((key, value),) = wire.read_tags([KeyValue(body.key, body.value)]).items()
    await request.write(scripts.set_experiment_tag, request.project, body.experiment_id, key, value, request.now)
    return {}
