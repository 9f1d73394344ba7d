"""Erasing a person at a real gateway: by the route, by the command beside it, by the command alone."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from typing import Any
from urllib.parse import quote

import pytest

from tests.conftest import StartGateway
from tests.support.http_client import ask, call
from tests.support.servers import GatewayProcess
from tests.web.conftest import make_key

JANE = "jane-Zq7/ü@example.com"
MARK = "Zq7"  # in everything that is Jane's
OTHER = "Ben says Yk3"
CONFIG = {
    "auth": {"require_keys": "never"},
    "models": {
        "default": {"targets": ["demo/lorem-3-0ms"]},
        "echo": {"targets": ["demo/lorem-1-0ms"]},
        "slow": {"targets": ["demo/lorem-2000-20ms"]},
    },
    "feedback": {"dimensions": {"accuracy": {"min": 1, "max": 5}, "tone": {"options": ["too formal", "right"]}}},
}


def post(gateway: GatewayProcess, target: str, body: Any = None, **headers: str) -> Any:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    reply = call(gateway, "POST", target, body, sent)
    assert reply.status == 200, reply.body
    return reply


def stream(gateway: GatewayProcess, **body: Any) -> str:
    """A whole streamed chat; its trace ID."""
    return str(post(gateway, "/chat/stream", body).headers["x-trace-id"])


def live(gateway: GatewayProcess) -> tuple[str, str]:
    """Everything Jane can leave behind, and something of Ben's. A trace of each."""
    hers = stream(
        gateway,
        message=f"I am {MARK} and live in Zq7-town",
        user_id=JANE,
        session_id=f"session-{MARK}",
        client_request_id=f"request-{MARK}",
        tags={f"tag-{MARK}": MARK},
        metadata={"k": MARK},
    )
    stream(gateway, message=f"More of {MARK}. " * 900, user_id=JANE, session_id=f"session-{MARK}")
    bens = stream(gateway, message=OTHER, user_id="ben", session_id="bens")
    jane = quote(JANE)
    rated = {"is_correct": True, "comment": f"{MARK} likes it", "reasons": [MARK]}
    post(gateway, f"/feedback?trace_id={hers}&user_id={jane}", rated, Idempotency_Key=f"key-{MARK}")
    post(gateway, f"/feedback?trace_id={hers}&user_id={jane}", {"is_correct": False, "comment": f"no, {MARK}"})
    post(gateway, f"/feedback?trace_id={bens}&user_id={jane}", {"name": "note", "value": f"{MARK} was here"})
    post(gateway, f"/feedback?trace_id={hers}&user_id=ben", {"is_correct": True, "comment": f"says {MARK}"})
    post(
        gateway,
        f"/feedback?client_request_id=request-{MARK}",
        {"name": "n", "value": 0.5, "rationale": MARK, "metadata": {"score": MARK}},
        Idempotency_Key="anonymous",
    )
    post(gateway, f"/detailed-feedback?trace_id={hers}&user_id={jane}&accuracy=4&tone=right&comment={MARK}")
    post(gateway, f"/feedback?trace_id={bens}&user_id=ben", {"is_correct": True, "comment": OTHER})
    return hers, bens


def files_with(gateway: GatewayProcess, text: str) -> list[str]:
    """The store's files that hold it, as UTF-8 or as JSON escapes it."""
    forms = {text.encode(), json.dumps(text)[1:-1].encode()}
    paths = [path for path in gateway.directory.iterdir() if path.name.startswith("gateway.db")]
    return [path.name for path in paths if any(form in path.read_bytes() for form in forms)]


def numbers(gateway: GatewayProcess) -> Any:
    made = gateway.run("report", "--json", "--by", "model", "--since", "1d")
    assert made.returncode == 0, made.stderr
    found = json.loads(made.stdout)
    del found["since"]
    return found


def erase(gateway: GatewayProcess, way: str, user: str = JANE) -> tuple[int, int]:
    """(traces, ratings)."""
    if way == "route":
        reply = call(gateway, "DELETE", f"/users/{quote(user, safe='')}")
        assert reply.status == 200, reply.body
        assert reply.json["status"] == "success"
        return reply.json["traces"], reply.json["ratings"]
    if way == "stopped":
        gateway.terminate()
    made = gateway.run("erase", "--user", user, "--yes")
    assert (made.returncode, made.stderr) == (0, "")
    words = made.stdout.split()
    if way == "stopped":
        gateway.start()
    return int(words[1]), int(words[3])


