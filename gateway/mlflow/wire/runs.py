"""Runs on MLflow's wire: bodies, checks, and what is written. Called by handlers/runs.py."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import msgspec

from gateway.mlflow.values import Run, RunValue, WholeRun
from gateway.mlflow.wire.body import MAX_TIME, KeyValue, decode_text, dumps, without_none
from gateway.mlflow.wire.checks import MAX_KEY, MAX_VALUE, check_count, check_length, invalid

MAX_BATCH = 1_000
MAX_HISTORY = 25_000  # values of a metric in a page
_STATUSES = ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
_MAX_LINKS, _MAX_EXPERIMENTS = 100, 500
_MAX_INPUT_KEY, _MAX_INPUT = 2_000, 1_000_000


class CreateRun(msgspec.Struct):
    """Body that starts a run."""

    experiment_id: str = "0"
    user_id: str = ""
    run_name: str = ""
    start_time: int | None = None
    tags: list[KeyValue] = []


class UpdateRun(msgspec.Struct):
    """Body that changes, hides or restores a run."""

    run_id: str = ""
    run_uuid: str = ""
    status: str | None = None
    end_time: int | None = None
    run_name: str | None = None


class SearchRuns(msgspec.Struct):
    """Body that lists the runs of experiments."""

    experiment_ids: list[str] = []
    filter: str = ""
    run_view_type: str = "ACTIVE_ONLY"
    max_results: int = 1_000
    order_by: list[str] = []
    page_token: str | None = None


class Metric(msgspec.Struct):
    """One metric; `value` is a text for NaN and infinity."""

    key: str
    value: float | str
    timestamp: int = 0
    step: int = 0


class LogMetric(Metric):
    """Body that logs one metric."""

    run_id: str = ""


class LogBatch(msgspec.Struct):
    """Body that logs metrics, parameters and tags."""

    run_id: str
    metrics: list[Metric] = []
    params: list[KeyValue] = []
    tags: list[KeyValue] = []


class LogInputs(msgspec.Struct):
    """Body that logs the datasets that went into a run."""

    run_id: str
    datasets: list[dict[str, Any]] = []


class LogPair(msgspec.Struct):
    """Body that logs or deletes one tag or parameter."""

    key: str
    value: str = ""
    run_id: str = ""
    run_uuid: str = ""


class LinkTraces(msgspec.Struct):
    """Body that links traces to a run."""

    run_id: str
    trace_ids: list[str] = []


def read_status(body: UpdateRun) -> str | None:
    """Return the new status, if any. Raise InvalidValue for one that MLflow doesn't have, and for a long name."""
    if body.status is not None and body.status not in _STATUSES:
        invalid(f"Invalid run status '{body.status}'.")
    check_length("A run's name", body.run_name or "", MAX_KEY)
    return body.status


def read_ms(ms: int | None) -> int | None:
    """Return a time in milliseconds. Raise InvalidValue for what is no time."""
    if ms is not None and not 0 <= ms <= MAX_TIME:
        invalid("A time must be milliseconds since 1970.")
    return ms


def read_experiments(body: SearchRuns) -> tuple[str, ...]:
    """Return the experiments of a search. Raise InvalidValue for too many."""
    check_count("experiments", body.experiment_ids, _MAX_EXPERIMENTS)
    return tuple(body.experiment_ids)


def read_limit(text: str) -> int:
    """Return how many values of a metric a page has at most. Raise InvalidValue for what is no number above 0."""
    if not text:
        return MAX_HISTORY
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text)):
        invalid(f"Invalid value {text} for parameter 'max_results' supplied. It must be a positive integer.")
    return min(int(text), MAX_HISTORY)


def read_pairs(kind: str, pairs: Iterable[tuple[str, str]]) -> list[RunValue]:
    """Return tags (`kind` tag) or parameters (param). Raise InvalidValue for too long ones."""
    values = [RunValue(kind=kind, key=key, value=value) for key, value in pairs]
    for value in values:
        check_length("A key", value.key, MAX_KEY, 1)
        check_length(f"The value of '{value.key}'", value.value, MAX_VALUE)
    return values


def read_metric(metric: Metric) -> RunValue:
    """Return a metric. Raise InvalidValue for what is no number."""
    try:
        number = float(metric.value)  # "NaN" and "Infinity" come as texts
    except ValueError:
        invalid(f"A metric's value must be a number; it is '{metric.value}'.")
    return RunValue(kind="metric", key=metric.key, value=repr(number), step=metric.step, time=metric.timestamp)


def read_input(given: dict[str, Any]) -> RunValue:
    """Return a dataset that went into a run, by name and digest. Raise InvalidValue."""
    dataset = given.get("dataset")
    if not isinstance(dataset, dict) or not dataset.get("name") or not dataset.get("digest"):
        invalid("A dataset input must have a dataset with name and digest.")
    text = dumps(given)
    check_length("A dataset input", text, _MAX_INPUT)
    return RunValue(kind="input", key=f"{dataset['name']}@{dataset['digest']}", value=text)


def check_values(values: list[RunValue]) -> list[RunValue]:
    """Return the values to log. Raise InvalidValue for too many, for a long key, a bad time or step."""
    check_count("values", values, MAX_BATCH)
    for value in values:
        check_length("A key", value.key, MAX_KEY if value.kind != "input" else _MAX_INPUT_KEY, 1)
        if not 0 <= value.time <= MAX_TIME or abs(value.step) > 2**53:
            invalid("A metric's timestamp or step is out of range.")
    return values


def read_links(body: LinkTraces) -> list[str]:
    """Return the traces to link. Raise InvalidValue for too many."""
    if len(body.trace_ids) > _MAX_LINKS:
        invalid(f"Cannot link more than {_MAX_LINKS} traces to a run in a single request.")
    return body.trace_ids


def write_info(run: Run) -> dict[str, Any]:
    """Return the JSON of RunInfo."""
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


def write_run(whole: WholeRun) -> dict[str, Any]:
    """Return the JSON of a run."""
    data: dict[str, list[Any]] = {"metrics": [], "params": [], "tags": []}
    inputs = []
    for value in whole.values:
        if value.kind == "input":
            inputs.append(decode_text(value.value, dict, "A dataset input"))
        elif value.kind == "metric":
            data["metrics"].append(write_metric(value))
        else:
            data[f"{value.kind}s"].append({"key": value.key, "value": value.value})
    return {
        "info": write_info(whole.info),
        "data": {name: values for name, values in data.items() if values},
        "inputs": {"dataset_inputs": inputs} if inputs else {},
        "outputs": {},
    }


def write_metric(value: RunValue) -> dict[str, Any]:
    """Return the JSON of one value of a metric."""
    number = float(value.value)
    shown = number if math.isfinite(number) else {"nan": "NaN", "inf": "Infinity"}.get(value.value, "-Infinity")
    return {"key": value.key, "value": shown, "timestamp": value.time, "step": value.step}
