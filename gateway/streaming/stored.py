"""What stored traces give back: the log of an answer, and the turns of a conversation. It does no I/O.

Called by chat.py when an answer is resumed that this process no longer has, and when a session is continued.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from gateway.domain.answer import Part, answer_text, history_message, without_thoughts
from gateway.domain.events import Started
from gateway.domain.trace import Trace
from gateway.errors import InvalidValue
from gateway.streaming.ending import terminal_of
from gateway.streaming.log import EventLog


def stored_parts(trace: Trace) -> list[Part]:
    """Return a stored answer's parts, in the order they came."""
    if trace.parts is not None:
        return [(kind, value) for kind, value in msgspec.json.decode(trace.parts)]
    if trace.response is None:
        return []
    text = msgspec.json.decode(trace.response)[0].get("content")
    return [("text", text)] if text else []


def replay(trace: Trace, token: str) -> EventLog | None:
    """Return a finished answer's log, with the positions that it had; None where its content isn't stored."""
    if trace.outcome is None or trace.response is None:
        return None
    log = EventLog(Started(trace.trace_id, trace.session_id, trace.model, token))
    log.restore(stored_parts(trace))
    log.close(terminal_of(trace, token))
    return log


def turns_of(traces: Iterable[Trace], model: str) -> list[Any]:
    """Return the messages of a conversation so far, in OpenAI's form, from its traces, oldest first.

    What this model thought comes along, as its provider sent it; other models don't take that. Raises InvalidValue
    where the content isn't stored.
    """
    turns: list[Any] = []
    plain: list[Any] = []  # the same without thoughts
    for trace in traces:
        if trace.outcome is None:
            continue
        if trace.request is None or trace.response is None:
            raise InvalidValue("The earlier turns of this session are not stored.", code="content_not_stored")
        parts = stored_parts(trace)
        if not answer_text(parts):
            continue  # providers refuse two questions in a row
        asked: list[Any] = msgspec.json.decode(trace.request)
        # A turn brings those before it along; one that was asked beside another adds its question alone.
        along = list(map(without_thoughts, asked[: len(turns)])) == plain
        new = [*(asked[len(turns) :] if along else asked[-1:]), history_message(parts)]
        turns += new if trace.model == model else map(without_thoughts, new)
        plain += map(without_thoughts, new)
    return turns
