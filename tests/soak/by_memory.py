"""Rows of tests/soak/worst.py: whatever takes the server's memory, several at once."""

from __future__ import annotations

import functools
import json
import os

from tests.soak.caller import Caller, Row

_LARGE = 2_000_000  # bytes of a question, of a trace, of a page
_V3 = "/api/3.0/mlflow"


@functools.cache
def _question() -> bytes:
    return json.dumps({"message": "x" * _LARGE, "model": "attacked"}).encode()


async def _questions(caller: Caller) -> None:
    await caller.send("POST", "/chat/stream", _question(), key=caller.chat, wait=False)


@functools.cache
def _inputs() -> bytes:
    return json.dumps({"model": "demo/echo", "input": ["word"] * 2048}).encode()


async def _embeddings(caller: Caller) -> None:
    await caller.send("POST", "/v1/embeddings", _inputs(), key=caller.chat)


async def _a_session(caller: Caller) -> None:
    for turn in range(4):
        body = {"message": f"{turn} " + "x" * (_LARGE // 8), "session_id": "long"}
        await caller.send("POST", "/chat", body, key=caller.chat)


async def _sessions(caller: Caller) -> None:
    await caller.send("GET", "/sessions/long", key=caller.chat)


async def _traces(caller: Caller) -> None:
    ids = []
    for _ in range(20):
        trace_id = os.urandom(16).hex()
        value = {"key": "mlflow.spanInputs", "value": {"stringValue": "x" * (_LARGE // 4)}}
        times = {"startTimeUnixNano": "1", "endTimeUnixNano": "2"}
        span = {"traceId": trace_id, "spanId": os.urandom(8).hex(), "name": "n", **times, "attributes": [value]}
        body = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
        await caller.send("POST", "/v1/traces", body, {"x-mlflow-experiment-id": "0"})
        ids.append(f"trace_ids=tr-{trace_id}")
    caller.kept["traces"] = "&".join(ids)


async def _batch(caller: Caller) -> None:
    await caller.send("GET", f"{_V3}/traces/batchGet?{caller.kept['traces']}")


async def _records(caller: Caller) -> None:
    made = await caller.send("POST", f"{_V3}/datasets/create", {"name": "d", "experiment_ids": []})
    path = f"{_V3}/datasets/{json.loads(made.body)['dataset']['dataset_id']}/records"
    for batch in range(10):
        records = [{"inputs": {"q": f"{batch} {number} " + "x" * 20_000}} for number in range(50)]
        await caller.send("POST", path, {"records": json.dumps(records)})
    caller.kept["records"] = path


async def _page(caller: Caller) -> None:
    await caller.send("GET", caller.kept["records"])


ROWS = (
    Row("large-questions", "questions of 2 MB, whose caller hangs up at once", _questions),
    Row("many-inputs", "embeddings of 2,048 inputs", _embeddings),
    Row("long-session", "a conversation of long turns, read back", _sessions, prepare=_a_session),
    Row("traces-batch", "20 traces with spans of 500 kB at once", _batch, prepare=_traces),
    Row("dataset-pages", "pages of a dataset with 10 MB of records", _page, prepare=_records),
)
