"""The table of MLflow's routes, one line each: method, path, handler.

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
    """One route. Its handler returns a JSON value, or bytes, which are sent as they are with the type `media`, or an
    iterator over pieces of a body of that type."""

    method: str
    path: str
    handler: Callable[[Request], Awaitable[Any]]
    open: bool = False  # for everybody, without a key
    media: str = "application/json"
    any_type: bool = False  # the body needn't be JSON: a file, or a type that the handler checks itself
    reads: bool = False  # it may take long and changes nothing: it ends when its caller has left
    wire: Wire = MLFLOW  # writes its errors


async def version(request: Request) -> bytes:
    """Return the release, which clients ask for before they send a key."""
    return MLFLOW_VERSION.encode()


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("GET", "/version", version, open=True, media=_TEXT),
    Endpoint("POST", "/v1/traces", otlp.export, media=otlp.PROTOBUF, any_type=True, wire=OTLP),
    Endpoint("GET", f"{_V2}/experiments/get-by-name", experiments.get_by_name),
    Endpoint("GET", f"{_V2}/experiments/get", experiments.get),
    Endpoint("POST", f"{_V2}/experiments/create", experiments.create),
    Endpoint("POST", f"{_V2}/experiments/search", experiments.search),
    Endpoint("POST", f"{_V2}/experiments/update", experiments.update),
    Endpoint("POST", f"{_V2}/experiments/delete", experiments.delete),
    Endpoint("POST", f"{_V2}/experiments/restore", experiments.restore),
    Endpoint("POST", f"{_V2}/experiments/set-experiment-tag", experiments.set_tag),
    Endpoint("POST", f"{_V2}/experiments/delete-experiment-tag", experiments.delete_tag),
    Endpoint("POST", f"{_V3}/traces", traces.start),
    Endpoint("GET", f"{_V3}/traces/get", traces.get, reads=True),
    Endpoint("GET", f"{_V3}/traces/batchGet", traces.batch_get, reads=True),
    Endpoint("GET", f"{_V3}/traces/batchGetInfos", traces.batch_get_infos, reads=True),
    Endpoint("POST", f"{_V3}/traces/search", traces.search, reads=True),
    Endpoint("GET", _TRACE, traces.get_info),
    Endpoint("POST", f"{_TRACE}/assessments", assessments.create),
    Endpoint("GET", _ASSESSMENT, assessments.get),
    Endpoint("PATCH", _ASSESSMENT, assessments.update),
    Endpoint("DELETE", _ASSESSMENT, assessments.delete),
    Endpoint("PATCH", f"{_V2}/traces/{{trace_id}}/tags", traces.set_tag),
    Endpoint("DELETE", f"{_V2}/traces/{{trace_id}}/tags", traces.delete_tag),
    Endpoint("PATCH", f"{_TRACE}/tags", traces.set_tag),
    Endpoint("DELETE", f"{_TRACE}/tags", traces.delete_tag),
    Endpoint("POST", f"{_V2}/traces/delete-traces", traces.delete),
    Endpoint("POST", f"{_V3}/traces/delete-traces", traces.delete),
    Endpoint("POST", f"{_V2}/traces/link-to-run", runs.link_traces),
    Endpoint("PUT", _ARTIFACT, traces.put_artifact, any_type=True),
    Endpoint("GET", _ARTIFACT, traces.get_artifact, media=_FILE),
    Endpoint("POST", f"{_V2}/runs/create", runs.create),
    Endpoint("GET", f"{_V2}/runs/get", runs.get),
    Endpoint("POST", f"{_V2}/runs/update", runs.update),
    Endpoint("POST", f"{_V2}/runs/delete", runs.delete),
    Endpoint("POST", f"{_V2}/runs/restore", runs.restore),
    Endpoint("POST", f"{_V2}/runs/search", runs.search, reads=True),
    Endpoint("GET", f"{_V2}/metrics/get-history", runs.metric_history),
    Endpoint("POST", f"{_V2}/runs/log-batch", runs.log_batch),
    Endpoint("POST", f"{_V2}/runs/log-metric", runs.log_metric),
    Endpoint("POST", f"{_V2}/runs/log-parameter", runs.log_param),
    Endpoint("POST", f"{_V2}/runs/set-tag", runs.set_tag),
    Endpoint("POST", f"{_V2}/runs/delete-tag", runs.delete_tag),
    Endpoint("POST", f"{_V2}/runs/log-inputs", runs.log_inputs),
    Endpoint("POST", f"{_V3}/datasets/create", datasets.create),
    Endpoint("POST", f"{_V3}/datasets/search", datasets.search, reads=True),
    Endpoint("GET", _DATASET, datasets.get),
    Endpoint("DELETE", _DATASET, datasets.delete),
    Endpoint("PATCH", f"{_DATASET}/tags", datasets.set_tags),
    Endpoint("DELETE", f"{_DATASET}/tags/{{key}}", datasets.delete_tag),
    Endpoint("GET", f"{_DATASET}/experiment-ids", datasets.get_experiment_ids),
    Endpoint("POST", f"{_DATASET}/add-experiments", datasets.add_experiments),
    Endpoint("POST", f"{_DATASET}/remove-experiments", datasets.remove_experiments),
    Endpoint("POST", f"{_DATASET}/records", datasets.upsert_records),
    Endpoint("GET", f"{_DATASET}/records", datasets.get_records, reads=True),
    Endpoint("DELETE", f"{_DATASET}/records", datasets.delete_records),
)
