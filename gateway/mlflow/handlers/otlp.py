"""Handler of POST /v1/traces: spans by OTLP over HTTP, from MLflow's clients and any other exporter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.errors import InvalidValue, UnsupportedMediaType
from gateway.mlflow.imports import portions
from gateway.mlflow.request import Request
from gateway.mlflow.scripts import runs
from gateway.mlflow.scripts import spans as scripts
from gateway.mlflow.values import ClientSpan, ClientTrace
from gateway.mlflow.wire import otlp as wire

PROTOBUF, JSON = "application/x-protobuf", "application/json"
_EXPERIMENT, _RUN = "x-mlflow-experiment-id", "x-mlflow-run-id"
_ROWS, _BYTES, _LINKS = 50, 200_000, 100  # of one write, at most: others' writes wait for it
_TRACE_ROWS = 5  # that a trace takes beside its spans
Batch = tuple[ClientTrace, list[ClientSpan]]


async def export(request: Request) -> Any:
    """Store all spans of a request; none of them if one can't be.

    They are stored a few at a time. An exporter that isn't answered, since the server was killed, sends them again.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (PROTOBUF, JSON):
        raise UnsupportedMediaType(f"Invalid Content-Type: {kind}. Expected: {PROTOBUF} or {JSON}")
    experiment = request.headers.get(_EXPERIMENT)
    if experiment is None:
        raise InvalidValue("Field required", details=[(_EXPERIMENT, "Field required")])

    def read(pace: Callable[[], None]) -> list[Batch]:
        batches = wire.decode(request.body, is_json=kind == JSON, pace=pace)
        return [(wire.trace_of(trace_id, experiment, spans), spans) for trace_id, spans in batches.items()]

    async with request.imports.turn(request.project, len(request.body)):
        batches = await request.imports.work(read)
        traces = [trace for trace, _ in batches]
        for some in portions(traces, lambda _: 1, 500):
            await request.search(scripts.check_writable, request.project, some)
        for part in portions(_pieces(batches), _weigh, _ROWS):
            for below in await request.write(scripts.save_spans, request.project, part, request.now):
                trace_id, above = below
                while above:
                    above = await request.write(scripts.cover, request.project, (trace_id, above))
        if run := request.headers.get(_RUN):
            for some in portions(traces, lambda _: 1, _LINKS):
                await request.write(runs.link_traces, request.project, run, [trace.trace_id for trace in some])
    return b"" if kind == PROTOBUF else {}


def _pieces(batches: list[Batch]) -> list[Batch]:
    """Return the same spans with no more of a trace together than one write takes."""
    return [(trace, list(some)) for trace, spans in batches for some in portions(spans, _weigh_span, _ROWS)]


def _weigh(batch: Batch) -> int:
    trace, spans = batch
    return _TRACE_ROWS + len(trace.tags) + sum(map(_weigh_span, spans))


def _weigh_span(span: ClientSpan) -> int:
    return 1 + (len(span.otlp) + len(span.attributes)) * _ROWS // _BYTES
