"""What happens in one answer, in order: Started, deltas, then exactly one of Done and Failed.

Text rides still JSON-escaped (UTF-8 bytes, without the quotes), as the provider sent it, because the hot path
only wraps it again. `size` is what an event adds to the stream's position: characters for text, one for all else.
A position is the event's `id` on the native wire; it can be found again in a stored answer (see streaming/log.py).
"""

from __future__ import annotations

import msgspec

from gateway.domain.messages import Usage


class Started(msgspec.Struct, frozen=True):
    """The trace exists in the store."""

    trace_id: str
    session_id: str
    model: str  # as asked for
    feedback_token: str = ""  # opens the rating of this answer


class TextDelta(msgspec.Struct, frozen=True):
    """Text of choice 0. `count` is how many of the provider's frames it came in."""

    text: bytes
    chars: int
    count: int = 1


class ReasoningDelta(msgspec.Struct, frozen=True):
    """Reasoning text of choice 0, which providers send beside the answer."""

    text: bytes
    chars: int
    count: int = 1


class ToolCallDelta(msgspec.Struct, frozen=True):
    """One element of `delta.tool_calls` of choice 0, as raw JSON."""

    call: msgspec.Raw


class ChoiceDelta(msgspec.Struct, frozen=True):
    """What choices other than 0 said: only the trace and the raw wire carry it."""

    index: int
    text: str


class Finished(msgspec.Struct, frozen=True):
    """A choice ended, with the provider's reason."""

    index: int
    reason: str


class UsageReported(msgspec.Struct, frozen=True):
    """The provider counted."""

    usage: Usage


class Done(msgspec.Struct, frozen=True):
    """The final record is committed. Terminal."""

    trace_id: str
    finish_reason: str
    usage: Usage | None
    first_token_ms: int | None
    total_ms: int
    feedback_token: str = ""


class Failed(msgspec.Struct, frozen=True):
    """The answer ended in an error. Terminal."""

    trace_id: str
    error: str
    code: str
    retryable: bool
    status: int = 502
    retry_after: float | None = None


Delta = TextDelta | ReasoningDelta | ToolCallDelta | ChoiceDelta | Finished | UsageReported
Terminal = Done | Failed
Event = Started | TextDelta | ReasoningDelta | ToolCallDelta | Terminal  # what a reader of the log gets
