"""Handler of POST /v1/traces: spans by OTLP over HTTP, from MLflow's clients and any other exporter."""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.errors import InvalidValue, UnsupportedMediaType
from gateway.mlflow.request import Request
from gateway.mlflow.scripts import runs, traces
from gateway.mlflow.values import ClientSpan, ClientTrace
from gateway.mlflow.wire import otlp as wire

PROTOBUF, JSON = "application/x-protobuf", "application/json"
_LARGE = 100_000  # bytes from which on reading a body is worth a thread
_EXPERIMENT, _RUN = "x-mlflow-experiment-id", "x-mlflow-run-id"


async def export(request: Request) -> Any:
    """Store all spans of a request, or none of them."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (PROTOBUF, JSON):
        raise UnsupportedMediaType(f"Invalid Content-Type: {kind}. Expected: {PROTOBUF} or {JSON}")
    experiment = request.headers.get(_EXPERIMENT)
    if experiment is None:
        raise InvalidValue("Field required", details=[(_EXPERIMENT, "Field required")])

    def read() -> list[tuple[ClientTrace, list[ClientSpan]]]:
        batches = wire.decode(request.body, is_json=kind == JSON)
        return [(wire.trace_of(trace_id, experiment, spans), spans) for trace_id, spans in batches.items()]

    batches = await asyncio.to_thread(read) if len(request.body) > _LARGE else read()
    await request.store.write(traces.save_spans, request.project, batches, request.now)
    if run := request.headers.get(_RUN):
        await request.store.write(runs.link_traces, request.project, run, [trace.trace_id for trace, _ in batches])
    return b"" if kind == PROTOBUF else {}
