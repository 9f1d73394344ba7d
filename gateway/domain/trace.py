"""The values that the store keeps: traces, their spans, and the assessments of them. Times are milliseconds UTC.

How they are stored is in storage/scripts, and how clients see them is in the wire packages.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

import msgspec

from gateway.domain.messages import Usage

PREVIEW_CHARS = 1000


def preview(text: str) -> str:
    """Return the first 1,000 characters."""
    return text if len(text) <= PREVIEW_CHARS else text[: PREVIEW_CHARS - 1] + "…"


class State(StrEnum):
    """The state of a trace: it is running, or it ended well or badly."""

    IN_PROGRESS = "IN_PROGRESS"
    OK = "OK"
    ERROR = "ERROR"


class Outcome(StrEnum):
    """How an answer ended. A trace gets exactly one of them."""

    COMPLETE = "complete"  # the provider finished
    DRAINED = "drained"  # the clients left, the policy was drain, and the provider finished
    STOPPED = "stopped"  # a client stopped it
    DISCONNECTED = "disconnected"  # the clients left, and the policy was cancel
    UPSTREAM_ERROR = "upstream_error"
    TIMEOUT = "timeout"
    TOO_LONG = "too_long"
    INTERRUPTED = "interrupted"  # the server was shut down or killed

    @property
    def state(self) -> State:
        """Return the state of a trace with this outcome: ERROR only if the provider or the server failed."""
        return State.OK if self in _OK else State.ERROR


_OK = {Outcome.COMPLETE, Outcome.DRAINED, Outcome.STOPPED, Outcome.DISCONNECTED}


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """One operation, in OpenTelemetry's terms (GenAI semantic conventions for the attributes)."""

    span_id: str
    parent_id: str | None
    name: str
    kind: Literal["SERVER", "CLIENT", "INTERNAL"]
    start_ms: int
    end_ms: int
    status: Literal["OK", "ERROR"]
    message: str | None = None  # of an ERROR status
    attributes: dict[str, Any] = {}


class Attempt(msgspec.Struct, kw_only=True):
    """One call to one provider. The router updates it, and the recorder turns it into a span.

    Its times are those of `monotonic_ms`.
    """

    span_id: str
    provider: str
    model: str  # as that provider knows it
    start_ms: int
    first_ms: int | None = None  # when its first token came
    end_ms: int | None = None
    status: int | None = None  # the provider's HTTP status
    error: str | None = None  # an error's code
    message: str | None = None
    cause: str | None = None  # why the provider couldn't be reached
    request_id: str | None = None  # the provider's own


class TraceStart(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a chat when it begins. The store has this row before the client gets its first byte.

    Every field is a column of the table `traces`.
    """

    trace_id: str
    root_span_id: str
    project: str
    route: str
    request_time: int
    model: str  # the requested one
    session_id: str
    user_id: str | None = None
    client_request_id: str | None = None
    request_preview: str | None = None
    request: str | None = None  # JSON: the messages sent to the provider; None if content isn't stored
    tags: dict[str, str] = {}
    metadata: dict[str, str] = {}
    traceparent: str | None = None
    key_id: str | None = None
    config_hash: str = ""


class Checkpoint(msgspec.Struct, frozen=True):
    """The parts that a running answer has got since its last checkpoint."""

    trace_id: str
    seq: int
    parts: str  # JSON, as in TraceEnd.parts


class TraceEnd(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a chat when it has ended. It is written once, in one transaction, with the spans.

    Every field but `usage`, which is three columns, and `spans` is a column of the table `traces`.
    """

    trace_id: str
    project: str
    outcome: Outcome
    end_time: int
    duration_ms: int
    first_token_ms: int | None = None  # since the request
    finish_reason: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    answered_model: str | None = None  # as the provider knows it
    provider: str | None = None
    usage: Usage | None = None
    usage_estimated: bool = False
    response_preview: str | None = None
    response: str | None = None  # JSON: one assistant message for each choice; None if content isn't stored
    parts: str | None = None  # JSON: [["text","…"],["reasoning","…"],["tool_call",{…}]], domain.answer.Part in order
    cost: float | None = None  # by the model's prices, as they were then; None without any
    spans: tuple[Span, ...] = ()


class Trace(TraceStart, frozen=True, kw_only=True):
    """A stored trace, with all fields of TraceStart and TraceEnd but the spans.

    A running trace has no `outcome`, `end_time` and `duration_ms`.
    """

    state: State
    outcome: Outcome | None
    end_time: int | None
    duration_ms: int | None
    first_token_ms: int | None = None
    finish_reason: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    answered_model: str | None = None
    provider: str | None = None
    usage: Usage | None = None
    usage_estimated: bool = False
    response_preview: str | None = None
    response: str | None = None
    parts: str | None = None
    cost: float | None = None


Value = bool | float | int | str | list[str]  # of a rating by an end user


class Rating(msgspec.Struct, frozen=True):
    """What a rater gives: the value of one name, which becomes an Assessment once it is stored."""

    name: str
    value: Value
    rationale: str | None
    metadata: dict[str, str]
    span_id: str | None = None


class Assessment(msgspec.Struct, frozen=True, kw_only=True):
    """A rating, or an expectation of what the answer should be. `valid` is false once it is overridden or retracted."""

    assessment_id: str
    trace_id: str
    project: str
    name: str
    value: Any  # a Value, or any JSON that a client logged; None is allowed, with or without an error
    source_id: str
    source_type: Literal["HUMAN", "LLM_JUDGE", "CODE"] = "HUMAN"
    kind: Literal["feedback", "expectation"] = "feedback"
    rationale: str | None = None
    metadata: dict[str, str] = {}
    span_id: str | None = None
    create_time: int = 0
    last_update_time: int = 0
    overrides: str | None = None
    valid: bool = True
    error: dict[str, str] | None = None  # of a judge that failed: error_code, error_message, stack_trace
