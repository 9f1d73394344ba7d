"""POST /v1/traces: spans by OTLP over HTTP, from MLflow's clients and any other exporter.

A trace that only ever comes this way is told from its spans: name, times and state from the root, session, user and
token usage from the attributes that name them.
"""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.errors import InvalidValue, UnsupportedType
from gateway.mlflow.call import Call, Plain
from gateway.mlflow.scripts import runs as mlflow_runs
from gateway.mlflow.scripts import traces as mlflow_traces
from gateway.mlflow.wire import otlp
from gateway.mlflow.wire.body import dumps
from gateway.mlflow.wire.conventions import CHAT_USAGE, INPUTS, OUTPUTS, unquoted
from gateway.mlflow.wire.otlp import SpanRow, as_text, usage_of
from gateway.mlflow.wire.traces import NAME, SESSION, SPANS_LOCATION, USAGE, USER, ForeignTrace

_LARGE = 100_000  # bytes that are worth a thread
_EXPERIMENT, _RUN = "x-mlflow-experiment-id", "x-mlflow-run-id"
_TAG = "mlflow.traceTag."
_PREVIEW, _SHORT = 1_000, 250
_SESSIONS, _USERS = ("session.id", "gen_ai.conversation.id"), ("user.id",)


async def export(call: Call) -> Any:
    """All of a request, or none of it."""
    kind = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/x-protobuf", "application/json"):
        raise UnsupportedType(f"Invalid Content-Type: {kind}. Expected: application/x-protobuf or application/json")
    experiment = call.headers.get(_EXPERIMENT)
    if experiment is None:
        raise InvalidValue("Field required", details=[(_EXPERIMENT, "Field required")])
    encoding = call.headers.get("content-encoding")

    def read() -> list[tuple[ForeignTrace, list[SpanRow]]]:
        body = otlp.inflate(call.body, encoding and encoding.strip().lower(), call.max_bytes)
        batches = otlp.decode(body, is_json=kind == "application/json")
        return [(trace_of(trace_id, experiment, spans), spans) for trace_id, spans in batches.items()]

    traces = await asyncio.to_thread(read) if encoding or len(call.body) > _LARGE else read()
    await call.store.write(mlflow_traces.save_spans, call.project, traces, call.now)
    if run := call.headers.get(_RUN):
        await call.store.write(mlflow_runs.link_traces, call.project, run, [trace.trace_id for trace, _ in traces])
    return Plain(b"", b"application/x-protobuf") if kind == "application/x-protobuf" else {}


def trace_of(trace_id: str, experiment_id: str, spans: list[SpanRow]) -> ForeignTrace:
    """What these spans tell of their trace."""
    root = next((span for span in spans if span.parent_id is None), None)
    begin, end = min(span.start_ms for span in spans), max(span.end_ms for span in spans)
    values = root.values if root else {}
    metadata = {"mlflow.trace_schema.version": "3"}
    inputs, outputs = values.get(INPUTS), values.get(OUTPUTS)
    session, user = (_first(spans, names) for names in (_SESSIONS, _USERS))
    usage = usage_of((span.span_id, span.parent_id, span.values.get(CHAT_USAGE)) for span in spans)
    for key, value in ((SESSION, session), (USER, user), (USAGE, usage and dumps(usage))):
        if value:
            metadata[key] = value
    tags = {SPANS_LOCATION: "TRACKING_STORE"}
    for key, value in values.items():
        if key.startswith(_TAG) and 0 < len(key) - len(_TAG) <= _SHORT:
            tags[key.removeprefix(_TAG)] = as_text(unquoted(value))[:_PREVIEW]
    return ForeignTrace(
        trace_id=trace_id,
        experiment_id=experiment_id,
        request_time=begin,
        duration_ms=end - begin,
        state="IN_PROGRESS" if root is None else "ERROR" if root.status == "ERROR" else "OK",
        name=tags.pop(NAME, None) or (root.name[:_SHORT] if root else None),
        session_id=session or "",
        user_id=user,
        request_preview=None if inputs is None else dumps(unquoted(inputs))[:_PREVIEW],
        response_preview=None if outputs is None else dumps(unquoted(outputs))[:_PREVIEW],
        tags=tags,
        metadata=metadata,
        final=False,
    )


def _first(spans: list[SpanRow], names: tuple[str, ...]) -> str | None:
    for span in spans:
        for name in names:
            if span.values.get(name):
                return as_text(unquoted(span.values[name]))[:_SHORT]
    return None
