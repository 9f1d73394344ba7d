"""Runs, as far as an evaluation and the search by run need them."""

from __future__ import annotations

import math
import secrets
from typing import Any

import msgspec

from gateway.mlflow.call import Call
from gateway.mlflow.scripts import runs as sql
from gateway.mlflow.scripts.runs import Run, RunValue, WholeRun
from gateway.mlflow.wire.body import MAX_TIME, KeyValue, decode_text, dumps, read_offset, without_none
from gateway.mlflow.wire.errors import check_length, check_pairs, invalid

_STATUSES = ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
_STAGES = {"ACTIVE_ONLY": ("active",), "DELETED_ONLY": ("deleted",), "ALL": ("active", "deleted")}
_NAME = "mlflow.runName"
_MAX_BATCH, _MAX_KEY, _MAX_VALUE, _MAX_LINKS = 1_000, 250, 8_000, 100


class _Create(msgspec.Struct):
    experiment_id: str = "0"
    user_id: str = ""
    run_name: str = ""
    start_time: int | None = None
    tags: list[KeyValue] = []


class _Update(msgspec.Struct):
    run_id: str = ""
    run_uuid: str = ""
    status: str | None = None
    end_time: int | None = None
    run_name: str | None = None


class _Search(msgspec.Struct):
    experiment_ids: list[str] = []
    filter: str = ""
    run_view_type: str = "ACTIVE_ONLY"
    max_results: int = 1_000
    order_by: list[str] = []
    page_token: str | None = None


class _Metric(msgspec.Struct):
    key: str
    value: float | str
    timestamp: int = 0
    step: int = 0


class _Batch(msgspec.Struct):
    run_id: str
    metrics: list[_Metric] = []
    params: list[KeyValue] = []
    tags: list[KeyValue] = []


class _Inputs(msgspec.Struct):
    run_id: str
    datasets: list[dict[str, Any]] = []


class _Tag(msgspec.Struct):
    key: str
    value: str = ""
    run_id: str = ""
    run_uuid: str = ""


class _Link(msgspec.Struct):
    run_id: str
    trace_ids: list[str] = []


async def create(call: Call) -> Any:
    body = call.read(_Create)
    tags = {tag.key: tag.value for tag in body.tags}
    name = body.run_name or tags.get(_NAME) or f"run-{secrets.token_hex(4)}"
    values = _values([("tag", key, value) for key, value in (tags | {_NAME: name}).items()])
    run = Run(
        run_id=secrets.token_hex(16),
        project=call.project,
        experiment_id=body.experiment_id,
        name=name,
        user_id=body.user_id[:_MAX_KEY],
        start_time=_time(body.start_time) or call.now,
    )
    return {"run": _write(await call.store.write(sql.create_run, run, values))}


async def get(call: Call) -> Any:
    run_id = call.one("run_id", "") or call.one("run_uuid")
    return {"run": _write(await call.store.read(sql.get_run, call.project, run_id))}


async def update(call: Call) -> Any:
    body = call.read(_Update)
    if body.status is not None and body.status not in _STATUSES:
        invalid(f"Invalid run status '{body.status}'.")
    check_length("A run's name", body.run_name or "", _MAX_KEY)
    whole = await call.store.write(
        sql.update_run,
        call.project,
        body.run_id or body.run_uuid,
        body.run_name or None,
        body.status,
        _time(body.end_time),
    )
    return {"run_info": _info(whole.info)}


async def delete(call: Call) -> Any:
    await call.store.write(sql.set_stage, call.project, call.read(_Update).run_id, "deleted")
    return {}


async def restore(call: Call) -> Any:
    await call.store.write(sql.set_stage, call.project, call.read(_Update).run_id, "active")
    return {}


async def search(call: Call) -> Any:
    """The newest first, of whole experiments."""
    body = call.read(_Search)
    if body.filter:
        invalid("Runs are not filtered here: ask for those of an experiment.")
    if body.run_view_type not in _STAGES:
        invalid(f"Invalid run_view_type '{body.run_view_type}'.")
    check_pairs("experiments", [("", "")] * len(body.experiment_ids), 500)
    at = read_offset(body.page_token)
    limit = max(0, min(body.max_results, _MAX_BATCH))
    stages = _STAGES[body.run_view_type]
    found = await call.store.search(sql.search_runs, call.project, body.experiment_ids, stages, limit, at)
    following = str(at + limit) if found and len(found) == limit else None
    return without_none([("runs", [_write(each) for each in found]), ("next_page_token", following)])


async def log_batch(call: Call) -> Any:
    body = call.read(_Batch)
    values = [("tag", tag.key, tag.value) for tag in body.tags] + [("param", p.key, p.value) for p in body.params]
    metrics = [_metric(metric) for metric in body.metrics]
    await _log(call, body.run_id, [*_values(values), *metrics])
    return {}


