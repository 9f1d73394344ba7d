"""Read an OTLP export: from the published protobuf messages to spans, and what they tell of their traces.

A span is kept whole, as protobuf's JSON with its own field names, which is what MLflow's clients read back; beside it,
the fields that the search needs. Called by handlers/otlp.py, in a thread where a body is large. Format:
https://opentelemetry.io/docs/specs/otlp/.
"""

from __future__ import annotations

import base64
from typing import Any

import msgspec
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan

from gateway.errors import BadRequest, ContentTooLarge, InvalidValue
from gateway.mlflow.names import (
    SCHEMA_VERSION,
    SPAN_INPUTS,
    SPAN_OUTPUTS,
    SPAN_TYPE,
    SPAN_USAGE,
    SPANS_LOCATION,
    TRACE_NAME,
    TRACE_SESSION,
    TRACE_TAG,
    TRACE_USAGE,
    TRACE_USER,
)
from gateway.mlflow.usage import total_usage, unwrap_json
from gateway.mlflow.values import ClientSpan, ClientTrace
from gateway.mlflow.wire.body import dumps
from gateway.mlflow.wire.conventions import translate

MAX_SPANS = 10_000
_MAX_LEVEL = 25  # of nesting that clients can read
_MAX_FLAT = 1_000  # characters of an attribute that the search sees
_PREVIEW, _SHORT = 1_000, 250  # characters of previews, and of names, sessions and users
_STATUS = {0: "UNSET", 1: "OK", 2: "ERROR"}
_SESSIONS, _USERS = ("session.id", "gen_ai.conversation.id"), ("user.id",)
Batches = dict[str, list[ClientSpan]]  # by trace ID


def decode(body: bytes, *, is_json: bool) -> Batches:
    """Return spans by trace ID.

    Raise BadRequest for what is no such request or has no span, ContentTooLarge beyond MAX_SPANS, InvalidValue for a
    bad ID.
    """
    request = ExportTraceServiceRequest()
    try:
        if is_json:  # by a decoder that takes no halves of surrogate pairs: protobuf's fails at them in ways of its own
            ParseDict(_with_base64_ids(msgspec.json.decode(body)), request, ignore_unknown_fields=True)
        else:
            request.ParseFromString(body)
    except (DecodeError, ParseError, msgspec.MsgspecError, ValueError, RecursionError, AttributeError, TypeError):
        raise BadRequest("Invalid OpenTelemetry format") from None
    spans = [span for r in request.resource_spans for scope in r.scope_spans for span in scope.spans]
    if not spans:
        raise BadRequest("Invalid OpenTelemetry format - no spans found")
    if len(spans) > MAX_SPANS:
        raise ContentTooLarge(f"A request has at most {MAX_SPANS} spans.")
    batches: Batches = {}
    for span in spans:
        if len(span.trace_id) != 16 or len(span.span_id) != 8 or not any(span.trace_id):
            raise InvalidValue("A span's trace ID has 16 bytes, not all of them 0, and its span ID 8.")
        batches.setdefault(f"tr-{span.trace_id.hex()}", []).append(_span(span))
    return batches


