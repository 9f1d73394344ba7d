"""Handlers of experiments, a project's folders of traces. Chats lie in 0, "Default", unless a tag names another."""

from __future__ import annotations

from functools import partial
from typing import Any

from gateway.mlflow.request import Request
from gateway.mlflow.scripts import experiments as scripts
from gateway.mlflow.wire import experiments as wire
from gateway.mlflow.wire.body import KeyValue, read_offset, write_page
from gateway.mlflow.wire.experiment_filter import parse_experiment_filter, parse_experiment_order, select


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
    """Find experiments of the project by name, times and tags. They are few."""
    body = request.decode(wire.SearchExperiments)
    stages = wire.read_stages("view_type", body.view_type)
    chosen = partial(select, clauses=parse_experiment_filter(body.filter), orders=parse_experiment_order(body.order_by))
    at = read_offset(body.page_token)
    found = await request.search(scripts.search_experiments, request.project, stages, chosen)
    page = found[at : at + max(0, body.max_results)]
    return write_page(
        "experiments", [wire.write_experiment(each) for each in page], at, more=at + len(page) < len(found)
    )


async def update(request: Request) -> Any:
    """Rename an experiment."""
    body = request.decode(wire.UpdateExperiment)
    name = wire.read_name(body.new_name)
    await request.store.write(scripts.rename_experiment, request.project, body.experiment_id, name, request.now)
    return {}


async def delete(request: Request) -> Any:
    """Hide an experiment and its runs from searches."""
    experiment_id = request.decode(wire.OneExperiment).experiment_id
    await request.store.write(scripts.set_experiment_stage, request.project, experiment_id, "deleted", request.now)
    return {}


async def restore(request: Request) -> Any:
    """Show a hidden experiment and its runs again."""
    experiment_id = request.decode(wire.OneExperiment).experiment_id
    await request.store.write(scripts.set_experiment_stage, request.project, experiment_id, "active", request.now)
    return {}


async def set_tag(request: Request) -> Any:
    """Set a tag of an experiment."""
    body = request.decode(wire.SetExperimentTag)
    ((key, value),) = wire.read_tags([KeyValue(body.key, body.value)]).items()
    await request.write(scripts.set_experiment_tag, request.project, body.experiment_id, key, value, request.now)
    return {}


async def delete_tag(request: Request) -> Any:
    """Delete a tag of an experiment."""
    body = request.decode(wire.DeleteExperimentTag)
    await request.store.write(scripts.delete_experiment_tag, request.project, body.experiment_id, body.key, request.now)
    return {}
