"""Read an OTLP export: from the published protobuf messages to spans, and what they tell of their traces.

A span is kept whole, as protobuf's JSON with its own field names, which is what MLflow's clients read back; beside it,
the fields that the search needs. Called by handlers/otlp.py, in a thread where a body is large. Format:
https://opentelemetry.io/docs/specs/otlp/.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import DecodeError, Message
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
from gateway.mlflow.wire.checks import invalid
from gateway.mlflow.wire.conventions import translate
from gateway.mlflow.wire.otlp_parts import no_export, split_json, split_protobuf
from gateway.mlflow.wire.otlp_values import Values, listed
from gateway.wire.json_safety import body_problem

_MAX_LEVEL = 25  # of nesting that clients can read
_MAX_FLAT = 1_000  # characters of an attribute that the search sees
_PREVIEW, _SHORT = 1_000, 250  # characters of previews, and of names, sessions and users
_STATUS = {0: "UNSET", 1: "OK", 2: "ERROR"}
_SESSIONS, _USERS = ("session.id", "gen_ai.conversation.id"), ("user.id",)
M = TypeVar("M", bound=Message)
# What protobuf's own parsers raise for JSON or bytes that are no span: it is more than their documentation says.
_NO_SPAN = (
    DecodeError, ParseError, msgspec.MsgspecError, ValueError, OverflowError, RecursionError, AttributeError, TypeError,
)  # fmt: skip
Batches = dict[str, list[ClientSpan]]  # by trace ID


def decode(body: bytes, *, is_json: bool, pace: Callable[[], None] = lambda: None) -> Batches:
    """Return spans by trace ID. `pace` is called again and again, so that who decodes in a thread lets others go first.

    Raise BadRequest for what is no such request or has no span, ContentTooLarge for too many spans or values,
    InvalidValue for a bad ID.
    """
    batches: Batches = {}
    values = Values(pace)
    read = _read_json if is_json else _read_protobuf
    for each in split_json(body) if is_json else split_protobuf(body, pace):
        pace()
        try:
            span, attributes, whole = read(each, values)
        except _NO_SPAN:
            raise no_export() from None
        if len(span.trace_id) != 16 or len(span.span_id) != 8 or not any(span.trace_id):
            raise InvalidValue("A span's trace ID has 16 bytes, not all of them 0, and its span ID 8.")
        batches.setdefault(f"tr-{span.trace_id.hex()}", []).append(_span(span, attributes, whole))
    return batches


_Read = tuple[
    OtlpSpan, dict[str, Any], dict[str, Any]
]  # without its values; its attributes; the whole in protobuf's JSON


def _read_protobuf(data: bytes, values: Values) -> _Read:
    span = OtlpSpan.FromString(data)
    attributes, shown = values.pairs_of_messages(span.attributes)
    inner: dict[str, list[Any]] = {"attributes": shown, "events": [], "links": []}
    for name in ("events", "links"):
        for each in getattr(span, name):
            values.count()
            _, pairs = values.pairs_of_messages(each.attributes)
            each.ClearField("attributes")
            inner[name].append(_shown(each) | ({"attributes": pairs} if pairs else {}))
    for name in inner:
        span.ClearField(name)  # type: ignore[arg-type]
    return span, attributes, _shown(span) | {name: parts for name, parts in inner.items() if parts}


def _read_json(data: bytes, values: Values) -> _Read:
    """Read one span. Its IDs are hex in OTLP's JSON, and base64 in protobuf's."""
    if problem := body_problem(data):
        invalid(f"A span {problem}.")
    # By a decoder that takes no halves of surrogate pairs: protobuf's fails at them in ways of its own.
    fields = msgspec.json.decode(data, type=dict[str, Any])
    attributes, shown = values.pairs_of_json(listed(fields.pop("attributes", None)))
    inner: dict[str, list[Any]] = {"attributes": shown, "events": [], "links": []}
    for name, kind in (("events", OtlpSpan.Event), ("links", OtlpSpan.Link)):
        for each in listed(fields.pop(name, None)):
            values.count()
            _, pairs = values.pairs_of_json(listed(each.pop("attributes", None)))
            inner[name].append(_shown(_parsed(each, kind())) | ({"attributes": pairs} if pairs else {}))
    span = _parsed(fields, OtlpSpan())
    return span, attributes, _shown(span) | {name: parts for name, parts in inner.items() if parts}


def _parsed(fields: dict[str, Any], message: M) -> M:
    for field in ("traceId", "spanId", "parentSpanId"):
        if fields.get(field):
            fields[field] = base64.b64encode(bytes.fromhex(fields[field])).decode()
    return ParseDict(fields, message, ignore_unknown_fields=True)


def _shown(message: Message) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True)


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


def _span(span: OtlpSpan, values: dict[str, Any], whole: dict[str, Any]) -> ClientSpan:
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
