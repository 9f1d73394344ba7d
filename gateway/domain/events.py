"""The events of one answer, in their order: Started, deltas, then exactly one of Done and Failed.

Text stays JSON-escaped (UTF-8 bytes, without the quotes), as the provider sent it, because the hot path only wraps it
again. Events have a position in the answer, which streaming/log.py defines. Bytes for clients are made in gateway/wire.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.domain.messages import Usage


class Started(msgspec.Struct, frozen=True):
    """The trace exists in the store, so that it can be rated."""

    trace_id: str
    session_id: str
    model: str  # the requested one
    feedback_token: str = ""  # allows its holder to rate this answer


class TextDelta(msgspec.Struct, frozen=True):
    """Text of choice 0. `count` is the number of the provider's frames that it came in."""

    text: bytes
    chars: int
    count: int = 1


class ReasoningDelta(msgspec.Struct, frozen=True):
    """Reasoning text of choice 0, which providers send beside the answer. `kind` is that of its domain.answer.Part."""

    text: bytes
    chars: int
    count: int = 1
    kind: str = "reasoning"


class ToolCallDelta(msgspec.Struct, frozen=True):
    """One element of `delta.tool_calls` of choice 0, as raw JSON, made right by wire/tool_calls.py."""

    call: msgspec.Raw


class OtherDelta(msgspec.Struct, frozen=True):
    """What else a delta of choice 0 says, as raw JSON: an object with the provider's fields, such as `audio`."""

    fields: msgspec.Raw


class ChoiceDelta(msgspec.Struct, frozen=True):
    """A domain.answer.Part of a choice other than 0. Only the trace and the raw wire have it."""

    index: int
    kind: str
    value: Any


class Finished(msgspec.Struct, frozen=True):
    """The end of a choice, with the provider's finish reason."""

    index: int
    reason: str


class UsageReported(msgspec.Struct, frozen=True):
    """The provider's token counts."""

    usage: Usage


class Done(msgspec.Struct, frozen=True):
    """The answer is complete, and its trace is committed. Terminal."""

    trace_id: str
    finish_reason: str
    usage: Usage | None
    first_token_ms: int | None
    total_ms: int
    feedback_token: str = ""


class Failed(msgspec.Struct, frozen=True):
    """The answer ended with an error. Terminal."""

    trace_id: str
    error: str
    code: str
    retryable: bool
    status: int = 502
    retry_after: float | None = None
    said: tuple[str | None, str | None, str | None] | None = None  # the provider's own code, type and param


Delta = TextDelta | ReasoningDelta | ToolCallDelta | OtherDelta | ChoiceDelta | Finished | UsageReported
Terminal = Done | Failed
Event = Started | TextDelta | ReasoningDelta | ToolCallDelta | OtherDelta | Terminal  # what a reader of the log gets