async def log_metric(call: Call) -> Any:
    body = call.read(_OneMetric)
    await _log(call, body.run_id, [_metric(body)])
    return {}


class _OneMetric(_Metric):
    run_id: str = ""


async def log_param(call: Call) -> Any:
    body = call.read(_Tag)
    await _log(call, body.run_id or body.run_uuid, _values([("param", body.key, body.value)]))
    return {}


async def set_tag(call: Call) -> Any:
    body = call.read(_Tag)
    await _log(call, body.run_id or body.run_uuid, _values([("tag", body.key, body.value)]))
    return {}


async def delete_tag(call: Call) -> Any:
    body = call.read(_Tag)
    await call.store.write(sql.delete_tag, call.project, body.run_id or body.run_uuid, body.key)
    return {}


async def log_inputs(call: Call) -> Any:
    """Datasets that a run was given; the same one again changes nothing."""
    body = call.read(_Inputs)
    values = []
    for given in body.datasets:
        dataset = given.get("dataset")
        if not isinstance(dataset, dict) or not dataset.get("name") or not dataset.get("digest"):
            invalid("A dataset input has a dataset with name and digest.")
        text = dumps(given)
        check_length("A dataset input", text, 1_000_000)
        values.append(RunValue(kind="input", key=f"{dataset['name']}@{dataset['digest']}", value=text))
    await _log(call, body.run_id, values)
    return {}


async def link_traces(call: Call) -> Any:
    body = call.read(_Link)
    if len(body.trace_ids) > _MAX_LINKS:
        invalid(f"Cannot link more than {_MAX_LINKS} traces to a run in a single request.")
    await call.store.write(sql.link_traces, call.project, body.run_id, body.trace_ids)
    return {}


async def _log(call: Call, run_id: str, values: list[RunValue]) -> None:
    check_pairs("values", [("", "")] * len(values), _MAX_BATCH)
    for value in values:
        check_length("A key", value.key, _MAX_KEY if value.kind != "input" else 2_000, 1)
        if not 0 <= value.time <= MAX_TIME or abs(value.step) > 2**53:
            invalid("A metric's timestamp or step is out of range.")
    await call.store.write(sql.log_values, call.project, run_id, values)


def _values(given: list[tuple[str, str, str]]) -> list[RunValue]:
    for _, key, value in given:
        check_length("A key", key, _MAX_KEY, 1)
        check_length(f"The value of '{key}'", value, _MAX_VALUE)
    return [RunValue(kind=kind, key=key, value=value) for kind, key, value in given]


def _metric(metric: _Metric) -> RunValue:
    number = repr(_number(metric.value))
    return RunValue(kind="metric", key=metric.key, value=number, step=metric.step, time=metric.timestamp)


def _number(value: float | str) -> float:
    try:
        return float(value)  # "NaN" and "Infinity" come as strings
    except ValueError:
        invalid(f"A metric's value must be a number; it is '{value}'.")


def _time(ms: int | None) -> int | None:
    if ms is not None and not 0 <= ms <= MAX_TIME:
        invalid("A time must be milliseconds since 1970.")
    return ms


def _info(run: Run) -> dict[str, Any]:
    return without_none(
        [
            ("run_id", run.run_id),
            ("run_uuid", run.run_id),
            ("experiment_id", run.experiment_id),
            ("run_name", run.name),
            ("user_id", run.user_id),
            ("status", run.status),
            ("start_time", run.start_time),
            ("end_time", run.end_time),
            ("artifact_uri", f"mlflow-artifacts:/{run.experiment_id}/{run.run_id}/artifacts"),
            ("lifecycle_stage", run.lifecycle_stage),
        ]
    )


def _write(whole: WholeRun) -> dict[str, Any]:
    by_kind: dict[str, list[Any]] = {"tag": [], "param": [], "metric": [], "input": []}
    for value in whole.values:
        if value.kind == "input":
            by_kind["input"].append(decode_text(value.value, dict, "A dataset input"))
        elif value.kind == "metric":
            number = float(value.value)
            shown = number if math.isfinite(number) else {"nan": "NaN", "inf": "Infinity"}.get(value.value, "-Infinity")
            by_kind["metric"].append({"key": value.key, "value": shown, "timestamp": value.time, "step": value.step})
        else:
            by_kind[value.kind].append({"key": value.key, "value": value.value})
    data = {"metrics": by_kind["metric"], "params": by_kind["param"], "tags": by_kind["tag"]}
    return {
        "info": _info(whole.info),
        "data": {name: values for name, values in data.items() if values},
        "inputs": {"dataset_inputs": by_kind["input"]} if by_kind["input"] else {},
        "outputs": {},
    }
