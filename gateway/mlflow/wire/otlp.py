"""Read an OTLP export: from the published protobuf messages to spans, and what they tell of their traces.

A span is kept whole, as protobuf's JSON with its own field names, which is what MLflow's clients read back; beside it,
the fields that the search needs. Called by handlers/otlp.py, in a thread where a body is large. Format:
https://opentelemetry.io/docs/specs/otlp/.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import msgspec
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan

from gateway.errors import InvalidValue
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
    TRACE_USER,
)
from gateway.mlflow.usage import read_counts, unwrap_json
from gateway.mlflow.values import ClientSpan, ClientTrace
from gateway.mlflow.wire.body import dumps
from gateway.mlflow.wire.conventions import translate
from gateway.mlflow.wire.otlp_parts import no_export, split_json, split_protobuf

_MAX_LEVEL = 25  # of nesting that clients can read
_MAX_FLAT = 1_000  # characters of an attribute that the search sees
_PREVIEW, _SHORT = 1_000, 250  # characters of previews, and of names, sessions and users
_STATUS = {0: "UNSET", 1: "OK", 2: "ERROR"}
_SESSIONS, _USERS = ("session.id", "gen_ai.conversation.id"), ("user.id",)
Batches = dict[str, list[ClientSpan]]  # by trace ID


def decode(body: bytes, *, is_json: bool, pace: Callable[[], None] = lambda: None) -> Batches:
    """Return spans by trace ID. `pace` is called before each, so that who decodes in a thread can let others go first.

    Raise BadRequest for what is no such request or has no span, ContentTooLarge for too many spans or values,
    InvalidValue for a bad ID.
    """
    batches: Batches = {}
    for each in split_json(body) if is_json else split_protobuf(body):
        pace()
        span = _read_json(each) if is_json else _read_protobuf(each)
        if len(span.trace_id) != 16 or len(span.span_id) != 8 or not any(span.trace_id):
            raise InvalidValue("A span's trace ID has 16 bytes, not all of them 0, and its span ID 8.")
        batches.setdefault(f"tr-{span.trace_id.hex()}", []).append(_span(span))
    return batches


def _read_protobuf(data: bytes) -> OtlpSpan:
    span = OtlpSpan()
    try:
        span.ParseFromString(data)
    except (DecodeError, RecursionError):
        raise no_export() from None
    return span


def _read_json(data: bytes) -> OtlpSpan:
    """Read one span. Its IDs are hex in OTLP's JSON, and base64 in protobuf's."""
    span = OtlpSpan()
    try:
        # By a decoder that takes no halves of surrogate pairs: protobuf's fails at them in ways of its own.
        fields = msgspec.json.decode(data, type=dict[str, Any])
        for field in ("traceId", "spanId", "parentSpanId"):
            if fields.get(field):
                fields[field] = base64.b64encode(bytes.fromhex(fields[field])).decode()
        ParseDict(fields, span, ignore_unknown_fields=True)
    except (ParseError, msgspec.MsgspecError, ValueError, RecursionError, AttributeError, TypeError):
        raise no_export() from None
    return span


def trace_of(trace_id: str, experiment_id: str, spans: list[ClientSpan]) -> ClientTrace:
    """Return what spans tell of their trace.

    The root gives name, state, previews and tags. The spans together give times, and the first that names them, session
    and user. Tokens are counted where all spans are known, which is the store.
    """
    root = next((span for span in spans if span.parent_id is None), None)
    begin, end = min(span.start_ms for span in spans), max(span.end_ms for span in spans)
    values = root.values if root else {}
    inputs, outputs = values.get(SPAN_INPUTS), values.get(SPAN_OUTPUTS)
    session, user = (_first(spans, names) for names in (_SESSIONS, _USERS))
    metadata = {SCHEMA_VERSION: "3"}
    for key, value in ((TRACE_SESSION, session), (TRACE_USER, user)):
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
        tokens=None if (counts := read_counts(values.get(SPAN_USAGE))) is None else dumps(counts),
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
