"""The events of a native stream and the frames of a WebSocket as types, and the replies of the native routes.

native.py and the handlers of web/ write them, and /openapi.json is made of them. Tokens are written by hand in
native.py, since each costs CPU, and so are frames; tests compare them with the types. Sans-I/O.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from gateway.domain.messages import Usage
from gateway.domain.trace import Outcome, State
from gateway.wire.feedback import FeedbackItem


class _Event(msgspec.Struct, frozen=True, tag_field="type"):
    pass


class StartEvent(_Event, frozen=True, tag="start"):
    """The first event of each stream. It follows the commit of the trace."""

    trace_id: str
    session_id: str
    model: str
    feedback_token: str


class TokenEvent(_Event, frozen=True, tag="token"):
    """A piece of the answer's text. Pieces that arrive together, or pile up for a slow reader, come as one."""

    content: str


class ReasoningEvent(_Event, frozen=True, tag="reasoning"):
    """A piece of the model's reasoning."""

    content: str


class ToolCallEvent(_Event, frozen=True, tag="tool_call"):
    """A piece of a tool call, as OpenAI's `delta.tool_calls` has it: the first of a call has its `id` and its name."""

    tool_call: dict[str, Any]


class DeltaEvent(_Event, frozen=True, tag="delta"):
    """What else the provider said, with its own fields: `audio`, `images`, `annotations`, `reasoning_details`, any."""

    delta: dict[str, Any]


class Timing(msgspec.Struct, frozen=True):
    """How long an answer took."""

    first_token_ms: int | None
    total_ms: int


class DoneEvent(_Event, frozen=True, tag="done"):
    """The last event of an answer that ended well, was stopped, or whose reader had left."""

    trace_id: str
    finish_reason: str
    usage: Usage | None
    timing: Timing
    feedback_token: str


class ErrorEvent(_Event, frozen=True, tag="error"):
    """The last event of an answer that failed. What there was of it is kept, and can be rated."""

    error: str
    code: str
    retryable: bool
    trace_id: str


StreamEvent = StartEvent | TokenEvent | ReasoningEvent | ToolCallEvent | DeltaEvent | DoneEvent | ErrorEvent


class StopFrame(_Event, frozen=True, tag="stop"):
    """Stop a chat of this socket."""

    id: str


class ResumeFrame(_Event, frozen=True, tag="resume", kw_only=True):
    """Go on with a stream after an event. Without `id` its frames bear the trace's ID."""

    trace_id: str
    after: int = 0
    id: str | None = None
    feedback_token: str | None = None


class PingFrame(_Event, frozen=True, tag="ping"):
    """Ask for a pong."""

    id: str | None = None


class PongFrame(_Event, frozen=True, tag="pong", omit_defaults=True):
    """The answer to a ping."""

    id: str | None = None


class FeedbackRecordedFrame(_Event, frozen=True, tag="feedback_recorded", kw_only=True, omit_defaults=True):
    """The rating of a feedback frame is committed."""

    status: Literal["success"]
    trace_id: str
    assessment_id: str
    id: str | None = None


class Problem(msgspec.Struct, frozen=True):
    """One bad field."""

    field: str
    problem: str


class ErrorFrame(_Event, frozen=True, tag="error", kw_only=True, omit_defaults=True):
    """A frame that was refused, or a chat that failed. The socket stays open."""

    error: str
    code: str
    retryable: bool
    details: list[Problem] = []
    trace_id: str | None = None
    id: str | None = None
    seq: int | None = None


class StatusReply(msgspec.Struct, frozen=True):
    """What a probe wants to know."""

    status: Literal["ok", "ready"]


class StopReply(msgspec.Struct, frozen=True, kw_only=True):
    """The stream has ended. `outcome` says how: it may have been complete already."""

    status: Literal["success"] = "success"
    trace_id: str | None
    outcome: Outcome | None


class DimensionReply(msgspec.Struct, frozen=True, omit_defaults=True):
    """A scale of whole numbers from `min` to `max`, or a choice of `options`."""

    min: int | None = None
    max: int | None = None
    options: tuple[str, ...] | None = None


class ConfigReply(msgspec.Struct, frozen=True):
    """What a front end needs to know. `default_model` answers where a chat names none; empty: none does."""

    models: list[str]
    default_model: str
    dimensions: dict[str, DimensionReply]
    key_required: bool
    version: str


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A declared model, as OpenAI's API lists it."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "feedback-gateway"


class ModelList(msgspec.Struct, frozen=True, kw_only=True):
    """The declared models."""

    object: Literal["list"] = "list"
    data: list[Model]


class Turn(msgspec.Struct, frozen=True):
    """One question and its answer. `outcome` null: it is being answered now."""

    trace_id: str
    model: str
    time: int
    state: State
    outcome: Outcome | None
    message: Any
    response: str | None
    error: str | None
    feedback_token: str
    feedback: list[FeedbackItem]


class SessionReply(msgspec.Struct, frozen=True):
    """The turns of a conversation, oldest first."""

    session_id: str
    turns: list[Turn]