def trace_of(trace_id: str, experiment_id: str, spans: list[ClientSpan]) -> ClientTrace:
    """Return what spans tell of their trace.

    The root gives name, state, previews and tags. The spans together give times and tokens, and the first that names
    them, session and user.
    """
    root = next((span for span in spans if span.parent_id is None), None)
    begin, end = min(span.start_ms for span in spans), max(span.end_ms for span in spans)
    values = root.values if root else {}
    inputs, outputs = values.get(SPAN_INPUTS), values.get(SPAN_OUTPUTS)
    session, user = (_first(spans, names) for names in (_SESSIONS, _USERS))
    usage = total_usage((span.span_id, span.parent_id, span.values.get(SPAN_USAGE)) for span in spans)
    metadata = {SCHEMA_VERSION: "3"}
    for key, value in ((TRACE_SESSION, session), (TRACE_USER, user), (TRACE_USAGE, usage and dumps(usage))):
        if value:
            metadata[key] = value
    tags = {SPANS_LOCATION: "TRACKING_STORE"}
    for key, value in values.items():
        if key.startswith(TRACE_TAG) and 0 < len(key) - len(TRACE_TAG) <= _SHORT:
            tags[key.removeprefix(TRACE_TAG)] = as_text(unwrap_json(value))[:_PREVIEW]
    return ClientTrace(
        trace_id=trace_id,
        experiment_id=experiment_id,
        request_time=begin,
        duration_ms=end - begin,
        state="IN_PROGRESS" if root is None else "ERROR" if root.status == "ERROR" else "OK",
        name=tags.pop(TRACE_NAME, None) or (root.name[:_SHORT] if root else None),
        session_id=session or "",
        user_id=user,
        request_preview=None if inputs is None else dumps(unwrap_json(inputs))[:_PREVIEW],
        response_preview=None if outputs is None else dumps(unwrap_json(outputs))[:_PREVIEW],
        tags=tags,
        metadata=metadata,
    )


def _first(spans: list[ClientSpan], names: tuple[str, ...]) -> str | None:
    for span in spans:
        for name in names:
            if span.values.get(name):
                return as_text(unwrap_json(span.values[name]))[:_SHORT]
    return None


def _with_base64_ids(data: Any) -> Any:
    """Return the request with IDs in base64, as protobuf's JSON has them; OTLP's JSON has hex."""
    for resource in data.get("resourceSpans", []):
        for scope in resource.get("scopeSpans", []):
            for span in scope.get("spans", []):
                for field in ("traceId", "spanId", "parentSpanId"):
                    if span.get(field):
                        span[field] = base64.b64encode(bytes.fromhex(span[field])).decode()
    return data


def _span(span: OtlpSpan) -> ClientSpan:
    values = {pair.key: read_any_value(pair.value) for pair in span.attributes}
    whole = MessageToDict(span, preserving_proto_field_name=True)
    if more := translate(values):
        values |= more
        own = [pair for pair in whole.get("attributes", []) if pair["key"] not in more]
        whole["attributes"] = [*own, *({"key": key, "value": write_any_value(value)} for key, value in more.items())]
    start, end = span.start_time_unix_nano // 1_000_000, span.end_time_unix_nano // 1_000_000
    return ClientSpan(
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex() or None,
        name=span.name,
        type=str(unwrap_json(values.get(SPAN_TYPE)) or "UNKNOWN"),
        start_ms=start,
        end_ms=max(start, end),
        status=_STATUS.get(span.status.code, "UNSET"),
        message=span.status.message or None,
        attributes=msgspec.json.encode({key: as_text(value)[:_MAX_FLAT] for key, value in values.items()}).decode(),
        otlp=msgspec.json.encode(whole).decode(),
        values=values,
    )


def read_any_value(value: AnyValue) -> Any:
    """Return an attribute's value as a plain one; bytes become base64."""
    which = value.WhichOneof("value")
    if which is None:
        return None
    if which == "array_value":
        return [read_any_value(each) for each in value.array_value.values]
    if which == "kvlist_value":
        return {pair.key: read_any_value(pair.value) for pair in value.kvlist_value.values}
    if which == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return getattr(value, which)


def write_any_value(value: Any, level: int = 0) -> dict[str, Any]:
    """Return protobuf's JSON of a plain value. What is nested deeper than clients can read becomes text."""
    if level > _MAX_LEVEL:
        return {"string_value": as_text(value)}
    if value is None:
        return {}
    if isinstance(value, bool):
        return {"bool_value": value}
    if isinstance(value, int):
        return {"int_value": str(value)}
    if isinstance(value, float):
        return {"double_value": value}
    if isinstance(value, list):
        return {"array_value": {"values": [write_any_value(each, level + 1) for each in value]}}
    if isinstance(value, dict):
        return {
            "kvlist_value": {
                "values": [{"key": str(k), "value": write_any_value(v, level + 1)} for k, v in value.items()]
            }
        }
    return {"string_value": str(value)}


def as_text(value: Any) -> str:
    """Return a string as it is, and any other value as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
