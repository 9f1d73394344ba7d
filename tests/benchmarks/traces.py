"""How fast traces are found: `scripts/bench --traces`, the gateway beside `mlflow server`, both on SQLite.

The gateway's store is loaded in bulk, straight into its file, before it starts. MLflow's is loaded over OTLP, as many
as it takes in five minutes, and asked the same.
"""

from __future__ import annotations

import json
import math
import random
import time
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from gateway.storage.sqlite.file import connect
from tests.benchmarks.report import aligned
from tests.support.mlflow_servers import MlflowServer
from tests.support.servers import GatewayProcess, ServerProcess

FIRST = 1_700_000_000_000  # when the first trace was, a second before the next
GOAL_MS, PAGE, ASKED = 50, 100, 40
PATIENCE_S = 20  # for each kind of page; a slow one is asked for less often
_SESSION, _TEAM, _CASE = 8, 50, 200  # traces a session, teams, traces a ticket
_TRACE = (
    "INSERT INTO traces (trace_id, root_span_id, project, route, state, outcome, request_time, end_time, duration_ms,"
    " model, session_id, config_hash, tags, metadata, request_preview, request, response)"
    " VALUES (?, '', 'default', '/chat/stream', 'OK', 'complete', ?, ?, 900, 'default', ?, '', ?, '{}', ?, ?, ?)"
)
_LABEL = "INSERT INTO labels (trace_id, kind, key, value, project) VALUES (?, 'tag', ?, ?, 'default')"
_RATING = (
    "INSERT INTO assessments (assessment_id, trace_id, project, model, kind, name, value, source_type, source_id,"
    " create_time, last_update_time, valid, metadata)"
    " VALUES (?, ?, 'default', 'default', 'feedback', 'user_feedback', ?, 'HUMAN', 'u', ?, ?, 1, '{}')"
)


def filters(count: int) -> dict[str, str]:
    """What is asked of a store with that many traces."""
    half = FIRST + count * 500
    return {
        "newest page": "",
        "by session": f"metadata.`mlflow.trace.session` = 's-{count // 2 // _SESSION}'",
        "by tag, 2 % of all": "tags.team = 'team-7'",
        "by tag, 200 of all": f"tags.ticket = 'case-{count // 2 // _CASE}'",
        "by feedback value": "feedback.user_feedback = 'false'",
        "by time range": f"timestamp_ms > {half} AND timestamp_ms < {half + 3_600_000}",
    }


def load(path: Path, count: int) -> None:
    """Traces with two tags each, three in ten of them rated."""
    connection = connect(path)
    connection.execute("PRAGMA synchronous = OFF")
    text = json.dumps([{"role": "user", "content": "How do I get my money back? " * 5}])
    for at in range(0, count, 10_000):
        rows = list(_rows(range(at, min(count, at + 10_000)), text))
        connection.execute("BEGIN")
        connection.executemany(_TRACE, [trace for trace, _, _ in rows])
        connection.executemany(_LABEL, [label for _, labels, _ in rows for label in labels])
        connection.executemany(_RATING, [rating for _, _, rating in rows if rating])
        connection.execute("COMMIT")
    connection.close()


def _rows(numbers: Iterable[int], text: str) -> Iterable[tuple[Any, Any, Any]]:
    for number in numbers:
        time_ms, tags = FIRST + number * 1000, _tags(number)
        trace_id = f"tr-{time_ms:012x}{random.getrandbits(80):020x}"
        session = f"s-{number // _SESSION}"
        trace = (trace_id, time_ms, time_ms + 900, session, json.dumps(tags), "How do I", text, text)
        rated = number % 10 < 3
        value = "false" if number % 7 == 0 else "true"
        rating = (f"a-{number:032x}", trace_id, value, time_ms, time_ms) if rated else None
        yield trace, [(trace_id, key, tag) for key, tag in tags.items()], rating


def _tags(number: int) -> dict[str, str]:
    return {"team": f"team-{number % _TEAM}", "ticket": f"case-{number // _CASE}"}