@pytest.mark.parametrize("way", ["route", "command", "stopped"])
def test_nothing_is_left(start_gateway: StartGateway, way: str) -> None:
    """Of the person: in no file, no answer, no export. The numbers are as they were, and so is everybody else."""
    gateway = start_gateway(CONFIG)
    hers, bens = live(gateway)
    before = numbers(gateway)
    assert files_with(gateway, MARK)
    assert call(gateway, "GET", f"/chat/stream/{hers}").status == 200  # kept in memory

    assert erase(gateway, way) == (2, 5)

    assert files_with(gateway, MARK) == []
    assert files_with(gateway, JANE) == []
    assert numbers(gateway) == _with_erased_names(before)
    for what in ("traces", "assessments"):
        exported = gateway.run("export", what).stdout
        assert MARK not in exported
        assert bens in exported
    assert call(gateway, "GET", f"/chat/stream/{hers}").status == 204
    assert call(gateway, "GET", f"/sessions/session-{MARK}?user_id={quote(JANE)}").status == 404
    assert call(gateway, "GET", f"/feedback?trace_id={hers}&user_id={quote(JANE)}").json["feedback"] == []
    assert MARK not in gateway.run("tail", "--json").stdout

    (turn,) = call(gateway, "GET", "/sessions/bens?user_id=ben").json["turns"]
    assert turn["message"] == OTHER
    assert turn["feedback"][0]["rationale"] == OTHER
    assert OTHER in str(gateway.store.trace(bens))
    trace = gateway.store.trace(hers)
    assert (trace["outcome"], trace["total_tokens"] > 0, trace["user_id"]) == ("complete", True, None)
    raters = {row["source_id"] for row in gateway.store.assessments(hers)}
    assert raters == {f"erased:{hers}", f"anonymous:{hers}", "ben"}
    assert gateway.store.integrity() == "ok"
    assert erase(gateway, way) == (0, 0)  # nobody of that ID is known any more
    again = stream(gateway, message="I am back", user_id=JANE, session_id=f"session-{MARK}")
    assert gateway.store.trace(again)["user_id"] == JANE


def _with_erased_names(report: Any) -> Any:
    """Ratings of names that one person gave, a number and a free text, count as one of no name and no words."""
    gone = {"name": "erased", "count": 2, "mean": 0.5, "scales": [], "options": {"erased": 1}}
    for group in (report["total"], *report["models"]):
        if {"n", "note"} <= {dimension["name"] for dimension in group["dimensions"]}:
            left = [dimension for dimension in group["dimensions"] if dimension["name"] not in ("n", "note")]
            group["dimensions"] = [gone, *left]
    return report


@pytest.mark.parametrize("way", ["route", "command"])
def test_a_running_stream_is_stopped_first(start_gateway: StartGateway, way: str) -> None:
    """It ends as one that was stopped, and nothing of it stays; others go on."""
    gateway = start_gateway(CONFIG)
    ended: dict[str, bytes] = {}
    threads = []
    for user in (JANE, "ben"):
        body = {"message": f"hi from {user}", "model": "slow", "user_id": user}

        def follow(user: str = user, body: Any = body) -> None:
            ended[user] = post(gateway, "/chat/stream", body).body

        threads.append(threading.Thread(target=follow, daemon=True))
        threads[-1].start()
    _until(lambda: len(gateway.store.rows("SELECT 1 FROM checkpoints")) >= 2)
    (hers,) = [row["trace_id"] for row in gateway.store.traces() if row["user_id"] == JANE]

    assert erase(gateway, way) == (1, 0)
    threads[0].join(10)
    assert b'"finish_reason":"stopped"' in ended[JANE]
    assert "ben" not in ended
    assert files_with(gateway, JANE) == []
    row = gateway.store.trace(hers)
    assert (row["outcome"], row["response"], row["request"], row["parts"]) == ("stopped", None, None, None)
    assert gateway.store.rows("SELECT 1 FROM checkpoints WHERE trace_id = ?", hers) == []
    (bens,) = [row for row in gateway.store.traces() if row["user_id"] == "ben"]
    assert bens["outcome"] is None
    call(gateway, "POST", f"/chat/stream/{bens['trace_id']}/stop")
    threads[1].join(10)


