"""Traces as GET /traces and the routes beside it show them. Sans-I/O; called by web/."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.domain.ids import parent_trace_id
from gateway.domain.messages import Usage
from gateway.domain.names import TRACE_USAGE
from gateway.domain.search import FoundTrace
from gateway.domain.trace import Assessment, State


class AssessmentItem(msgspec.Struct, frozen=True):
    """A rating, a judge's value or an expectation. `span_id` null: of the whole answer."""

    assessment_id: str
    kind: str
    name: str
    value: Any
    rationale: str | None
    source_type: str
    source_id: str
    span_id: str | None
    metadata: dict[str, str]
    error: dict[str, str] | None
    time: int
    valid: bool
    overrides: str | None


class TraceItem(msgspec.Struct, frozen=True, kw_only=True):
    """A trace in a list. A client's own trace has neither outcome nor model."""

    trace_id: str
    time: int
    state: State
    outcome: str | None
    model: str | None
    provider: str | None
    route: str
    session_id: str | None
    user_id: str | None
    duration_ms: int | None
    first_token_ms: int | None
    tokens: int | None
    cost: float | None
    request_preview: str | None
    response_preview: str | None
    tags: dict[str, str]
    assessments: list[AssessmentItem]
    experiment_id: str
    trace_name: str | None


class TracePage(msgspec.Struct, frozen=True):
    """A page of a list. `next_page_token` null: it was the last."""

    traces: list[TraceItem]
    next_page_token: str | None


class SpanItem(msgspec.Struct, frozen=True):
    """A span of the tree, without what it holds."""

    span_id: str
    parent_id: str | None
    name: str
    type: str
    start: int
    end: int
    status: str


class TraceDetail(TraceItem, frozen=True, kw_only=True):
    """A trace with its tree. `next_span_token` null: no more spans follow."""

    answered_model: str | None
    finish_reason: str | None
    error_code: str | None
    error_message: str | None
    usage: Usage | None
    client_request_id: str | None
    parent_trace_id: str | None
    metadata: dict[str, str]
    spans: list[SpanItem]
    span_count: int
    next_span_token: str | None


class CountReply(msgspec.Struct, frozen=True):
    """How many there are. With `+` there are more, or may be: `10000+` where there are more than that."""

    count: int | str


class ValueCount(msgspec.Struct, frozen=True):
    """How often a value comes."""

    value: Any
    count: int


class AssessmentFacet(msgspec.Struct, frozen=True):
    """A name of assessments, and how often each value comes: of the most frequent ones."""

    name: str
    kind: str
    count: int
    values: list[ValueCount]


class FacetsReply(msgspec.Struct, frozen=True):
    """What traces have in common. All counts are of `counted` of them; with `+` there are more, or may be.

    Names, outcomes and keys that only others have are there, too, with the count 0.
    """

    counted: int | str
    assessments: list[AssessmentFacet]
    models: list[ValueCount]
    outcomes: list[ValueCount]
    tags: list[ValueCount]


def trace_item(found: FoundTrace) -> TraceItem:
    """Return a trace as a list has it."""
    return TraceItem(**_fields(found))


def trace_detail(found: FoundTrace, spans: list[SpanItem], count: int, token: str | None) -> TraceDetail:
    """Return a trace with a page of its spans, how many there are, and the next page's token."""
    trace = found.trace
    return TraceDetail(
        **_fields(found),
        answered_model=trace.answered_model,
        finish_reason=trace.finish_reason,
        error_code=trace.error_code,
        error_message=trace.error_message,
        usage=trace.usage,
        client_request_id=trace.client_request_id,
        parent_trace_id=trace.traceparent and parent_trace_id(trace.traceparent),
        metadata=trace.metadata,
        spans=spans,
        span_count=count,
        next_span_token=token,
    )


def assessment_item(assessment: Assessment) -> AssessmentItem:
    """Return an assessment, flat."""
    names = [name for name in AssessmentItem.__struct_fields__ if name != "time"]
    return AssessmentItem(**{name: getattr(assessment, name) for name in names}, time=assessment.create_time)


def _fields(found: FoundTrace) -> dict[str, Any]:
    trace = found.trace
    usage = trace.usage.total_tokens if trace.usage else _client_tokens(trace.metadata.get(TRACE_USAGE))
    return {
        "trace_id": trace.trace_id,
        "time": trace.request_time,
        "state": trace.state,
        "outcome": trace.outcome and trace.outcome.value,
        "model": trace.model or None,
        "provider": trace.provider,
        "route": trace.route,
        "session_id": trace.session_id or None,
        "user_id": trace.user_id,
        "duration_ms": trace.duration_ms,
        "first_token_ms": trace.first_token_ms,
        "tokens": usage,
        "cost": trace.cost,
        "request_preview": trace.request_preview,
        "response_preview": trace.response_preview,
        "tags": trace.tags,
        "assessments": [assessment_item(each) for each in found.assessments],
        "experiment_id": found.experiment_id,
        "trace_name": found.name,
    }


def _client_tokens(usage: str | None) -> int | None:
    """Return the tokens in all of a client's trace, which says so in its metadata."""
    try:
        counts = msgspec.json.decode(usage or "null")
    except msgspec.DecodeError:
        return None
    total = counts.get("total_tokens") if isinstance(counts, dict) else None
    return total if isinstance(total, int) else None
