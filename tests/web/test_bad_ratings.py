"""Bad ratings: what each gets, that nothing of it is stored, and that a good one then is."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.http_client import NO_TRACE, Reply, ask, assert_native, by_hand, call
from tests.support.servers import GatewayProcess

GOOD = {"is_correct": True, "comment": None}


@pytest.fixture(scope="module")
def trace_id(edge: GatewayProcess) -> str:
    """A trace to rate."""
    return str(ask(edge, client_request_id="req-1")["trace_id"])


def count(edge: GatewayProcess) -> int:
    return int(edge.store.rows("SELECT count(*) AS n FROM assessments")[0]["n"])


def rate(edge: GatewayProcess, body: Any, path: str = "/feedback", **query: str) -> Reply:
    return call(edge, "POST", f"{path}?{urlencode(query)}", body)


BODIES: dict[str, tuple[Any, int, str]] = {
    "empty": (b"", 400, "not_json"),
    "not-json": (b"{is_correct: true}", 400, "not_json"),
    "nan": (b'{"name": "a", "value": NaN}', 400, "not_json"),
    "not-utf-8": (b'{"is_correct": true, "comment": "\xe9"}', 400, "not_json"),
    "lone-surrogate": (b'{"is_correct": true, "comment": "\\ud800"}', 422, "comment"),
    "surrogate-name": (b'{"is_correct": true, "\\ud800": 1}', 422, "\\ud800"),
    "too-deep": (b'{"value": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", 400, "not_json"),
    "array": ([], 422, "body"),
    "no-verdict": ({}, 422, "is_correct"),
    "verdict-text": ({"is_correct": "yes"}, 422, "is_correct"),
    "verdict-number": ({"is_correct": 1}, 422, "is_correct"),
    "verdict-null": ({"is_correct": None}, 422, "is_correct"),
    "comment-number": ({"is_correct": True, "comment": 5}, 422, "comment"),
    "comment-long": ({"is_correct": True, "comment": "x" * 10_001}, 422, "comment"),
    "reasons-text": ({"is_correct": True, "reasons": "slow"}, 422, "reasons"),
    "typo": ({"is_correct": True, "coment": "x"}, 422, "coment"),
    "twice": (b'{"is_correct": true, "is_correct": false}', 422, "is_correct"),
    "no-value": ({"name": "x"}, 422, "value"),
    "no-name": ({"value": 1}, 422, "name"),
    "name-empty": ({"name": "", "value": 1}, 422, "name"),
    "name-long": ({"name": "n" * 251, "value": 1}, 422, "name"),
    "value-object": ({"name": "x", "value": {"a": 1}}, 422, "value"),
    "value-huge": ({"name": "x", "value": 10**30}, 422, "value"),
    "value-infinite": (b'{"name": "x", "value": 1e999}', 422, "value"),
    "value-long": ({"name": "x", "value": "v" * 10_001}, 422, "value"),
    "rationale-long": ({"name": "x", "value": 1, "rationale": "r" * 10_001}, 422, "rationale"),
    "metadata-number": ({"name": "x", "value": 1, "metadata": {"a": 1}}, 422, "metadata"),
    "metadata-many": ({"name": "x", "value": 1, "metadata": {str(i): "" for i in range(51)}}, 422, "metadata"),
    "metadata-long": ({"name": "x", "value": 1, "metadata": {"a": "x" * 1001}}, 422, "metadata"),
    "span": ({"name": "x", "value": 1, "span_id": "xyz"}, 422, "span_id"),
}


@pytest.mark.parametrize(("body", "status", "where"), BODIES.values(), ids=BODIES.keys())
def test_bad_bodies(edge: GatewayProcess, trace_id: str, body: Any, status: int, where: str) -> None:
    """The field is named, nothing is stored, and a good rating then is."""
    before = count(edge)
    reply = rate(edge, body, trace_id=trace_id)
    if status == 422:
        assert_native(reply, 422, "invalid_value", where)
    else:
        assert_native(reply, status, where)
    assert count(edge) == before
    assert rate(edge, GOOD, trace_id=trace_id, user_id="good").status == 200


def test_the_longest_comment(edge: GatewayProcess, trace_id: str) -> None:
    """10,000 characters are taken, whatever they are."""
    reply = rate(edge, {"is_correct": False, "comment": "🌍" * 10_000}, trace_id=trace_id, user_id="long")
    assert reply.status == 200
    assert len(edge.store.assessments(trace_id)[-1]["rationale"]) == 10_000


QUERIES: dict[str, tuple[str, set[str]]] = {
    "neither": ("", {"trace_id"}),
    "both": ("trace_id={t}&client_request_id=req-1", {"trace_id", "client_request_id"}),
    "twice": ("trace_id={t}&trace_id={t}", {"trace_id"}),
    "form": ("trace_id=tr-123", {"trace_id"}),
    "upper": ("trace_id=TR-" + "0" * 32, {"trace_id"}),
    "line-end": ("trace_id={t}%0A", {"trace_id"}),
    "empty": ("trace_id=", {"trace_id"}),
    "sql": ("trace_id=' OR 1=1 --".replace(" ", "%20"), {"trace_id"}),
    "user-empty": ("trace_id={t}&user_id=", {"user_id"}),
    "user-long": ("trace_id={t}&user_id=" + "u" * 251, {"user_id"}),
    "request-long": ("client_request_id=" + "r" * 251, {"client_request_id"}),
    "typo": ("trace_id={t}&userid=u", {"userid"}),
}


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
@pytest.mark.parametrize(("query", "fields"), QUERIES.values(), ids=QUERIES.keys())
def test_bad_queries(edge: GatewayProcess, trace_id: str, method: str, query: str, fields: set[str]) -> None:
    """Each bad parameter is named, on every route that takes a subject."""
    before = count(edge)
    more = "&name=user_feedback" if method == "DELETE" else ""
    body = GOOD if method == "POST" else None
    reply = call(edge, method, "/feedback?" + query.format(t=trace_id) + more, body)
    assert_native(reply, 422, "invalid_value", *fields)
    assert count(edge) == before


@pytest.mark.parametrize("query", ["trace_id=%FF", "trace_id=\xff", "%FE=1"])
def test_queries_that_are_no_text(edge: GatewayProcess, query: str) -> None:
    """Bytes that aren't UTF-8 are refused, escaped or bare."""
    request = b"GET /feedback?" + query.encode("latin-1") + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert by_hand(edge, request).status in (400, 422)


