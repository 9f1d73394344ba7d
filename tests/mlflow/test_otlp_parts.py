"""An export is taken apart and counted before it is decoded."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from gateway.errors import BadRequest, ContentTooLarge, GatewayError, InvalidValue
from gateway.mlflow.wire import otlp, otlp_parts
from gateway.mlflow.wire.otlp_parts import split_json, split_protobuf


def _export(count: int = 2) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    for number in range(count):
        resource = request.resource_spans.add()
        resource.resource.attributes.add(key="service").value.string_value = "s"
        span = resource.scope_spans.add().spans.add(trace_id=b"\1" * 16, span_id=b"%08d" % number, name="n")
        span.start_time_unix_nano, span.flags, span.dropped_links_count = 5, 1, 300
        span.attributes.add(key="list").value.array_value.values.add().int_value = number
        span.attributes.add(key="map").value.kvlist_value.values.add(key="k").value.string_value = "v"
        span.events.add(name="e").attributes.add(key="a").value.bool_value = True
        span.links.add(trace_id=b"\2" * 16, span_id=b"\2" * 8).attributes.add(key="b").value.double_value = 0.5
    return request


def test_each_span_is_what_protobuf_says() -> None:
    """Byte for byte, whatever else is around it."""
    request = _export()
    spans = [span for resource in request.resource_spans for span in resource.scope_spans[0].spans]
    assert [Span.FromString(each) for each in split_protobuf(request.SerializeToString())] == spans


@pytest.mark.parametrize(
    ("bound", "most"), [("MAX_VALUES", 7), ("_MAX_FIELDS", 20), ("MAX_SPANS", 1), ("MAX_SPAN_BYTES", 50)]
)
def test_more_than_a_bound_is_refused(monkeypatch: pytest.MonkeyPatch, bound: str, most: int) -> None:
    """Values, fields, spans, and the bytes of a span."""
    body = _export().SerializeToString()
    assert len(split_protobuf(body)) == 2
    monkeypatch.setattr(otlp_parts, bound, most)
    with pytest.raises(ContentTooLarge):
        split_protobuf(body)


def test_values_are_counted_however_deep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each span of the export has eight: two lists or maps, what is in them, an event and a link, each with a value."""
    export = _export()
    bodies = ((export.SerializeToString(), False), (_json(export), True))
    for body, is_json in bodies:
        monkeypatch.setattr(otlp_parts, "MAX_VALUES", 16)
        otlp.decode(body, is_json=is_json)
        monkeypatch.setattr(otlp_parts, "MAX_VALUES", 15)
        with pytest.raises(ContentTooLarge, match="15 values"):
            otlp.decode(body, is_json=is_json)


def _json(export: ExportTraceServiceRequest) -> bytes:
    """OTLP's JSON, which has IDs in hex."""
    data = MessageToDict(export)
    for resource in data["resourceSpans"]:
        for span in resource["scopeSpans"][0]["spans"]:
            for each in (span, *span["links"]):
                for name in ("traceId", "spanId"):
                    each[name] = base64.b64decode(each[name]).hex()
    return json.dumps(data).encode()


def test_values_are_what_protobuf_says() -> None:
    """Of every kind, in both encodings; what is kept is protobuf's JSON."""
    export = _export(1)
    span = export.resource_spans[0].scope_spans[0].spans[0]
    for name, value in (
        ("int_value", -(2**63)),
        ("double_value", 0.1),
        ("bytes_value", b"\0\xff"),
        ("bool_value", False),
    ):
        setattr(span.attributes.add(key=name).value, name, value)
    for number in (math.nan, math.inf, -math.inf):
        span.attributes.add(key=str(number)).value.double_value = number
    span.attributes.add(key="none").value.CopyFrom(AnyValue())
    span.attributes.add(key="empty list").value.array_value.CopyFrom(ArrayValue())
    span.attributes.add(key="empty map").value.kvlist_value.CopyFrom(KeyValueList())
    whole = MessageToDict(span, preserving_proto_field_name=True)
    for body, is_json in ((export.SerializeToString(), False), (_json(export), True)):
        ((found,),) = otlp.decode(body, is_json=is_json).values()
        assert json.loads(found.otlp) == whole
        assert found.values["map"] == {"k": "v"}
        assert (found.values["int_value"], found.values["bytes_value"]) == (-(2**63), "AP8=")
        assert math.isnan(found.values["nan"])


@pytest.mark.parametrize(
    "value",
    [
        5,
        {"stringValue": 5},
        {"boolValue": "x"},
        {"intValue": "x"},
        {"intValue": 2**63},
        {"arrayValue": 5},
        {"arrayValue": {"values": 5}},
        {"kvlistValue": {"values": [5]}},
        {"kvlistValue": {"values": [{"key": 5}]}},
        {"stringValue": "a", "boolValue": True},
        {"bytesValue": 5},
    ],
)
def test_values_that_are_none(value: Any) -> None:
    """They are refused as the rest of the export is."""
    span = {"traceId": "1" * 32, "spanId": "1" * 16, "attributes": [{"key": "a", "value": value}]}
    with pytest.raises(BadRequest):
        otlp.decode(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode(), is_json=True)


