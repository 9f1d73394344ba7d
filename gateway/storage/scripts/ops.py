"""Transaction scripts for running the gateway: recovery, retention, the log, API keys, the health check.

See sql.py for what a script is.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from gateway.domain.activity import Activity, ChatActivity, RatingActivity, score_of
from gateway.domain.answer import Part, answer_text, assistant_messages
from gateway.domain.trace import Outcome, Span, TraceEnd, preview
from gateway.errors import Conflict, NotFound
from gateway.storage.engine import KeyRecord
from gateway.storage.scripts.feedback import read_value
from gateway.storage.scripts.traces import Row, Rows, Script, finish_trace, insert_into, strings, to_json

_STOPPED = "The server stopped while answering."
_PARTS = msgspec.json.Decoder(list[Part])
_KEPT_METADATA = {"score": re.compile(r"-?\d{1,20}"), "scale": re.compile(r"-?\d{1,20}--?\d{1,20}")}


# ------------------------------------------------------------------ recovery


def recover(now: int, limit: int) -> Script[int]:
    """Close up to `limit` traces that a crash left open, with the text of their checkpoints. Returns how many."""
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
    full, previewed = bool(row["full_text"]), row["request_preview"] is not None  # what of the content is stored at all
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
        end_time=now,  # when it became terminal, so that a log that is being followed shows it
        duration_ms=duration,
        error_code="server_shutdown",
        error_message=_STOPPED,
        response_preview=preview(answer_text(parts)) if previewed or full else None,
        response=_json(assistant_messages(parts, {})) if full else None,
        parts=_json(parts) if full else None,
        spans=(root,),
    )


def _joined(pieces: Rows) -> list[Part]:
    """The checkpoints' parts as one list; where a checkpoint cut a text, it is whole again."""
    parts: list[tuple[Any, list[Any]]] = []
    for piece in pieces:
        for kind, value in _PARTS.decode(piece["parts"]):
            if parts and parts[-1][0] == kind != "tool_call":
                parts[-1][1].append(value)
            else:
                parts.append((kind, [value]))
    return [(kind, values[0] if kind == "tool_call" else "".join(values)) for kind, values in parts]


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


# ------------------------------------------------------------------ retention


def expire(before: int | None, limit: int) -> Script[int]:
    """Delete up to `limit` traces that ended before that time (None: the oldest). Their ratings keep the numbers."""
    if before is None:
        traces = yield (
            "SELECT trace_id, project, session_id FROM traces WHERE end_time IS NOT NULL ORDER BY end_time LIMIT $1",
            (limit,),
        )
    else:
        traces = yield (
            "SELECT trace_id, project, session_id FROM traces WHERE end_time < $1 ORDER BY end_time LIMIT $2",
            (before, limit),
        )
    for row in traces:
        trace_id = row["trace_id"]
        yield "DELETE FROM spans WHERE trace_id = $1", (trace_id,)
        yield "DELETE FROM checkpoints WHERE trace_id = $1", (trace_id,)
        for table in ("labels", "run_traces", "trace_artifacts"):
            yield f"DELETE FROM {table} WHERE trace_id = $1", (trace_id,)  # noqa: S608  our own names
        yield "DELETE FROM traces WHERE trace_id = $1", (trace_id,)
        yield from _keep_numbers(trace_id)
        yield (
            "DELETE FROM sessions WHERE project = $1 AND session_id = $2"
            " AND NOT EXISTS (SELECT 1 FROM traces WHERE project = $1 AND session_id = $2)",
            (row["project"], row["session_id"]),
        )
    return len(traces)


def _keep_numbers(trace_id: str) -> Script[None]:
    rows = yield (
        "SELECT assessment_id, metadata FROM assessments"
        " WHERE trace_id = $1 AND (rationale IS NOT NULL OR metadata <> '{}')",
        (trace_id,),
    )
    for row in rows:
        yield (
            "UPDATE assessments SET rationale = NULL, metadata = $2 WHERE assessment_id = $1",
            (row["assessment_id"], to_json(kept_numbers(row["metadata"]))),
        )


def kept_numbers(metadata: str) -> dict[str, str]:
    """Of a rating's metadata, JSON, what is a number: the score as given, and its scale."""
    return {
        name: value
        for name, value in strings(metadata).items()
        if name in _KEPT_METADATA and _KEPT_METADATA[name].fullmatch(value)
    }


def expire_idempotency(before: int) -> Script[None]:
    yield "DELETE FROM idempotency WHERE created < $1", (before,)


# ------------------------------------------------------------------ the log


def recent(since: int, limit: int, errors: bool) -> Script[list[Activity]]:
    """The newest `limit` chats and ratings, oldest first; with `errors`, chats that failed and nothing else."""
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


# ------------------------------------------------------------------ keys and health

_KEY_COLUMNS = KeyRecord.__struct_fields__
_ADD_KEY = insert_into("keys", _KEY_COLUMNS)


def list_keys() -> Script[list[KeyRecord]]:
    rows = yield "SELECT * FROM keys ORDER BY created, key_id", ()
    return [_key(row) for row in rows]


def _key(row: Row) -> KeyRecord:
    fields = {name: row[name] for name in _KEY_COLUMNS}
    origins = tuple(msgspec.json.decode(row["origins"]))
    return KeyRecord(**fields | {"publishable": bool(row["publishable"]), "origins": origins})


def add_key(key: KeyRecord) -> Script[None]:
    taken = yield "SELECT key_id FROM keys WHERE name = $1 AND revoked IS NULL", (key.name,)
    if taken:
        raise Conflict("A key has this name: revoke it first, or choose another name.")
    fields = {name: getattr(key, name) for name in _KEY_COLUMNS}
    yield _ADD_KEY, list((fields | {"publishable": int(key.publishable), "origins": _json(key.origins)}).values())


def revoke_key(name: str, now: int) -> Script[KeyRecord]:
    """By name; by ID where no active key has that name."""
    found = yield (
        "SELECT key_id FROM keys WHERE revoked IS NULL AND (name = $1 OR key_id = $1)"
        " ORDER BY CASE WHEN name = $1 THEN 0 ELSE 1 END LIMIT 1",
        (name,),
    )
    if not found:
        raise NotFound("No active key has this name.")
    rows = yield "UPDATE keys SET revoked = $2 WHERE key_id = $1 RETURNING *", (found[0]["key_id"], now)
    return _key(rows[0])


def touch_keys(used: dict[str, int]) -> Script[None]:
    for key_id, time in used.items():
        yield "UPDATE keys SET last_used = $2 WHERE key_id = $1 AND COALESCE(last_used, 0) < $2", (key_id, time)


def signing_key(fresh: str) -> Script[str]:
    yield "INSERT INTO meta (name, value) VALUES ('signing_key', $1) ON CONFLICT (name) DO NOTHING", (fresh,)
    rows = yield "SELECT value FROM meta WHERE name = 'signing_key'", ()
    return str(rows[0]["value"])


def ping(now: int) -> Script[None]:
    yield (
        "INSERT INTO meta (name, value) VALUES ('ping', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (str(now),),
    )
