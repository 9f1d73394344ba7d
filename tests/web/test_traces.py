"""GET /traces and the routes beside it, through a real gateway."""

from __future__ import annotations

import csv
import io
import json
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import quote

import pyarrow.parquet  # type: ignore[import-untyped]
from msgspec.structs import replace

from gateway.access.principal import KEYLESS
from gateway.storage.scripts.traces import begin_trace
from gateway.storage.sqlite.engine import SQLiteStore
from gateway.web import trace_export
from gateway.web.request import Request
from gateway.wire.trace_export import writer_of
from gateway.wire.trace_query import read_trace_query
from tests.support.http_client import NO_TRACE, call
from tests.support.rows import PROJECT, a_start
from tests.support.servers import GatewayProcess


def ask(edge: GatewayProcess, **over: Any) -> dict[str, Any]:
    asked: dict[str, Any] = call(edge, "POST", "/chat", {"message": "Hello there", "user_id": "ann"} | over).json
    return asked


def find(edge: GatewayProcess, text: str, **over: Any) -> list[dict[str, Any]]:
    more = "".join(f"&{name}={quote(str(value))}" for name, value in over.items())
    reply = call(edge, "GET", f"/traces?filter={quote(text)}{more}")
    assert reply.status == 200, reply.body
    found: list[dict[str, Any]] = reply.json["traces"]
    return found


def test_a_chat_with_its_rating(edge: GatewayProcess) -> None:
    """All that a row of a list shows."""
    asked = ask(edge, session_id="listed", tags={"team": "a"})
    call(edge, "POST", f"/feedback?trace_id={asked['trace_id']}&user_id=ann", {"is_correct": False, "comment": "no"})
    (found,) = find(edge, "trace.session = 'listed' AND feedback.user_feedback = 'false'")
    (rating,) = found.pop("assessments")
    assert found.pop("duration_ms") >= found.pop("first_token_ms") >= 0
    assert isinstance(found.pop("time"), int)
    assert found == {
        "trace_id": asked["trace_id"],
        "state": "OK",
        "outcome": "complete",
        "model": "default",
        "provider": "demo",
        "route": "/chat",
        "session_id": "listed",
        "user_id": "ann",
        "tokens": asked["usage"]["total_tokens"],
        "cost": None,
        "request_preview": "Hello there",
        "response_preview": "lorem ipsum dolor",
        "tags": {"team": "a"},
        "experiment_id": "0",
        "trace_name": None,
    }
    assert isinstance(rating.pop("time"), int)
    assert rating.pop("assessment_id").startswith("a-")
    assert rating == {
        "kind": "feedback",
        "name": "user_feedback",
        "value": False,
        "rationale": "no",
        "source_type": "HUMAN",
        "source_id": "ann",
        "span_id": None,
        "metadata": {},
        "error": None,
        "valid": True,
        "overrides": None,
    }


def test_pages(edge: GatewayProcess) -> None:
    """Each goes on where the one before it ended, and the last one says so."""
    made = [ask(edge, session_id="paged", message=f"n {at}")["trace_id"] for at in range(5)]
    seen, token = [], ""
    while token is not None:
        target = f"/traces?filter=trace.session+%3D+'paged'&limit=2&page_token={quote(token)}"
        reply = call(edge, "GET", target).json
        seen += [each["trace_id"] for each in reply["traces"]]
        token = reply["next_page_token"]
    assert seen == made[::-1]


def test_a_trace_and_its_spans(edge: GatewayProcess) -> None:
    """The tree without what spans hold, and what one holds."""
    asked = ask(edge, session_id="shown")
    shown = call(edge, "GET", f"/traces/{asked['trace_id']}").json
    assert (shown["trace_id"], shown["finish_reason"], shown["span_count"]) == (asked["trace_id"], "stop", 2)
    assert shown["next_span_token"] is None
    root, attempt = shown["spans"]
    assert (root["parent_id"], attempt["parent_id"]) == (None, root["span_id"])
    assert root.keys() == {"span_id", "parent_id", "name", "type", "start", "end", "status"}
    held = call(edge, "GET", f"/traces/{asked['trace_id']}/spans/{root['span_id']}").json
    assert held["inputs"]["messages"] == [{"role": "user", "content": "Hello there"}]
    assert held["outputs"]["choices"][0]["message"]["content"] == "lorem ipsum dolor"
    assert (held["type"], held["cut"]) == ("CHAT_MODEL", [])
    held = call(edge, "GET", f"/traces/{asked['trace_id']}/spans/{attempt['span_id']}").json
    assert (held["inputs"], held["attributes"]["gen_ai.provider.name"]) == (None, "demo")


