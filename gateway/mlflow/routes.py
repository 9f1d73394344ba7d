"""The table of MLflow's routes: method, path, handler. web/mlflow.py makes routes of it; one role serves them all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from gateway.mlflow import assessments, datasets, experiments, otlp, runs, traces
from gateway.mlflow.call import Call, Plain

_V2, _V3 = "/api/2.0/mlflow", "/api/3.0/mlflow"
_TRACE = f"{_V3}/traces/{{trace_id}}"
_ASSESSMENT = f"{_TRACE}/assessments/{{assessment_id}}"
_DATASET = f"{_V3}/datasets/{{dataset_id}}"
_ARTIFACT = "/api/2.0/mlflow-artifacts/artifacts/{experiment_id}/traces/{trace_id}/artifacts/traces.json"

# The release whose wire this is. Clients ask before they send spans, and treat older servers otherwise.
SPOKEN = "3.17.2"


class Endpoint(msgspec.Struct, frozen=True):
    """`open`: for everybody, without a key."""

    method: str
    path: str
    handler: Callable[[Call], Awaitable[Any]]
    summary: str
    open: bool = False


async def version(call: Call) -> Any:
    """Text, before any key is sent."""
    return Plain(SPOKEN.encode(), b"text/plain; charset=utf-8")


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("GET", "/version", version, "The MLflow release that is spoken", open=True),
    Endpoint("POST", "/v1/traces", otlp.export, "Spans by OTLP"),
    Endpoint("GET", f"{_V2}/experiments/get-by-name", experiments.get_by_name, "An experiment by its name"),
    Endpoint("GET", f"{_V2}/experiments/get", experiments.get, "An experiment"),
    Endpoint("POST", f"{_V2}/experiments/create", experiments.create, "Make an experiment"),
    Endpoint("POST", f"{_V2}/experiments/search", experiments.search, "All experiments"),
    Endpoint("POST", f"{_V2}/experiments/set-experiment-tag", experiments.set_tag, "Tag an experiment"),
    Endpoint("POST", f"{_V3}/traces", traces.start, "A client's own trace"),
    Endpoint("GET", f"{_V3}/traces/get", traces.get, "A trace with its spans"),
    Endpoint("GET", f"{_V3}/traces/batchGet", traces.batch_get, "Traces with their spans"),
    Endpoint("GET", f"{_V3}/traces/batchGetInfos", traces.batch_get_infos, "Traces without their spans"),
    Endpoint("POST", f"{_V3}/traces/search", traces.search, "Search traces"),
    Endpoint("GET", _TRACE, traces.get_info, "A trace without its spans"),
    Endpoint("POST", f"{_TRACE}/assessments", assessments.create, "Log an assessment"),
    Endpoint("GET", _ASSESSMENT, assessments.get, "An assessment"),
    Endpoint("PATCH", _ASSESSMENT, assessments.update, "Change an assessment"),
    Endpoint("DELETE", _ASSESSMENT, assessments.delete, "Delete an assessment"),
    Endpoint("PATCH", f"{_V2}/traces/{{trace_id}}/tags", traces.set_tag, "Tag a trace"),
    Endpoint("DELETE", f"{_V2}/traces/{{trace_id}}/tags", traces.delete_tag, "Delete a trace's tag"),
    Endpoint("PATCH", f"{_TRACE}/tags", traces.set_tag, "Tag a trace"),
    Endpoint("DELETE", f"{_TRACE}/tags", traces.delete_tag, "Delete a trace's tag"),
    Endpoint("POST", f"{_V2}/traces/delete-traces", traces.delete, "Delete traces"),
    Endpoint("POST", f"{_V3}/traces/delete-traces", traces.delete, "Delete traces"),
    Endpoint("POST", f"{_V2}/traces/link-to-run", runs.link_traces, "Link traces to a run"),
    Endpoint("PUT", _ARTIFACT, traces.put_artifact, "Spans as a file, from older clients"),
    Endpoint("GET", _ARTIFACT, traces.get_artifact, "Spans as a file, for older clients"),
    Endpoint("POST", f"{_V2}/runs/create", runs.create, "Start a run"),
    Endpoint("GET", f"{_V2}/runs/get", runs.get, "A run"),
    Endpoint("POST", f"{_V2}/runs/update", runs.update, "Change a run"),
    Endpoint("POST", f"{_V2}/runs/delete", runs.delete, "Hide a run"),
    Endpoint("POST", f"{_V2}/runs/restore", runs.restore, "Bring a run back"),
    Endpoint("POST", f"{_V2}/runs/search", runs.search, "Runs of experiments"),
    Endpoint("POST", f"{_V2}/runs/log-batch", runs.log_batch, "Metrics, parameters and tags of a run"),
    Endpoint("POST", f"{_V2}/runs/log-metric", runs.log_metric, "A metric of a run"),
    Endpoint("POST", f"{_V2}/runs/log-parameter", runs.log_param, "A parameter of a run"),
    Endpoint("POST", f"{_V2}/runs/set-tag", runs.set_tag, "A tag of a run"),
    Endpoint("POST", f"{_V2}/runs/delete-tag", runs.delete_tag, "Delete a run's tag"),
    Endpoint("POST", f"{_V2}/runs/log-inputs", runs.log_inputs, "Datasets of a run"),
    Endpoint("POST", f"{_V3}/datasets/create", datasets.create, "Make a dataset"),
    Endpoint("POST", f"{_V3}/datasets/search", datasets.search, "Search datasets"),
    Endpoint("GET", _DATASET, datasets.get, "A dataset"),
    Endpoint("DELETE", _DATASET, datasets.delete, "Delete a dataset"),
    Endpoint("PATCH", f"{_DATASET}/tags", datasets.set_tags, "Tag a dataset"),
    Endpoint("DELETE", f"{_DATASET}/tags/{{key}}", datasets.delete_tag, "Delete a dataset's tag"),
    Endpoint("GET", f"{_DATASET}/experiment-ids", datasets.experiment_ids, "A dataset's experiments"),
    Endpoint("POST", f"{_DATASET}/add-experiments", datasets.add_experiments, "Put a dataset into experiments"),
    Endpoint("POST", f"{_DATASET}/remove-experiments", datasets.remove_experiments, "Take it out of experiments"),
    Endpoint("POST", f"{_DATASET}/records", datasets.upsert_records, "Add or change records"),
    Endpoint("GET", f"{_DATASET}/records", datasets.get_records, "A dataset's records"),
    Endpoint("DELETE", f"{_DATASET}/records", datasets.delete_records, "Delete records"),
)
