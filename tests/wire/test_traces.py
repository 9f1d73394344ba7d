"""Traces as the native routes show them."""

from __future__ import annotations

from typing import Any

from gateway.domain.messages import Usage
from gateway.domain.search import FoundTrace
from gateway.domain.trace import Outcome, State, Trace
from gateway.wire.traces import SpanItem, trace_detail, trace_item
from tests.support.rows import a_rating, a_start


def a_trace(**over: Any) -> Trace:
    start = a_start()
    fields: dict[str, Any] = {name: getattr(start, name) for name in start.__struct_fields__}
    ended = {"state": State.OK, "outcome": Outcome.COMPLETE, "end_time": 2_000, "duration_ms": 1_000}
    return Trace(**(fields | ended | over))


def found(**over: Any) -> FoundTrace:
    rest = {name: over.pop(name) for name in ("name", "client_made", "assessments") if name in over}
    fields: dict[str, Any] = {"experiment_id": "0", "name": None, "client_made": False}
    return FoundTrace(trace=a_trace(**over), **(fields | rest))


def test_a_chat() -> None:
    """With its ratings, flat."""
    rating = a_rating(value=False, overrides="a-1")
    item = trace_item(found(usage=Usage(1, 2, 3), assessments=(rating,)))
    assert (item.outcome, item.model, item.tokens, item.time) == ("complete", "default", 3, 1_000)
    (shown,) = item.assessments
    assert (shown.assessment_id, shown.value, shown.time) == (rating.assessment_id, False, 3_000)
    assert (shown.overrides, shown.valid) == ("a-1", True)


def test_a_running_chat() -> None:
    """It has no outcome yet."""
    item = trace_item(found(state=State.IN_PROGRESS, outcome=None, duration_ms=None))
    assert (item.outcome, item.duration_ms, item.tokens) == (None, None, None)


def test_a_clients_trace() -> None:
    """Its tokens stand in its metadata, if they do."""
    for text, tokens in (
        ('{"total_tokens": 7}', 7),
        ('{"total_tokens": "7"}', None),
        ("[]", None),
        ("{", None),
    ):
        item = trace_item(
            found(model="", session_id="", metadata={"mlflow.trace.tokenUsage": text}, name="bot", client_made=True)
        )
        assert (item.tokens, item.model, item.session_id, item.trace_name) == (tokens, None, None, "bot")


def test_a_detail() -> None:
    """The list's fields and more."""
    span = SpanItem("0" * 16, None, "answer", "CHAT_MODEL", 1, 2, "OK")
    parent = f"00-{'1' * 32}-{'2' * 16}-01"
    detail = trace_detail(found(traceparent=parent, error_code="x"), [span], 5, "0" * 16)
    assert (detail.parent_trace_id, detail.error_code) == (f"tr-{'1' * 32}", "x")
    assert (detail.spans, detail.span_count, detail.next_span_token) == ([span], 5, "0" * 16)
    assert trace_detail(found(), [], 0, None).parent_trace_id is None