def _until(true: Any, timeout: float = 15) -> None:
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_others_were_told_of_it_goes_too(start_gateway: StartGateway) -> None:
    """In a conversation of nobody's own, later turns quote hers; earlier ones, and other conversations, stay."""
    gateway = start_gateway(CONFIG)
    first = stream(gateway, message="before Yk3", session_id="all")
    stream(gateway, message=f"{MARK} in the middle", session_id="all", user_id=JANE)
    later = stream(gateway, message="after Yk3", session_id="all")
    assert MARK in str(gateway.store.trace(later)["request"])
    assert erase(gateway, "route") == (1, 0)
    assert files_with(gateway, MARK) == []
    assert "before Yk3" in str(gateway.store.trace(first)["request"])
    assert (gateway.store.trace(later)["request"], gateway.store.trace(later)["session_id"]) == (None, "all")


def test_a_crash_leaves_nothing_either(start_gateway: StartGateway) -> None:
    """An answer that was cut off is closed, then erased, by the command alone."""
    gateway = start_gateway(CONFIG)
    body = {"message": f"hi, {MARK}", "model": "slow", "user_id": JANE}

    def follow() -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            post(gateway, "/chat/stream", body)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    _until(lambda: gateway.store.rows("SELECT 1 FROM checkpoints"))
    gateway.kill()
    thread.join(10)
    assert erase(gateway, "stopped") == (1, 0)
    assert files_with(gateway, MARK) == []
    (row,) = gateway.store.traces()
    assert (row["outcome"], row["response"]) == ("interrupted", None)


def test_projects_are_apart(start_gateway: StartGateway) -> None:
    """A key erases in its own project; the command in the one that is named, or in all."""
    gateway = start_gateway(CONFIG)
    keys = {name: make_key(gateway, "admin", project=name) for name in ("shop", "desk", "lab")}
    _until(lambda: call(gateway, "GET", "/v1/models", key=keys["lab"]).status == 200)

    def chat(name: str) -> str:
        return str(ask(gateway, key=keys[name], user_id=JANE, message=f"hi from {MARK}")["trace_id"])

    traces = {name: chat(name) for name in keys}

    def left() -> list[str]:
        return [name for name, trace_id in traces.items() if gateway.store.trace(trace_id)["user_id"] is not None]

    assert call(gateway, "DELETE", f"/users/{quote(JANE, safe='')}", key=keys["shop"]).json["traces"] == 1
    assert left() == ["desk", "lab"]
    assert gateway.run("erase", "--user", JANE, "--project", "desk", "--yes").stdout.startswith("erased: 1 traces")
    assert left() == ["lab"]
    assert gateway.run("erase", "--user", JANE, "--yes").stdout.startswith("erased: 1 traces")
    assert left() == []


def test_a_user_id_that_is_none(start_gateway: StartGateway) -> None:
    """Too long: 422. Any other text is looked for, and found nowhere."""
    gateway = start_gateway(CONFIG)
    reply = call(gateway, "DELETE", f"/users/{'x' * 251}")
    assert (reply.status, reply.json["details"][0]["field"]) == (422, "user_id")
    for odd in ("%00", "a%0Ab", "..%2F..", "%F0%9F%8C%8D", "%E2%80%AE", "%25"):
        assert call(gateway, "DELETE", f"/users/{odd}").status == 200
    assert call(gateway, "DELETE", "/users/").status == 404
    assert call(gateway, "POST", "/users/x", {}).status == 405


def test_nothing_is_left_of_what_mlflows_clients_brought(start_gateway: StartGateway) -> None:
    """Tags, and records of datasets that were made of the person's traces; other records stay."""
    gateway = start_gateway(CONFIG)
    hers, bens = live(gateway)

    def send(method: str, path: str, body: Any) -> Any:
        reply = call(gateway, method, f"/api/3.0/mlflow/{path}", body)
        assert reply.status == 200, reply.body
        return reply.json

    send("PATCH", f"traces/{hers}/tags", {"key": "note", "value": MARK})
    dataset = send("POST", "datasets/create", {"name": "d"})["dataset"]["dataset_id"]
    records = [
        {
            "inputs": {"question": text},
            "source": {"source_type": "TRACE", "source_data": {"trace_id": trace_id}},
        }
        for text, trace_id in ((MARK, hers), (OTHER, bens))
    ]
    send("POST", f"datasets/{dataset}/records", {"records": json.dumps(records)})
    assert erase(gateway, "route")[0] == 2
    assert files_with(gateway, MARK) == []
    kept = call(gateway, "GET", f"/api/3.0/mlflow/datasets/{dataset}/records").body.decode()
    assert OTHER in kept