def test_values_that_say_nothing() -> None:
    """Missing, null, of a later version of OTLP, or with its older names."""
    given: list[Any] = [
        {"key": "a"},
        {"key": "b", "value": None},
        {"key": "c", "value": {"laterValue": 1, "stringValue": None}},
        {"value": {"string_value": "no key"}},
        {"key": "d", "value": {"arrayValue": {"values": None}}},
    ]
    span = {"traceId": "1" * 32, "spanId": "1" * 16, "attributes": given, "events": None}
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()
    ((found,),) = otlp.decode(body, is_json=True).values()
    assert found.values == {"a": None, "b": None, "c": None, "": "no key", "d": []}


def test_a_span_of_too_many_values_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """In JSON each span has the bound of any other body, too, before it is decoded."""
    span = b'{"attributes":[' + b"[]," * 600_000 + b"0]}"
    with pytest.raises(InvalidValue, match="A span has more than"):
        otlp.decode(b'{"resourceSpans":[{"scopeSpans":[{"spans":[%b]}]}]}' % span, is_json=True)


def test_values_in_values_have_a_bound() -> None:
    """A level more than protobuf reads is no export."""
    value = b""
    for _ in range(80):  # an array of one array
        for field in (b"\x0a", b"\x2a"):
            value = field + _varint(len(value)) + value
    attribute = b"\x12" + _varint(len(value)) + value
    span = b"\x4a" + _varint(len(attribute)) + attribute
    scope = b"\x12" + _varint(len(span)) + span
    resource = b"\x12" + _varint(len(scope)) + scope
    with pytest.raises(BadRequest):
        split_protobuf(b"\x0a" + _varint(len(resource)) + resource)


def _varint(number: int) -> bytes:
    return bytes([number]) if number < 128 else bytes([number & 127 | 128]) + _varint(number >> 7)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x0a",
        b"\x0a\x05\x12",
        b"\x0b",  # a group
        b"\xff" * 20,
        b"\x08" + b"\x80" * 20,
        b"\x0a\x80",
    ],
)
def test_bytes_that_are_no_export(body: bytes) -> None:
    """They end too soon, or are something else."""
    with pytest.raises(BadRequest):
        split_protobuf(body)


@given(st.binary(max_size=60))
def test_any_bytes(body: bytes) -> None:
    """Spans or a refusal, and nothing else."""
    for is_json in (True, False):
        try:
            otlp.decode(body, is_json=is_json)
        except GatewayError:
            continue


@given(st.integers(0, 200), st.integers(0, 255))
def test_a_broken_export(at: int, byte: int) -> None:
    """Likewise where one byte of a good one is another."""
    body = bytearray(_export().SerializeToString())
    body[at % len(body)] = byte
    try:
        otlp.decode(bytes(body), is_json=False)
    except GatewayError:
        return


def test_json_spans() -> None:
    """They come as they were sent; what is null or missing is none."""
    export = {
        "resourceSpans": [{"scopeSpans": [{"spans": [{"a": [1]}]}, {"spans": None}, {}]}, {"scopeSpans": None}, {}]
    }
    assert [json.loads(each) for each in split_json(json.dumps(export).encode())] == [{"a": [1]}]


def test_too_many_json_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more than the bound is refused."""
    monkeypatch.setattr(otlp_parts, "MAX_SPANS", 1)
    with pytest.raises(ContentTooLarge, match="1 spans"):
        split_json(b'{"resourceSpans":[{"scopeSpans":[{"spans":[{},{}]}]}]}')


@pytest.mark.parametrize("body", [b"{}", b"[]", b"{", b'{"resourceSpans":5}', b"\xff", b'{"resourceSpans":null}'])
def test_json_that_is_no_export(body: bytes) -> None:
    """It has no spans, or isn't JSON."""
    with pytest.raises(BadRequest):
        split_json(body)


@pytest.mark.parametrize(
    "span", ["5", '{"traceId":5}', '{"traceId":"zz"}', '{"attributes":[{"key":"a","value":"\\ud800"}]}']
)
def test_json_spans_that_are_none(span: str) -> None:
    """Another type, an ID that isn't hex, half of a surrogate pair."""
    with pytest.raises(BadRequest):
        otlp.decode(b'{"resourceSpans":[{"scopeSpans":[{"spans":[%s]}]}]}' % span.encode(), is_json=True)


def test_json_with_too_many_values_is_refused() -> None:
    """Before anything of it is decoded."""
    with pytest.raises(InvalidValue, match="values"):
        split_json(b"[" + b"[]," * 1_600_000 + b"0]")
