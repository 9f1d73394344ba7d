"""Spans by OTLP, from the published protobuf messages to rows, and the values in them to and from plain ones.

A span is kept whole, as protobuf's JSON with its own field names, which is what MLflow's clients read back; beside it
what the search asks for. Sans-I/O; called by gateway/mlflow/otlp.py, in a thread where a body is large.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan

from gateway.errors import BadRequest, InvalidValue, TooLarge, UnsupportedType
from gateway.mlflow.wire.conventions import TYPE, translated, unquoted

MAX_SPANS = 10_000
_MAX_LEVEL = 25
_MAX_FLAT = 1_000  # characters of an attribute that the search sees
_STATUS = {0: "UNSET", 1: "OK", 2: "ERROR"}
_COUNTS = ("input_tokens", "output_tokens", "total_tokens")
_WINDOW = {"gzip": 31, "deflate": 47}  # zlib's words for them; 47 finds out by itself


class SpanRow(msgspec.Struct, frozen=True, kw_only=True):
    """One span as it is stored. `values`: its attributes as plain values, which aren't stored."""

    span_id: str
    parent_id: str | None
    name: str
    type: str
    start_ms: int
    end_ms: int
    status: str
    message: str | None
    attributes: str  # JSON: key → text, for the search
    otlp: str
    values: dict[str, Any]


Batches = dict[str, list[SpanRow]]  # by trace ID


def inflate(body: bytes, encoding: str | None, limit: int) -> bytes:
    """The body as it was before Content-Encoding. Raises TooLarge beyond `limit`, BadRequest, UnsupportedType."""
    if encoding is None or encoding in ("", "identity"):
        return body
    if encoding not in _WINDOW:
        raise UnsupportedType(f"Content-Encoding {encoding} is not known here: gzip or deflate.")
    unpacker = zlib.decompressobj(_WINDOW[encoding])
    try:
        data = unpacker.decompress(body, limit + 1)
    except zlib.error:
        raise BadRequest(f"The body is no {encoding}.") from None
    if len(data) > limit:
        raise TooLarge(f"The body has more than {limit} bytes.")
    if not unpacker.eof:
        raise BadRequest(f"The body is cut off {encoding}.")
    return data


def decode(body: bytes, *, is_json: bool) -> Batches:
    """Rows by trace. BadRequest for what is no request of this kind, or has no span; InvalidValue for a bad ID."""
    request = ExportTraceServiceRequest()
    try:
        if is_json:
            ParseDict(_with_base64_ids(json.loads(body)), request, ignore_unknown_fields=True)
        else:
            request.ParseFromString(body)
    except (DecodeError, ParseError, ValueError, RecursionError, AttributeError, TypeError):
        raise BadRequest("Invalid OpenTelemetry format") from None
    spans = [span for r in request.resource_spans for scope in r.scope_spans for span in scope.spans]
    if not spans:
        raise BadRequest("Invalid OpenTelemetry format - no spans found")
    if len(spans) > MAX_SPANS:
        raise TooLarge(f"At most {MAX_SPANS} spans a request.")
    batches: Batches = {}
    for span in spans:
        if len(span.trace_id) != 16 or len(span.span_id) != 8 or not any(span.trace_id):
            raise InvalidValue("A span's trace ID has 16 bytes, not all of them 0, and its span ID 8.")
        batches.setdefault(f"tr-{span.trace_id.hex()}", []).append(_row(span))
    return batches


def _with_base64_ids(data: Any) -> Any:
    """OTLP's JSON has IDs in hex, where protobuf's own has base64."""
    for resource in data.get("resourceSpans", []):
        for scope in resource.get("scopeSpans", []):
            for span in scope.get("spans", []):
                for field in ("traceId", "spanId", "parentSpanId"):
                    if span.get(field):
                        span[field] = base64.b64encode(bytes.fromhex(span[field])).decode()
    return data


def _row(span: OtlpSpan) -> SpanRow:
    values = {pair.key: plain(pair.value) for pair in span.attributes}
    whole = MessageToDict(span, preserving_proto_field_name=True)
    if more := translated(values):
        values |= more
        own = [pair for pair in whole.get("attributes", []) if pair["key"] not in more]
        whole["attributes"] = [*own, *({"key": key, "value": any_value(value)} for key, value in more.items())]
    start, end = span.start_time_unix_nano // 1_000_000, span.end_time_unix_nano // 1_000_000
    return SpanRow(
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex() or None,
        name=span.name,
        type=str(unquoted(values.get(TYPE)) or "UNKNOWN"),
        start_ms=start,
        end_ms=max(start, end),
        status=_STATUS.get(span.status.code, "UNSET"),
        message=span.status.message or None,
        attributes=msgspec.json.encode({key: as_text(value)[:_MAX_FLAT] for key, value in values.items()}).decode(),
        otlp=msgspec.json.encode(whole).decode(),
        values=values,
    )


def plain(value: AnyValue) -> Any:
    """An attribute's value."""
    which = value.WhichOneof("value")
    if which is None:
        return None
    if which == "array_value":
        return [plain(each) for each in value.array_value.values]
    if which == "kvlist_value":
        return {pair.key: plain(pair.value) for pair in value.kvlist_value.values}
    if which == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return getattr(value, which)


def any_value(value: Any, level: int = 0) -> dict[str, Any]:
    """The other way, as protobuf's JSON. What is nested deeper than clients can read becomes text."""
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
        return {"array_value": {"values": [any_value(each, level + 1) for each in value]}}
    if isinstance(value, dict):
        return {
            "kvlist_value": {"values": [{"key": str(k), "value": any_value(v, level + 1)} for k, v in value.items()]}
        }
    return {"string_value": str(value)}


def as_text(value: Any) -> str:
    """Strings as they are, all else as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def usage_of(spans: Iterable[tuple[str, str | None, Any]]) -> dict[str, int] | None:
    """The tokens of a trace, from each span's ID, parent and own count: a parent's stands for its children's."""
    parents: dict[str, str | None] = {}
    counts: dict[str, dict[str, Any]] = {}
    for span_id, parent_id, given in spans:
        parents[span_id] = parent_id
        if isinstance(count := unquoted(given), dict):
            counts[span_id] = count
    total: dict[str, int] = {}
    for span_id, count in counts.items():
        if _covered(span_id, parents, counts):
            continue
        for name in _COUNTS:
            if isinstance(number := count.get(name), int):
                total[name] = total.get(name, 0) + number
    return total or None


def _covered(span_id: str, parents: Mapping[str, str | None], counts: Mapping[str, Any]) -> bool:
    seen, above = {span_id}, parents.get(span_id)
    while above is not None and above not in seen:
        if above in counts:
            return True
        seen.add(above)
        above = parents.get(above)
    return False
