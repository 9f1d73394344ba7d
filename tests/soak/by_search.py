"""Rows of tests/soak/worst.py: patterns that take long, in each search that takes one."""

from __future__ import annotations

import asyncio
import functools
import json
import os
from typing import Any

from tests.soak.caller import Caller, Row

_SEARCH = "/api/3.0/mlflow/traces/search"
_PLACE = [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}]
_MANY = "%a" * 12 + "%b"


def _span(name: str, value: str) -> dict[str, Any]:
    return {
        "traceId": os.urandom(16).hex(),
        "spanId": os.urandom(8).hex(),
        "name": name,
        "startTimeUnixNano": "1",
        "endTimeUnixNano": "2",
        "attributes": [{"key": "mlflow.spanInputs", "value": {"stringValue": value}}],
    }


def export(spans: list[dict[str, Any]]) -> bytes:
    """Return the body of POST /v1/traces, in JSON."""
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()


async def _datasets(caller: Caller) -> None:
    for _ in range(50):
        made = {"name": "a" * 249, "experiment_ids": [], "tags": json.dumps({"k": "a" * 7_000})}
        await caller.send("POST", "/api/3.0/mlflow/datasets/create", made)


async def _long_texts(caller: Caller) -> None:
    for _ in range(20):
        body = export([_span("a" * 200_000, "a" * 800_000)])
        await caller.send("POST", "/v1/traces", body, {"x-mlflow-experiment-id": "0"})


def _search(text: str) -> bytes:
    return json.dumps({"locations": _PLACE, "filter": text}).encode()


@functools.cache
def _bodies() -> dict[str, bytes]:
    return {
        "like": _search(f"trace.text LIKE '{_MANY}'"),
        "ilike": _search(f"trace.text ILIKE '{'%a' * 2000}%b'"),
        "rlike": _search("span.name RLIKE '(a?){1000}b'"),
    }


async def _dataset_like(caller: Caller) -> None:
    for field in ("name", "tags.k"):
        await caller.send("POST", "/api/3.0/mlflow/datasets/search", {"filter_string": f"{field} LIKE '{_MANY}'"})


async def _like(caller: Caller) -> None:
    await caller.send("POST", _SEARCH, _bodies()["like"])
    await caller.send("POST", _SEARCH, _bodies()["ilike"])


async def _rlike(caller: Caller) -> None:
    await caller.send("POST", _SEARCH, _bodies()["rlike"])


async def _left(caller: Caller) -> None:
    await caller.send("POST", _SEARCH, _bodies()["ilike"], wait=False)
    await asyncio.sleep(0.1)


ROWS = (
    Row("datasets-like", "LIKE with many % over names and tags of datasets", _dataset_like, prepare=_datasets),
    Row("traces-like", "LIKE and ILIKE with many % over long texts of spans", _like, prepare=_long_texts),
    Row("traces-rlike", "a large regular expression over long names of spans", _rlike, prepare=_long_texts),
    Row("searches-left", "searches whose caller hangs up at once", _left, 20, prepare=_long_texts),
)
