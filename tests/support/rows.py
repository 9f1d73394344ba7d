"""What the store tests write: small values with everything that a test doesn't care about filled in."""

from __future__ import annotations

from typing import Any

from gateway.domain import ids
from gateway.domain.messages import Usage
from gateway.domain.trace import Assessment, Outcome, Rating, Span, TraceEnd, TraceStart
from gateway.storage.engine import Script
from gateway.storage.scripts.feedback import FeedbackWrite
from gateway.storage.scripts.keys import KeyRecord

PROJECT = "default"


def a_start(**over: Any) -> TraceStart:
    fields: dict[str, Any] = {
        "trace_id": ids.new_trace_id(),
        "root_span_id": ids.new_span_id(),
        "project": PROJECT,
        "route": "/chat/stream",
        "request_time": 1_000,
        "model": "default",
        "session_id": ids.new_session_id(),
        "request_preview": "Hi",
        "request": '[{"role":"user","content":"Hi"}]',
    }
    return TraceStart(**(fields | over))


def a_span(**over: Any) -> Span:
    fields: dict[str, Any] = {
        "span_id": ids.new_span_id(),
        "parent_id": None,
        "name": "chat default",
        "kind": "SERVER",
        "start_ms": 1_000,
        "end_ms": 2_000,
        "status": "OK",
    }
    return Span(**(fields | over))


def an_end(start: TraceStart, **over: Any) -> TraceEnd:
    root = a_span(span_id=start.root_span_id)
    fields: dict[str, Any] = {
        "trace_id": start.trace_id,
        "project": start.project,
        "outcome": Outcome.COMPLETE,
        "end_time": 2_000,
        "duration_ms": 1_000,
        "first_token_ms": 100,
        "finish_reason": "stop",
        "answered_model": "demo/echo",
        "provider": "demo",
        "usage": Usage(1, 2, 3),
        "response_preview": "Hello",
        "response": '[{"role":"assistant","content":"Hello"}]',
        "parts": '[["text","Hello"]]',
        "spans": (root, a_span(parent_id=start.root_span_id, kind="CLIENT", start_ms=1_001)),
    }
    return TraceEnd(**(fields | over))


def a_rating(**over: Any) -> Assessment:
    fields: dict[str, Any] = {
        "assessment_id": ids.new_assessment_id(),
        "trace_id": "",
        "project": PROJECT,
        "name": "user_feedback",
        "value": True,
        "source_id": "",
        "create_time": 3_000,
        "last_update_time": 3_000,
    }
    return Assessment(**(fields | over))


def a_write(trace_id: str | None, *ratings: Assessment, **over: Any) -> FeedbackWrite:
    ratings = ratings or (a_rating(),)
    fields: dict[str, Any] = {
        "project": PROJECT,
        "trace_id": trace_id,
        "client_request_id": None,
        "source_id": "ann",
        "ratings": tuple(Rating(one.name, one.value, one.rationale, one.metadata, one.span_id) for one in ratings),
        "assessment_ids": tuple(one.assessment_id for one in ratings),
        "now": 3_000,
    }
    return FeedbackWrite(**(fields | over))


def a_key(**over: Any) -> KeyRecord:
    fields: dict[str, Any] = {
        "key_id": ids.new_span_id(),
        "name": "app",
        "role": "chat",
        "project": PROJECT,
        "key_hash": "ab" * 32,
        "hint": "gk-1",
        "created": 1_000,
    }
    return KeyRecord(**(fields | over))


def ask(statement: str, *params: object) -> Script[list[tuple[Any, ...]]]:
    """Any statement, run by the writer."""
    rows = yield statement, params
    return [tuple(row) for row in rows]  # type: ignore[arg-type]
