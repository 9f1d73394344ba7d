"""Rows of tests/soak/worst.py: as many spans and values as go into a request, on each route that takes them."""

from __future__ import annotations

import functools
import gzip
import os
from typing import Any

from tests.soak.by_search import export
from tests.soak.caller import Caller, Row

_MOST = 20_000_000  # bytes of a body
_TO = {"x-mlflow-experiment-id": "0"}
_BINARY = {**_TO, "Content-Type": "application/x-protobuf"}
_USAGE = {"key": "mlflow.chat.tokenUsage", "value": {"stringValue": '{"input_tokens":1,"total_tokens":2}'}}


def _span(trace: str, number: int, parent: int = 0, attributes: Any = ()) -> dict[str, Any]:
    span = {"traceId": trace, "spanId": f"{number:016x}", "name": "n", "startTimeUnixNano": "1", "endTimeUnixNano": "2"}
    return span | ({"parentSpanId": f"{parent:016x}"} if parent else {}) | {"attributes": list(attributes)}


def _field(number: int, data: bytes) -> bytes:
    size, length = len(data), b""
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + data


def _binary(attribute_value: bytes) -> bytes:
    """An export of one span with one attribute."""
    attribute = _field(1, b"k") + _field(2, attribute_value)
    span = _field(1, os.urandom(16)) + _field(2, os.urandom(8)) + _field(5, b"n") + _field(9, attribute)
    return _field(1, _field(2, _field(2, span)))


# ------------------------------------------------------------------ OTLP


@functools.cache
def _bomb() -> bytes:
    return gzip.compress(_binary(_field(5, b"\x0a\x00" * 9_000_000)), 9)


@functools.cache
def _values() -> bytes:
    return _binary(_field(5, b"\x0a\x00" * 199_000))


@functools.cache
def _spans() -> bytes:
    attributes = [{"key": f"k{n}", "value": {"stringValue": "v" * 20}} for n in range(15)]
    trace = os.urandom(16).hex()
    return export([_span(trace, n, n - 1, [*attributes, _USAGE]) for n in range(1, 7_000)])


@functools.cache
def _traces() -> bytes:
    return export([_span(os.urandom(16).hex(), n, 0, [_USAGE]) for n in range(1, 10_000)])


@functools.cache
def _text() -> bytes:
    value = {"key": "mlflow.spanInputs", "value": {"stringValue": "é" * 4_500_000}}
    return export([_span(os.urandom(16).hex(), 1, 0, [value])])


async def _otlp_bomb(caller: Caller) -> None:
    await caller.send("POST", "/v1/traces", _bomb(), {**_BINARY, "Content-Encoding": "gzip"})


async def _otlp_values(caller: Caller) -> None:
    await caller.send("POST", "/v1/traces", _values(), _BINARY)


async def _otlp_spans(caller: Caller) -> None:
    await caller.send("POST", "/v1/traces", _spans(), _TO)


async def _otlp_traces(caller: Caller) -> None:
    await caller.send("POST", "/v1/traces", _traces(), _TO)


async def _otlp_text(caller: Caller) -> None:
    await caller.send("POST", "/v1/traces", _text(), _TO)


async def _a_large_trace(caller: Caller) -> None:
    caller.kept["trace"] = trace = os.urandom(16).hex()
    for begin in range(1, 27_000, 9_000):
        spans = [_span(trace, n, n - 1, [_USAGE] if n % 2 else []) for n in range(begin, begin + 9_000)]
        await caller.send("POST", "/v1/traces", export(spans), _TO)


async def _one_more_span(caller: Caller) -> None:
    span = _span(caller.kept["trace"], 1_000_000 + next(caller.numbers), 26_999, [_USAGE])
    await caller.send("POST", "/v1/traces", export([span]), _TO)


ROWS = (
    Row("otlp-bomb", "a few kB of gzip with nine million values", _otlp_bomb),
    Row("otlp-values", "protobuf with 199,000 values in one span", _otlp_values),
    Row("otlp-spans", "7,000 spans of one trace, each the next one's parent, with 112,000 attributes", _otlp_spans),
    Row("otlp-traces", "9,999 traces of one span", _otlp_traces),
    Row("otlp-text", "one span with a text of 9 MB", _otlp_text),
    Row("otlp-one-more", "one span more of a trace with 27,000", _one_more_span, prepare=_a_large_trace),
)
