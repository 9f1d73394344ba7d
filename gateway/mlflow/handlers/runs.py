"""Handlers of runs: what training and evaluations log, and the search for it."""

from __future__ import annotations

import secrets
from functools import partial
from typing import Any

from gateway.mlflow.imports import portions
from gateway.mlflow.names import RUN_NAME
from gateway.mlflow.request import Request
from gateway.mlflow.scripts import runs as scripts
from gateway.mlflow.values import Run, RunQuery, RunValue
from gateway.mlflow.wire import runs as wire
from gateway.mlflow.wire.body import read_offset, write_page
from gateway.mlflow.wire.checks import MAX_KEY
from gateway.mlflow.wire.experiments import read_stages
from gateway.mlflow.wire.run_filter import inputs_meet, parse_run_filter, parse_run_order

_VALUES = 100  # of one write: others' writes wait for it


async def create(request: Request) -> Any:
    """Start a run."""
    body = request.decode(wire.CreateRun)
    tags = {tag.key: tag.value for tag in body.tags}
    name = body.run_name or tags.get(RUN_NAME) or f"run-{secrets.token_hex(4)}"
    values = wire.read_pairs("tag", (tags | {RUN_NAME: name}).items())
    run = Run(
        run_id=secrets.token_hex(16),
        project=request.project,
        experiment_id=body.experiment_id,
        name=name,
        user_id=body.user_id[:MAX_KEY],
        start_time=wire.read_ms(body.start_time) or request.now,
    )
    return {"run": wire.write_run(await request.write(scripts.create_run, run, values))}


async def get(request: Request) -> Any:
    """Read a run with its values."""
    run_id = request.query_value("run_id", "") or request.query_value("run_uuid")
    return {"run": wire.write_run(await request.store.read(scripts.get_run, request.project, run_id))}


async def update(request: Request) -> Any:
    """Change a run's name, status or end; what isn't given stays."""
    body = request.decode(wire.UpdateRun)
    run_id, name, status = body.run_id or body.run_uuid, body.run_name or None, wire.read_status(body)
    whole = await request.write(scripts.update_run, request.project, run_id, name, status, wire.read_ms(body.end_time))
    return {"run_info": wire.write_info(whole.info)}


async def delete(request: Request) -> Any:
    """Hide a run from searches."""
    await request.write(scripts.set_stage, request.project, request.decode(wire.UpdateRun).run_id, "deleted")
    return {}


async def restore(request: Request) -> Any:
    """Show a hidden run again."""
    await request.write(scripts.set_stage, request.project, request.decode(wire.UpdateRun).run_id, "active")
    return {}


async def search(request: Request) -> Any:
    """Find runs of whole experiments by metrics, parameters, tags, attributes and inputs, the newest first."""
    body = request.decode(wire.SearchRuns)
    query = RunQuery(
        project=request.project,
        experiment_ids=wire.read_experiments(body),
        stages=read_stages("run_view_type", body.run_view_type),
        clauses=parse_run_filter(body.filter),
        orders=parse_run_order(body.order_by),
        limit=max(0, min(body.max_results, wire.MAX_BATCH)),
        offset=read_offset(body.page_token),
    )
    on_inputs = [clause for clause in query.clauses if clause.kind == "dataset"]
    keep = partial(inputs_meet, on_inputs) if on_inputs else None
    found, more = await request.search(scripts.search_runs, query, keep)
    return write_page("runs", [wire.write_run(each) for each in found], query.offset, more=more)


async def metric_history(request: Request) -> Any:
    """Read the values of a metric, the oldest first, a page at a time."""
    run_id = request.query_value("run_id", "") or request.query_value("run_uuid")
    key = request.query_value("metric_key")
    limit, at = (
        wire.read_limit(request.query_value("max_results", "")),
        read_offset(request.query_value("page_token", "")),
    )
    found = await request.search(scripts.metric_history, request.project, run_id, key, limit, at)
    return write_page("metrics", [wire.write_metric(each) for each in found[:limit]], at, more=len(found) > limit)


async def log_batch(request: Request) -> Any:
    """Log metrics, parameters and tags together."""
    body = request.decode(wire.LogBatch)
    tags = wire.read_pairs("tag", [(tag.key, tag.value) for tag in body.tags])
    params = wire.read_pairs("param", [(param.key, param.value) for param in body.params])
    metrics = [wire.read_metric(metric) for metric in body.metrics]
    return await _log(request, body.run_id, [*params, *tags, *metrics])  # parameters may be refused


async def log_metric(request: Request) -> Any:
    """Log one metric."""
    body = request.decode(wire.LogMetric)
    return await _log(request, body.run_id, [wire.read_metric(body)])


async def log_param(request: Request) -> Any:
    """Log one parameter, which can't be changed later."""
    body = request.decode(wire.LogPair)
    return await _log(request, body.run_id or body.run_uuid, wire.read_pairs("param", [(body.key, body.value)]))


async def set_tag(request: Request) -> Any:
    """Set a tag of a run."""
    body = request.decode(wire.LogPair)
    return await _log(request, body.run_id or body.run_uuid, wire.read_pairs("tag", [(body.key, body.value)]))


async def delete_tag(request: Request) -> Any:
    """Delete a tag of a run."""
    body = request.decode(wire.LogPair)
    await request.write(scripts.delete_tag, request.project, body.run_id or body.run_uuid, body.key)
    return {}


async def log_inputs(request: Request) -> Any:
    """Log datasets that went into a run; the same one again changes nothing."""
    body = request.decode(wire.LogInputs)
    return await _log(request, body.run_id, [wire.read_input(given) for given in body.datasets])


async def link_traces(request: Request) -> Any:
    """Link the traces that are there to a run."""
    body = request.decode(wire.LinkTraces)
    await request.write(scripts.link_traces, request.project, body.run_id, wire.read_links(body))
    return {}


async def _log(request: Request, run_id: str, values: list[RunValue]) -> Any:
    """Log values, some at a time; MLflow doesn't log a batch as one either."""
    checked = wire.check_values(values)
    for some in portions(checked, lambda _: 1, _VALUES) if checked else [()]:
        await request.write(scripts.log_values, request.project, run_id, some)
    return {}
