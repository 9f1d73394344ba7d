"""Write spans as MLflow's clients read them: a chat's are made here, a client's are given back as they came.

Called by handlers/traces.py.
"""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from gateway.domain.trace import Span, Trace
from gateway.mlflow.names import (
    ATTEMPT_TYPE,
    MESSAGE_FORMAT,
    REQUEST_ID,
    ROOT_TYPE,
    SPAN_INPUTS,
    SPAN_MODEL,
    SPAN_OUTPUTS,
    SPAN_TYPE,
    SPAN_USAGE,
)
from gateway.mlflow.usage import counts_of
from gateway.mlflow.values import ChatSpans, StoredSpans
from gateway.mlflow.wire.body import dumps
from gateway.mlflow.wire.otlp import write_any_value


def write_spans(stored: StoredSpans) -> list[Any]:
    """Return the JSON of a trace's spans.

    A chat has a span of the request, with what was asked and answered, and one of each attempt at a provider.
    """
    if isinstance(stored, ChatSpans):
        return [_write_span(stored.trace, span) for span in stored.spans]
    return [msgspec.Raw(text.encode()) for text in stored.otlp]


def _inputs(trace: Trace) -> Any:
    """Return what was asked, in OpenAI's form; None where content isn't stored."""
    return None if trace.request is None else {"messages": msgspec.json.decode(trace.request)}


def _outputs(trace: Trace) -> Any:
    """Return what was answered, in OpenAI's form; None where content isn't stored."""
    if trace.response is None:
        return None
    choices = [
        {"index": index, "message": message, "finish_reason": trace.finish_reason}
        for index, message in enumerate(msgspec.json.decode(trace.response))
    ]
    return {"model": trace.answered_model or trace.model, "choices": choices}


def _write_span(trace: Trace, span: Span) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        REQUEST_ID: trace.trace_id,
        SPAN_TYPE: ROOT_TYPE if span.parent_id is None else ATTEMPT_TYPE,
    }
    if span.parent_id is None:
        asked, answered = _inputs(trace), _outputs(trace)
        attributes[SPAN_MODEL] = trace.answered_model or trace.model
        if asked is not None:
            attributes[SPAN_INPUTS] = asked
        if answered is not None:
            attributes[SPAN_OUTPUTS] = answered
            attributes[MESSAGE_FORMAT] = "openai"
        if trace.usage is not None:
            attributes[SPAN_USAGE] = counts_of(trace.usage)
    attributes |= span.attributes
    status: dict[str, Any] = {"code": f"STATUS_CODE_{span.status}"}
    if span.message:
        status["message"] = span.message
    found: dict[str, Any] = {
        "trace_id": _bytes(trace.trace_id.removeprefix("tr-")),
        "span_id": _bytes(span.span_id),
        "name": span.name,
        "start_time_unix_nano": str(span.start_ms * 1_000_000),
        "end_time_unix_nano": str(span.end_ms * 1_000_000),
        "attributes": [{"key": key, "value": write_any_value(value)} for key, value in attributes.items()],
        "status": status,
    }
    if span.parent_id is not None:
        found["parent_span_id"] = _bytes(span.parent_id)
    return found


def write_artifact(chat: ChatSpans) -> str:
    """Return the file that older clients download instead: the same in MLflow's own form, values as JSON in JSON."""
    whole = []
    for span in write_spans(chat):
        attributes = {pair["key"]: dumps(_plain(pair["value"])) for pair in span["attributes"]}
        whole.append({**span, "attributes": attributes, "events": []})
    return dumps({"spans": whole})


def _bytes(hexed: str) -> str:
    return base64.b64encode(bytes.fromhex(hexed)).decode()


def _plain(value: dict[str, Any]) -> Any:
    for kind, given in value.items():
        if kind == "array_value":
            return [_plain(each) for each in given["values"]]
        if kind == "kvlist_value":
            return {pair["key"]: _plain(pair["value"]) for pair in given["values"]}
        return int(given) if kind == "int_value" else given
    return None
