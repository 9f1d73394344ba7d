"""The table of MLflow's routes, one line each: method, path, handler, summary.

web/ binds it to HTTP, without knowing what is MLflow's about it. Whoever calls one needs the role `review`, but for
those that are open.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from gateway.mlflow.handlers import assessments, datasets, experiments, otlp, runs, traces
from gateway.mlflow.request import Request
from gateway.mlflow.wire.errors import MLFLOW, OTLP
from gateway.wire.errors import Wire

# The release whose API this is. Clients ask before they send spans, and treat older servers otherwise.
MLFLOW_VERSION = "3.17.2"

_V2, _V3 = "/api/2.0/mlflow", "/api/3.0/mlflow"
_TRACE = f"{_V3}/traces/{{trace_id}}"
_ASSESSMENT = f"{_TRACE}/assessments/{{assessment_id}}"
_DATASET = f"{_V3}/datasets/{{dataset_id}}"
_ARTIFACT = "/api/2.0/mlflow-artifacts/artifacts/{experiment_id}/traces/{trace_id}/artifacts/traces.json"
_TEXT, _FILE = "text/plain; charset=utf-8", "application/octet-stream"


class Endpoint(msgspec.Struct, frozen=True):
    """One route. Its handler returns a JSON value, or bytes, which are sent as they are with the type `media`."""

    method: str
    path: str
    handler: Callable[[Request], Awaitable[Any]]
    summary: str
    open: bool = False  # for everybody, without a key
    media: str = "application/json"
    any_type: bool = False  # the body needn't be JSON: a file, or a type that the handler checks itself
    wire: Wire = MLFLOW  # writes its errors


async def version(request: Request) -> bytes:
    """Return the release, which clients ask for before they send a key."""
    return MLFLOW_VERSION.encode()


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("GET", "/version", version, "The MLflow release whose API this is", open=True, media=_TEXT),
    Endpoint(
        "POST", "/v1/traces", otlp.export, "Store spans sent by OTLP", media=otlp.PROTOBUF, any_type=True, wire=OTLP
    ),
    Endpoint("GET", f"{_V2}/experiments/get-by-name", experiments.get_by_name, "Get an experiment by its name"),
    Endpoint("GET", f"{_V2}/experiments/get", experiments.get, "Get an experiment"),
    Endpoint("POST", f"{_V2}/experiments/create", experiments.create, "Create an experiment"),
    Endpoint("POST", f"{_V2}/experiments/search", experiments.search, "List experiments"),
    Endpoint("POST", f"{_V2}/experiments/set-experiment-tag", experiments.set_tag, "Tag an experiment"),
    Endpoint("POST", f"{_V3}/traces", traces.start, "Store a client's trace"),
    Endpoint("GET", f"{_V3}/traces/get", traces.get, "Get a trace with its spans"),
    Endpoint("GET", f"{_V3}/traces/batchGet", traces.batch_get, "Get traces with their spans"),
    Endpoint("GET", f"{_V3}/traces/batchGetInfos", traces.batch_get_infos, "Get traces without their spans"),
    Endpoint("POST", f"{_V3}/traces/search", traces.search, "Search traces"),
    Endpoint("GET", _TRACE, traces.get_info, "Get a trace without its spans"),
    Endpoint("POST", f"{_TRACE}/assessments", assessments.create, "Log an assessment"),
    Endpoint("GET", _ASSESSMENT, assessments.get, "Get an assessment"),
    Endpoint("PATCH", _ASSESSMENT, assessments.update, "Change an assessment"),
    Endpoint("DELETE", _ASSESSMENT, assessments.delete, "Delete an assessment"),
    Endpoint("PATCH", f"{_V2}/traces/{{trace_id}}/tags", traces.set_tag, "Tag a trace"),
    Endpoint("DELETE", f"{_V2}/traces/{{trace_id}}/tags", traces.delete_tag, "Delete a trace's tag"),
    Endpoint("PATCH", f"{_TRACE}/tags", traces.set_tag, "Tag a trace"),
    Endpoint("DELETE", f"{_TRACE}/tags", traces.delete_tag, "Delete a trace's tag"),
    Endpoint("POST", f"{_V2}/traces/delete-traces", traces.delete, "Delete traces"),
    Endpoint("POST", f"{_V3}/traces/delete-traces", traces.delete, "Delete traces"),
    Endpoint("POST", f"{_V2}/traces/link-to-run", runs.link_traces, "Link traces to a run"),
    Endpoint("PUT", _ARTIFACT, traces.put_artifact, "Store spans as a file, for clients before 3.17", any_type=True),
    Endpoint("GET", _ARTIFACT, traces.get_artifact, "Get spans as a file, for clients before 3.17", media=_FILE),
    Endpoint("POST", f"{_V2}/runs/create", runs.create, "Start a run"),
    Endpoint("GET", f"{_V2}/runs/get", runs.get, "Get a run"),
    Endpoint("POST", f"{_V2}/runs/update", runs.update, "Change a run"),
    Endpoint("POST", f"{_V2}/runs/delete", runs.delete, "Hide a run"),
    Endpoint("POST", f"{_V2}/runs/restore", runs.restore, "Restore a run"),
    Endpoint("POST", f"{_V2}/runs/search", runs.search, "List the runs of experiments"),
    Endpoint("POST", f"{_V2}/runs/log-batch", runs.log_batch, "Log metrics, parameters and tags of a run"),
    Endpoint("POST", f"{_V2}/runs/log-metric", runs.log_metric, "Log a metric of a run"),
    Endpoint("POST", f"{_V2}/runs/log-parameter", runs.log_param, "Log a parameter of a run"),
    Endpoint("POST", f"{_V2}/runs/set-tag", runs.set_tag, "Tag a run"),
    Endpoint("POST", f"{_V2}/runs/delete-tag", runs.delete_tag, "Delete a run's tag"),
    Endpoint("POST", f"{_V2}/runs/log-inputs", runs.log_inputs, "Log the datasets that went into a run"),
    Endpoint("POST", f"{_V3}/datasets/create", datasets.create, "Create a dataset"),
    Endpoint("POST", f"{_V3}/datasets/search", datasets.search, "Search datasets"),
    Endpoint("GET", _DATASET, datasets.get, "Get a dataset"),
    Endpoint("DELETE", _DATASET, datasets.delete, "Delete a dataset"),
    Endpoint("PATCH", f"{_DATASET}/tags", datasets.set_tags, "Tag a dataset"),
    Endpoint("DELETE", f"{_DATASET}/tags/{{key}}", datasets.delete_tag, "Delete a dataset's tag"),
    Endpoint("GET", f"{_DATASET}/experiment-ids", datasets.get_experiment_ids, "List a dataset's experiments"),
    Endpoint("POST", f"{_DATASET}/add-experiments", datasets.add_experiments, "Put a dataset into experiments"),
    Endpoint(
        "POST", f"{_DATASET}/remove-experiments", datasets.remove_experiments, "Take a dataset out of experiments"
    ),
    Endpoint("POST", f"{_DATASET}/records", datasets.upsert_records, "Add or change records"),
    Endpoint("GET", f"{_DATASET}/records", datasets.get_records, "List a dataset's records"),
    Endpoint("DELETE", f"{_DATASET}/records", datasets.delete_records, "Delete records"),
)
