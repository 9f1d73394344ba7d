"""How an answer ends: the outcome of the provider call, and the terminal event that a client sees.

A live answer and a stored one end with the same event, so both are made here. It does no I/O. Called by run.py when
the provider call is over, and by chat.py when a stored answer is replayed.
"""

from __future__ import annotations

import msgspec

from gateway.domain.events import Done, Failed, Terminal
from gateway.domain.trace import Outcome, State, Trace, TraceEnd
from gateway.errors import AnswerTooLong, GatewayError, ProviderQuota, ProviderRefused

# Errors that trying again doesn't repair.
_FINAL = {ProviderRefused.code, ProviderQuota.code, AnswerTooLong.code, GatewayError.code}


class Ending(msgspec.Struct, frozen=True):
    """How the provider call came out."""

    outcome: Outcome
    error: GatewayError | None = None


def terminal_of(end: TraceEnd | Trace, token: str = "", error: GatewayError | None = None) -> Terminal:
    """Return the terminal event of a final record. `token` is a feedback token for `done`.

    `error` is the one that the provider call raised; a stored record has only its code, and its message as it is kept.
    """
    if end.outcome is not None and end.outcome.state is not State.ERROR:
        reason = end.finish_reason or "stop"
        return Done(end.trace_id, reason, end.usage, end.first_token_ms, end.duration_ms or 0, token)
    if error is not None and end.error_code == error.code:
        return failed(end.trace_id, error)
    message, code = end.error_message or "The answer failed.", end.error_code or "upstream_error"
    return Failed(end.trace_id, message, code, code not in _FINAL, 503)


def failed(trace_id: str, error: GatewayError) -> Failed:
    """Return an error as the terminal event of an answer that has no final record yet."""
    return Failed(trace_id, error.message, error.code, error.retryable, error.status, error.retry_after, error.said)
