"""Transaction scripts for running the gateway: recovery, retention, the log of activity, the health check.

See traces.py for what a script is. Called by recovery.py and retention.py, by `gateway tail`, by erasure and by
`/readyz`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.domain.activity import Activity, ChatActivity, RatingActivity, score_of
from gateway.domain.answer import Part, answer_text, assistant_messages
from gateway.domain.trace import Outcome, Span, TraceEnd, preview
from gateway.storage.engine import Row, Rows, Script
from gateway.storage.scripts.feedback import read_value
from gateway.storage.scripts.kept import DELETED, Declared, clear_ratings, delete_trace
from gateway.storage.scripts.traces import finish_trace, strings

_STOPPED = "The server stopped while answering."
_PARTS = msgspec.json.Decoder(list[Part])


# ------------------------------------------------------------------ recovery


def recover(now: int, limit: int) -> Script[int]:
    """Close up to `limit` traces that a crash left open, with the text of their checkpoints. Return how many.

    It takes every open trace for one of a dead server, so only the store's one owner may run it, and before any chat.
    """
    running = yield (
        "SELECT trace_id, root_span_id, project, request_time, model, request_preview, request IS NOT NULL AS full_text"
        " FROM traces WHERE end_time IS NULL ORDER BY request_time LIMIT $1",
        (limit,),
    )
    for row in running:
        pieces = yield "SELECT time, parts FROM checkpoints WHERE trace_id = $1 ORDER BY seq", (row["trace_id"],)
        yield from finish_trace(_interrupted(row, pieces, now))
    if not running:
        yield "DELETE FROM checkpoints", ()  # of traces that are gone
    return len(running)


def _interrupted(row: Row, pieces: Rows, now: int) -> TraceEnd:
    last = pieces[-1]["time"] if pieces else row["request_time"]
    duration = max(0, last - row["request_time"])
    parts = _joined(pieces)
    full, previewed = bool(row["full_text"]), row["request_preview"] is not None  # how much content is captured
    root = Span(
        span_id=row["root_span_id"],
        parent_id=None,
        name=f"chat {row['model']}",
        kind="SERVER",
        start_ms=row["request_time"],
        end_ms=row["request_time"] + duration,
        status="ERROR",
        message=_STOPPED,
    )
    return TraceEnd(
        trace_id=row["trace_id"],
        project=row["project"],
        outcome=Outcome.INTERRUPTED,
        end_time=now,  # the time of recovery, so that a log that is being followed shows it
        duration_ms=duration,
        error_code="server_shutdown",
        error_message=_STOPPED,
        response_preview=preview(answer_text(parts)) if previewed or full else None,
        response=_json(assistant_messages(parts, {})) if full else None,
        parts=_json(parts) if full else None,
        spans=(root,),
    )


def _joined(pieces: Rows) -> list[Part]:
    """Return the checkpoints' parts as one list. A text that was cut by a checkpoint is joined again."""
    parts: list[tuple[Any, list[Any]]] = []
    for piece in pieces:
        for kind, value in _PARTS.decode(piece["parts"]):
            if parts and parts[-1][0] == kind and isinstance(value, str):
                parts[-1][1].append(value)
            else:
                parts.append((kind, [value]))
    return [(kind, "".join(values) if isinstance(values[0], str) else values[0]) for kind, values in parts]


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


# ------------------------------------------------------------------ retention


def expire(before: int, receipts_before: int, limit: int, declared: Declared = ()) -> Script[int]:
    """Delete up to `limit` traces that ended before `before`, and all receipts for retries before `receipts_before`.

    Ratings stay, with their numbers and what is `declared`, and without their words; see kept.py. Both times are in
    milliseconds. Return how many traces were deleted.
    """
    yield "DELETE FROM idempotency WHERE created < $1", (receipts_before,)
    traces = yield (
        f"SELECT {DELETED} FROM traces WHERE end_time < $1 ORDER BY end_time LIMIT $2",  # noqa: S608  a constant
        (before, limit),
    )
    return (yield from _delete(traces, declared))


def expire_oldest(limit: int, declared: Declared = ()) -> Script[int]:
    """Delete the oldest `limit` finished traces, as `expire` does. Return how many were deleted."""
    traces = yield (
        f"SELECT {DELETED} FROM traces WHERE end_time IS NOT NULL ORDER BY end_time LIMIT $1",  # noqa: S608  a constant
        (limit,),
    )
    return (yield from _delete(traces, declared))


def _delete(traces: Rows, declared: Declared) -> Script[int]:
    for row in traces:
        yield from delete_trace(row)
        yield from clear_ratings(row["trace_id"], declared)
    return len(traces)


# ------------------------------------------------------------------ the log


def recent(since: int, limit: int = 1000, *, errors: bool = False) -> Script[list[Activity]]:
    """Return the newest `limit` chats and ratings that ended or came at or after `since`, oldest first.

    `errors`: only chats that failed. A retraction counts as a rating without a value.
    """
    records: list[Activity] = []
    chats = yield (
        "SELECT *, (SELECT COUNT(*) FROM spans WHERE spans.trace_id = traces.trace_id AND kind = 'CLIENT') AS attempts"  # noqa: S608  a constant
        f" FROM traces WHERE end_time >= $1 AND outcome IS NOT NULL{_FAILED if errors else ''}"
        " ORDER BY end_time DESC LIMIT $2",
        (since, limit),
    )
    records.extend(_chat(row) for row in chats)
    if not errors:
        newest = "ORDER BY create_time DESC, assessment_id DESC LIMIT $2"
        rated = yield f"{_RATED} create_time >= $1 {newest}", (since, limit)
        records.extend(_rating(row) for row in reversed(rated))
        retracted = yield f"{_RATED} retracted >= $1 ORDER BY retracted DESC LIMIT $2", (since, limit)
        records.extend(_rating(row, retracted=True) for row in retracted)
    records.sort(key=lambda record: record.time)
    return records[-limit:]


_FAILED = " AND state = 'ERROR'"
_RATED = (
    "SELECT trace_id, project, name, value, source_id, rationale, metadata, create_time, retracted"
    " FROM assessments WHERE kind = 'feedback' AND"
)


def _chat(row: Row) -> ChatActivity:
    return ChatActivity(
        time=row["end_time"],
        trace_id=row["trace_id"],
        route=row["route"],
        model=row["model"],
        provider=row["provider"],
        attempts=row["attempts"],
        outcome=row["outcome"],
        first_token_ms=row["first_token_ms"],
        duration_ms=row["duration_ms"],
        tokens=row["total_tokens"],
        error=row["error_message"],
        project=row["project"],
        session_id=row["session_id"],
        user_id=row["user_id"],
        preview=row["request_preview"],
    )


def _rating(row: Row, *, retracted: bool = False) -> RatingActivity:
    return RatingActivity(
        time=row["retracted"] if retracted else row["create_time"],
        trace_id=row["trace_id"],
        name=row["name"],
        value=None if retracted else read_value(row["value"]),
        source_id=row["source_id"],
        project=row["project"],
        score=None if retracted else score_of(strings(row["metadata"])),
        comment=None if retracted else row["rationale"],
    )


# ------------------------------------------------------------------ health


def ping(now: int) -> Script[None]:
    """Write one row, which proves that a write commits and that everything submitted before it is committed."""
    yield (
        "INSERT INTO meta (name, value) VALUES ('ping', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (str(now),),
    )