def feed(server: ServerProcess, seconds: float) -> int:
    """Traces into an MLflow server, with tags and sessions by its own attributes, and ratings; how many it took."""
    ends, count = time.monotonic() + seconds, 0
    while time.monotonic() < ends:
        spans = [_span(number) for number in range(count, count + 1_000)]
        body = {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}
        _post(server, "/v1/traces", body, {"x-mlflow-experiment-id": "0"})
        count += len(spans)
        for number in range(count - 1_000, count, 50):  # one in fifty: each is a request
            value = {"value": number % 7 != 0}
            source = {"source_type": "HUMAN", "source_id": "u"}
            rating = {"assessment": {"assessment_name": "user_feedback", "source": source, "feedback": value}}
            _post(server, f"/api/3.0/mlflow/traces/tr-{number + 1:032x}/assessments", rating)
    return count


def _span(number: int) -> dict[str, Any]:
    begin = (FIRST + number * 1000) * 1_000_000
    said = {"session.id": f"s-{number // _SESSION}"} | {f"mlflow.traceTag.{k}": v for k, v in _tags(number).items()}
    return {
        "traceId": f"{number + 1:032x}",
        "spanId": f"{number + 1:016x}",
        "name": "chat default",
        "startTimeUnixNano": str(begin),
        "endTimeUnixNano": str(begin + 900_000_000),
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in said.items()],
    }


def _post(server: ServerProcess, path: str, body: Any, headers: dict[str, str] | None = None) -> Any:
    sent = {"Content-Type": "application/json", **(headers or {})}
    request = urllib.request.Request(server.url + path, json.dumps(body).encode(), sent)  # noqa: S310  our own URL
    with urllib.request.urlopen(request, timeout=120) as reply:  # noqa: S310
        data = reply.read()
    return json.loads(data) if data[:1] == b"{" else None


def ask(server: ServerProcess, text: str) -> tuple[float, float, int]:
    """p50 and p95 of a page, in milliseconds over HTTP, and how many traces it had."""
    place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}
    body = {"locations": [place], "filter": text, "max_results": PAGE}
    times: list[float] = []
    found, ends = 0, time.monotonic() + PATIENCE_S
    while len(times) < ASKED and (len(times) < 5 or time.monotonic() < ends):
        begin = time.perf_counter()
        found = len(_post(server, "/api/3.0/mlflow/traces/search", body).get("traces", []))
        times.append((time.perf_counter() - begin) * 1000)
    return *percentiles(times), found


def percentiles(times: list[float]) -> tuple[float, float]:
    """The 50th and the 95th."""
    times = sorted(times)
    return times[len(times) // 2], times[math.ceil(len(times) * 0.95) - 1]


Found = dict[str, tuple[float, float, int]]


def measure(server: ServerProcess, count: int, say: Callable[[str], None]) -> Found:
    """Every kind of page."""
    found = {}
    for name, text in filters(count).items():
        found[name] = ask(server, text)
        say(f"{server.name}, {name}: p95 {found[name][1]:.1f} ms, {found[name][2]} traces")
    return found


def compare(work: Path, count: int, seconds: float, markdown: bool, say: Callable[[str], None]) -> str:
    """The table: `count` traces in the gateway, as many as `seconds` of loading put into MLflow."""
    gateway = GatewayProcess(work / "gateway", {"store": {"retention_days": 0}})
    load(gateway.store_path, count)
    say(f"loaded {count:,} traces")
    with gateway:
        ours = measure(gateway, count, say)
    with MlflowServer(work / "mlflow") as server:
        loaded = feed(server, seconds)
        say(f"MLflow took {loaded:,} traces")
        theirs = measure(server, loaded, say)
    return table(count, ours, loaded, theirs, markdown)


def table(count: int, ours: Found, loaded: int, theirs: Found, markdown: bool) -> str:
    """p50 and p95 side by side, and whether the goal was reached."""
    rows = [
        ["page of 100, p50 / p95, ms", f"gateway, {count:,} traces", f"goal {GOAL_MS}", f"MLflow, {loaded:,} traces"]
    ]
    for name, (p50, p95, _) in ours.items():
        verdict = "reached" if p95 <= GOAL_MS else "NOT REACHED"
        rows.append([name, f"{p50:.1f} / {p95:.1f}", verdict, f"{theirs[name][0]:.1f} / {theirs[name][1]:.1f}"])
    return aligned(rows, "-r-r", markdown)
