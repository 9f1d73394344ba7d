"""Rows of tests/soak/worst.py: as many spans and values as go into a request, on each route that takes them."""

from __future__ import annotations

import functools
import gzip
import json
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
    value = {"key": "mlflow.spanInputs", "value": {"stringValue": "x" * 3_900_000}}
    return export([_span(os.urandom(16).hex(), n, 0, [value]) for n in range(1, 6)])


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


# ------------------------------------------------------------------ MLflow's REST


async def _a_dataset(caller: Caller) -> None:
    made = await caller.send("POST", "/api/3.0/mlflow/datasets/create", {"name": "d", "experiment_ids": []})
    caller.kept["dataset"] = made.json["dataset"]["dataset_id"]


@functools.cache
def _records() -> bytes:
    records = [{"inputs": {f"k{n}": n, "q": "v" * 500}, "expectations": {"a": [1] * 20}} for n in range(9_999)]
    return json.dumps({"records": json.dumps(records)}).encode()


@functools.cache
def _fields() -> bytes:
    records = [{"inputs": {f"{n}-{k}": k for k in range(9_000)}} for n in range(20)]
    return json.dumps({"records": json.dumps(records)}).encode()


@functools.cache
def _values_in_json() -> bytes:
    return b'{"locations":[],"x":[' + b"[]," * (_MOST // 3 - 20) + b"[]]}"


async def _dataset_records(caller: Caller) -> None:
    await caller.send("POST", f"/api/3.0/mlflow/datasets/{caller.kept['dataset']}/records", _records())


async def _dataset_fields(caller: Caller) -> None:
    await caller.send("POST", f"/api/3.0/mlflow/datasets/{caller.kept['dataset']}/records", _fields())


async def _json_values(caller: Caller) -> None:
    await caller.send("POST", "/api/3.0/mlflow/traces/search", _values_in_json())


async def _a_trace(caller: Caller) -> None:
    caller.kept["trace"] = trace = os.urandom(16).hex()
    await caller.send("POST", "/v1/traces", export([_span(trace, 1)]), _TO)


async def _tag(caller: Caller) -> None:
    body = {"key": f"k{next(caller.numbers) % 100}", "value": "v" * 8_000}
    await caller.send("PATCH", f"/api/3.0/mlflow/traces/tr-{caller.kept['trace']}/tags", body)


async def _info(caller: Caller) -> None:
    info = {
        "trace_id": "tr-" + os.urandom(16).hex(),
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}},
        "trace_metadata": {f"k{n}": "v" * 4_000 for n in range(199)},
        "tags": {f"k{n}": "v" * 1_000 for n in range(199)},
        "assessments": [
            {"assessment_name": f"a{n}", "source": {"source_type": "CODE", "source_id": "s"}, "feedback": {"value": n}}
            for n in range(100)
        ],
    }
    await caller.send("POST", "/api/3.0/mlflow/traces", {"trace": {"trace_info": info}})


async def _a_run(caller: Caller) -> None:
    made = await caller.send("POST", "/api/2.0/mlflow/runs/create", {"experiment_id": "0"})
    caller.kept["run"] = made.json["run"]["info"]["run_id"]


async def _batch(caller: Caller) -> None:
    number = next(caller.numbers)
    metrics = [{"key": f"m{n}", "value": n, "timestamp": 1, "step": number} for n in range(1_000)]
    await caller.send("POST", "/api/2.0/mlflow/runs/log-batch", {"run_id": caller.kept["run"], "metrics": metrics})


async def _delete(caller: Caller) -> None:
    """A trace of 9,000 spans, and its end."""
    trace = os.urandom(16).hex()
    await caller.send("POST", "/v1/traces", export([_span(trace, n) for n in range(1, 9_000)]), _TO)
    body = {"experiment_id": "0", "trace_ids": [f"tr-{trace}"]}
    await caller.send("POST", "/api/3.0/mlflow/traces/delete-traces", body)


ROWS = (
    Row("otlp-bomb", "a few kB of gzip with nine million values", _otlp_bomb),
    Row("otlp-values", "protobuf with 199,000 values in one span", _otlp_values),
    Row("otlp-spans", "7,000 spans of one trace, each the next one's parent, with 112,000 attributes", _otlp_spans),
    Row("otlp-traces", "9,999 traces of one span", _otlp_traces),
    Row("otlp-text", "five spans with a text of 4 MB each", _otlp_text),
    Row("otlp-one-more", "one span more of a trace with 27,000", _one_more_span, prepare=_a_large_trace),
    Row("dataset-records", "9,999 records of a dataset", _dataset_records, prepare=_a_dataset),
    Row("dataset-fields", "20 records of a dataset with 9,000 fields each", _dataset_fields, prepare=_a_dataset),
    Row("json-values", "a body with seven million values", _json_values),
    Row("trace-tags", "tags of 8,000 characters, one at a time", _tag, 8, prepare=_a_trace),
    Row("trace-infos", "traces with 199 tags, 199 metadata and 100 assessments", _info, 8),
    Row("run-batches", "a thousand metrics of a run at a time", _batch, 8, prepare=_a_run),
    Row("trace-deletes", "traces with 8,999 spans, stored and deleted", _delete),
)