@pytest.mark.parametrize("query", [f"trace_id={NO_TRACE}", "client_request_id=nobody's"])
def test_unknown_traces(edge: GatewayProcess, query: str) -> None:
    """404 on every route, and nothing is stored."""
    before = count(edge)
    for method, path, body in (
        ("POST", "/feedback", GOOD),
        ("GET", "/feedback", None),
        ("DELETE", "/feedback", None),
        ("POST", "/detailed-feedback", None),
    ):
        more = {"DELETE": "&name=x"}.get(method, "&accuracy=4" if path == "/detailed-feedback" else "")
        assert_native(call(edge, method, f"{path}?{query}{more}", body), 404, "not_found")
    assert count(edge) == before


MARKS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "too-high": ({"accuracy": 6}, {"accuracy"}),
    "too-low": ({"accuracy": 0}, {"accuracy"}),
    "negative": ({"accuracy": -1}, {"accuracy"}),
    "fraction": ({"accuracy": 4.5}, {"accuracy"}),
    "whole-fraction": ({"accuracy": 4.0}, {"accuracy"}),
    "text": ({"accuracy": "good"}, {"accuracy"}),
    "true": ({"accuracy": True}, {"accuracy"}),
    "choice": ({"tone": "wrong"}, {"tone"}),
    "choice-number": ({"tone": 1}, {"tone"}),
    "unknown": ({"accuracy": 4, "speed": 3}, {"speed"}),
    "none": ({}, {"dimensions"}),
    "one-of-two": ({"accuracy": 4, "tone": "wrong"}, {"tone"}),
    "all": ({"accuracy": 9, "tone": "no", "speed": 1}, {"accuracy", "tone", "speed"}),
    "comment": ({"accuracy": 4, "comment": "x" * 10_001}, {"comment"}),
}


@pytest.mark.parametrize("form", ["query", "json"])
@pytest.mark.parametrize(("marks", "fields"), MARKS.values(), ids=MARKS.keys())
def test_bad_marks(edge: GatewayProcess, trace_id: str, form: str, marks: dict[str, Any], fields: set[str]) -> None:
    """All or nothing: every bad field is named, and nothing is stored of the good ones."""
    before = count(edge)
    if form == "query":
        target = "/detailed-feedback?" + urlencode({"trace_id": trace_id, **marks})
        reply = call(edge, "POST", target)
    else:
        reply = call(edge, "POST", "/detailed-feedback", {"trace_id": trace_id, **marks})
    assert_native(reply, 422, "invalid_value", *fields)
    assert count(edge) == before


def test_marks_of_a_scale_and_a_choice(edge: GatewayProcess, trace_id: str) -> None:
    """By query, as front ends send them: one rating for each dimension."""
    query = {"trace_id": trace_id, "accuracy": "4", "tone": "right", "user_id": "marks", "comment": "fine"}
    reply = call(edge, "POST", "/detailed-feedback?" + urlencode(query))
    assert reply.json == {
        "status": "success",
        "trace_id": trace_id,
        "feedback_recorded": {"accuracy": 4, "tone": "right"},
    }
    stored = [row for row in edge.store.assessments(trace_id) if row["source_id"] == "marks"]
    assert [(row["name"], row["value"], row["rationale"]) for row in stored] == [
        ("user_accuracy", 0.8, "fine"),
        ("user_tone", "right", None),
    ]


@pytest.mark.parametrize("path", ["/feedback", "/detailed-feedback"])
def test_a_form_is_no_json(edge: GatewayProcess, trace_id: str, path: str) -> None:
    """A page's form must not rate for its visitor."""
    kind = {"Content-Type": "text/plain"}
    reply = call(edge, "POST", f"{path}?trace_id={trace_id}", json.dumps(GOOD).encode(), kind)
    assert_native(reply, 415, "unsupported_type")


@pytest.mark.parametrize("key", ["", "k" * 251, "a\tb"])
def test_bad_idempotency_keys(edge: GatewayProcess, trace_id: str, key: str) -> None:
    """They are refused, and nothing is stored."""
    before = count(edge)
    reply = call(edge, "POST", f"/feedback?trace_id={trace_id}", GOOD, {"Idempotency-Key": key})
    assert_native(reply, 422, "invalid_value", "Idempotency-Key")
    assert count(edge) == before


def test_an_idempotency_key_with_another_body(edge: GatewayProcess, trace_id: str) -> None:
    """The same request gets the first reply, another one 422, and one rating is stored."""
    before = count(edge)
    key = {"Idempotency-Key": "once"}
    first, again = (call(edge, "POST", f"/feedback?trace_id={trace_id}&user_id=i", GOOD, key) for _ in range(2))
    assert first.json == again.json
    other = call(edge, "POST", f"/feedback?trace_id={trace_id}&user_id=i", {"is_correct": False}, key)
    assert other.status == 422
    assert count(edge) == before + 1
