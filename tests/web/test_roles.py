"""Who may call what: a row for every route of the table, tried with every kind of key."""

from __future__ import annotations

import http.client
import json
import time
from typing import Any

import pytest

from gateway.web.routes import ROUTES
from tests.web.client import ask, call
from tests.web.conftest import Locked, make_key

CALLERS = ("none", "bad", "chat", "review", "admin", "other")  # `other`: admin of another project
HI = {"messages": [{"role": "user", "content": "hi"}]}
GOOD = {"is_correct": True}

OPEN = (200, 200, 200, 200, 200, 200)
CHATS = (401, 401, 200, 403, 200, 200)
ADMINS = (401, 401, 403, 403, 200, 200)
RATES = (401, 401, 200, 200, 200, 404)  # the trace is none of the other project's
OWNS = (401, 401, 200, 403, 404, 404)  # a stream is its key's own

# (method, path) -> target, body, statuses in the order of CALLERS
TABLE: dict[tuple[str, str], tuple[str, Any, tuple[int, ...]]] = {
    ("POST", "/v1/chat/completions"): ("/v1/chat/completions", HI, CHATS),
    ("POST", "/chat/stream"): ("/chat/stream", HI, CHATS),
    ("POST", "/chat"): ("/chat", HI, CHATS),
    ("POST", "/feedback"): ("/feedback?trace_id={t}", GOOD, RATES),
    ("GET", "/feedback"): ("/feedback?trace_id={t}", None, RATES),
    ("DELETE", "/feedback"): ("/feedback?trace_id={t}&name=none", None, RATES),
    ("POST", "/detailed-feedback"): ("/detailed-feedback?trace_id={t}&accuracy=4", None, RATES),
    ("GET", "/chat/stream/{trace_id}"): ("/chat/stream/{t}", None, OWNS),
    ("POST", "/chat/stream/{trace_id}/stop"): ("/chat/stream/{t}/stop", None, OWNS),
    ("GET", "/sessions/{session_id}"): ("/sessions/{s}", None, RATES),
    ("GET", "/v1/models"): ("/v1/models", None, CHATS),
    ("POST", "/v1/embeddings"): ("/v1/embeddings", {"input": "x", "model": "default"}, CHATS),
    ("GET", "/metrics"): ("/metrics", None, ADMINS),
    ("GET", "/events"): ("/events", None, ADMINS),
    ("GET", "/config"): ("/config", None, OPEN),
    ("GET", "/healthz"): ("/healthz", None, OPEN),
    ("GET", "/readyz"): ("/readyz", None, OPEN),
    ("GET", "/openapi.json"): ("/openapi.json", None, OPEN),
    ("GET", "/"): ("/", None, OPEN),
}


@pytest.fixture(scope="module")
def chat(locked: Locked) -> dict[str, str]:
    """A trace and its session, of the key with the role chat."""
    reply = ask(locked.gateway, key=locked.keys["chat"])
    return {"t": reply["trace_id"], "s": reply["session_id"]}


def status(locked: Locked, method: str, target: str, body: Any, caller: str) -> int:
    """Only the status: a stream may not end."""
    headers = {"Content-Type": "application/json"} if body is not None else {}
    if caller != "none":
        headers["Authorization"] = "Bearer " + locked.keys.get(caller, "gw-sk-nobody's")
    connection = http.client.HTTPConnection("127.0.0.1", locked.gateway.port, timeout=20)
    try:
        connection.request(method, target, None if body is None else json.dumps(body), headers)
        return connection.getresponse().status
    finally:
        connection.close()


def test_the_table_is_whole() -> None:
    """A new route needs a row here."""
    assert {(route.method, route.path) for route in ROUTES} == set(TABLE)


@pytest.mark.parametrize("route", TABLE, ids=lambda route: " ".join(route))
def test_roles(locked: Locked, chat: dict[str, str], route: tuple[str, str]) -> None:
    """Each caller gets what the table says, and a refused one changes nothing."""
    target, body, expected = TABLE[route]
    found = {caller: status(locked, route[0], target.format(**chat), body, caller) for caller in CALLERS}
    assert found == dict(zip(CALLERS, expected, strict=True))


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PUT", "HEAD"])
@pytest.mark.parametrize(
    "path", ["/nowhere", "/chat/stream/tr-1/x", "/v1/nowhere", "/api/2.0/mlflow/traces", "/static/x"]
)
def test_401_comes_before_404(locked: Locked, method: str, path: str) -> None:
    """A stranger doesn't learn what there is; known paths with another method included."""
    assert status(locked, method, path, None, "none") == 401
    assert status(locked, method, path, None, "bad") == 401
    assert status(locked, method, path, None, "review") == 404
    assert status(locked, "PATCH", "/feedback", None, "none") == 401
    assert status(locked, "PATCH", "/feedback", None, "chat") == 405
    assert status(locked, "GET", "/version", None, "none") == 200  # open: clients ask it first


def test_bad_bodies_of_strangers_are_not_read(locked: Locked) -> None:
    """The key comes first: neither the body nor the ID is looked at."""
    assert call(locked.gateway, "POST", "/chat", b"{").status == 401
    assert call(locked.gateway, "GET", "/chat/stream/nonsense").status == 401
    assert call(locked.gateway, "POST", "/chat", b"{", key=locked.keys["review"]).status == 403


def test_projects_are_apart(locked: Locked) -> None:
    """Another project's ratings, sessions and client request IDs are unknown there."""
    mine, other = locked.keys["admin"], locked.keys["other"]
    asked = ask(locked.gateway, key=mine, session_id="shared-name", client_request_id="r-1")
    again = ask(locked.gateway, key=other, session_id="shared-name")
    assert asked["session_id"] == again["session_id"]
    turns = call(locked.gateway, "GET", "/sessions/shared-name", key=other).json["turns"]
    assert [turn["trace_id"] for turn in turns] == [again["trace_id"]]
    assert call(locked.gateway, "POST", "/feedback?client_request_id=r-1", GOOD, key=other).status == 404
    assert call(locked.gateway, "POST", "/feedback?client_request_id=r-1", GOOD, key=mine).status == 200


def test_a_trace_knows_its_key(locked: Locked) -> None:
    """By its ID, and the secret is in no file of the store."""
    key = locked.keys["chat"]
    trace = locked.gateway.store.trace(ask(locked.gateway, key=key)["trace_id"])
    (row,) = locked.gateway.store.rows("SELECT * FROM keys WHERE key_id = ?", trace["key_id"])
    assert row["role"] == "chat"
    for path in locked.gateway.directory.iterdir():
        assert key.encode() not in path.read_bytes()


def test_keys_come_and_go_while_it_runs(locked: Locked) -> None:
    """A new key works, and a revoked one stops working, within two seconds."""
    key = make_key(locked.gateway, "chat", name="passing")

    def becomes(wanted: int) -> None:
        deadline = time.monotonic() + 2
        while call(locked.gateway, "GET", "/v1/models", key=key).status != wanted:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    becomes(200)
    assert locked.gateway.run("keys", "revoke", "passing").returncode == 0
    becomes(401)