def test_a_long_question_is_cut(edge: GatewayProcess) -> None:
    """Unless all of it is asked for."""
    asked = ask(edge, message="x" * 150_000)
    trace_id = asked["trace_id"]
    (root, _) = call(edge, "GET", f"/traces/{trace_id}").json["spans"]
    for full, size in (("", 65_536), ("?full=0", 65_536), ("?full=1", 150_000)):
        held = call(edge, "GET", f"/traces/{trace_id}/spans/{root['span_id']}{full}").json
        assert size - 100 < len(held["inputs"]["messages"][0]["content"]) <= size
        assert held["cut"] == ([] if size == 150_000 else ["inputs"])


def test_history(edge: GatewayProcess) -> None:
    """What was overridden comes only where it is asked for."""
    trace_id = ask(edge)["trace_id"]
    for value in (False, True):
        call(edge, "POST", f"/feedback?trace_id={trace_id}&user_id=ann", {"is_correct": value})
    shown = call(edge, "GET", f"/traces/{trace_id}").json["assessments"]
    assert [each["value"] for each in shown] == [True]
    shown = call(edge, "GET", f"/traces/{trace_id}?history=1").json["assessments"]
    assert [(each["value"], each["valid"]) for each in shown] == [(False, False), (True, True)]


def test_what_is_refused(edge: GatewayProcess) -> None:
    """In words that say which parameter, or what isn't there."""
    trace_id = ask(edge)["trace_id"]
    for target, field in (
        ("/traces?filter=nonsense", "filter"),
        ("/traces?limit=none", "limit"),
        ("/traces?colour=red", "colour"),
        ("/traces?limit=1&limit=2", "limit"),
        (f"/traces/{trace_id}?history=maybe", "history"),
        (f"/traces/{trace_id}?full=1", "full"),
    ):
        reply = call(edge, "GET", target)
        assert (reply.status, reply.json["details"][0]["field"]) == (422, field)
    for target in (f"/traces/{NO_TRACE}", "/traces/x", f"/traces/{trace_id}/spans/{'0' * 16}"):
        assert call(edge, "GET", target).status == 404
    assert call(edge, "GET", "/traces?page_token=%2F%2F").status == 422


def test_export(edge: GatewayProcess) -> None:
    """All that a list would show, however many pages that is, and how many in a header."""
    made = {ask(edge, session_id="exported", message=f"n {at}")["trace_id"] for at in range(3)}
    call(edge, "POST", f"/feedback?trace_id={min(made)}&user_id=ann", {"is_correct": True})
    target = "/traces/export?filter=trace.session+%3D+'exported'"
    reply = call(edge, "GET", target)
    assert (reply.status, reply.headers["x-total-count"]) == (200, "3")
    assert reply.headers["content-disposition"] == 'attachment; filename="traces.jsonl"'
    assert {json.loads(line)["trace_id"] for line in reply.body.splitlines()} == made
    reply = call(edge, "GET", f"{target}&format=csv")
    rows = list(csv.DictReader(io.StringIO(reply.body.decode())))
    assert {row["trace_id"]: row["feedback.user_feedback"] for row in rows} == dict.fromkeys(made, "") | {
        min(made): "true"
    }
    reply = call(edge, "GET", f"{target}&format=parquet")
    assert pyarrow.parquet.read_table(io.BytesIO(reply.body)).num_rows == 3
    assert call(edge, "GET", f"{target}&format=xml").status == 422
    assert call(edge, "GET", f"{target}&limit=1").status == 422
    assert call(edge, "GET", f"{target}&q=zebra").headers["x-total-count"] == "0"


async def test_export_of_several_pages(store: SQLiteStore) -> None:
    """Page by page, none twice."""
    made = [a_start(request_time=1_000 + at // 3) for at in range(10)]
    for start in made:
        await store.write(begin_trace, start)
    request = cast(Request, SimpleNamespace(services=SimpleNamespace(store=store), principal=KEYLESS, extension=none))
    query = read_trace_query([], PROJECT)
    pieces = [piece async for piece in trace_export._pieces(request, replace(query, limit=4), writer_of("jsonl", []))]
    assert len(pieces) == 4
    seen = [json.loads(line)["trace_id"] for line in b"".join(pieces).splitlines()]
    assert sorted(seen) == sorted(start.trace_id for start in made)


def none(name: str) -> None:
    """Not our own server: nobody tells that a client has left."""
