"""An export is taken apart and counted before it is decoded."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
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
    """Each span of the export has six: two lists or maps, what is in them, and those of an event and a link."""
    body = _export().SerializeToString()
    monkeypatch.setattr(otlp_parts, "MAX_VALUES", 12)
    split_protobuf(body)
    monkeypatch.setattr(otlp_parts, "MAX_VALUES", 11)
    with pytest.raises(ContentTooLarge, match="11 values"):
        split_protobuf(body)


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
        split_json(b"[" + b"[]," * 600_000 + b"0]")
