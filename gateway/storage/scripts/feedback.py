"""Transaction scripts over ratings: record, retract, read. See traces.py for what a script is.

One rater has at most one valid feedback of a name on a trace. A new one overrides it, and the old one stays as
history. A retraction ends the chain, and the next rating begins another. Scripts over other kinds of assessments
override, delete and rename in the same rows, so what a rating takes the place of is marked in two ways:

    overrides    what it names: shown to clients, and the one that its deletion restores
    replaced_by  on each other one of that rater and name, overridden by somebody else or not: none of them becomes
                 valid beside it. A rating's own ID there means that it never comes back, as it was retracted

Called by the ratings service, and by scripts over other kinds of assessments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from gateway.domain.trace import Assessment, Rating
from gateway.errors import InvalidValue, NotFound
from gateway.storage.engine import Row, Script, Statement
from gateway.storage.scripts.traces import find_trace, insert_into, numbers, strings, to_json


class FeedbackWrite(msgspec.Struct, frozen=True, kw_only=True):
    """Ratings of one rater on one trace, stored all or not at all.

    Exactly one of `trace_id` and `client_request_id` is set; `key_id` is the caller's key, or None without one.
    `source_id` None is the anonymous rater of that trace (`anonymous:<trace_id>`). Each rating becomes an assessment
    with the ID at its place in `assessment_ids`.
    """

    project: str
    trace_id: str | None
    client_request_id: str | None
    source_id: str | None
    key_id: str | None = None
    ratings: tuple[Rating, ...]
    assessment_ids: tuple[str, ...]
    idempotency_key: str | None = None
    body_hash: str = ""  # tells a replay from another request with the same key
    now: int


class FeedbackReceipt(msgspec.Struct, frozen=True):
    """The ratings that were committed. A replay by Idempotency-Key gives the first receipt, with `replayed` set."""

    trace_id: str
    assessments: tuple[Assessment, ...]
    replayed: bool = False


IDEMPOTENCY_MS = 24 * 3600 * 1000
_CHUNK = 500  # trace IDs a query

_COLUMNS = (
    "assessment_id",
    "trace_id",
    "project",
    "name",
    "source_id",
    "source_type",
    "kind",
    "rationale",
    "span_id",
    "create_time",
    "last_update_time",
    "overrides",
)
_INSERT = insert_into("assessments", (*_COLUMNS, "model", "value", "metadata", "valid", "error"))
_RECEIPT = msgspec.json.Decoder(FeedbackReceipt)

# Only a person's: a judge or a program may have the same source_id.
_PERSONS = "kind = 'feedback' AND source_type = 'HUMAN'"
_RATERS = f"trace_id = $1 AND source_id = $2 AND name = $3 AND {_PERSONS}"
_REPLACE = (
    "UPDATE assessments SET valid = 0, last_update_time = $1, replaced_by = $2"  # noqa: S608  a constant
    f" WHERE trace_id = $3 AND source_id = $4 AND name = $5 AND {_PERSONS} AND replaced_by IS NULL"
    " AND retracted IS NULL AND assessment_id <> $6 RETURNING assessment_id, create_time, overrides"
)


def anonymous(trace_id: str) -> str:
    """Return the `source_id` of the rater whom nobody named."""
    return f"anonymous:{trace_id}"


def read_value(text: str) -> Any:
    """Return the value of a stored rating from its JSON."""
    return msgspec.json.decode(text)


def record_feedback(write: FeedbackWrite) -> Script[FeedbackReceipt]:
    """Store ratings and return the receipt. A replay by Idempotency-Key stores nothing and returns the first receipt.

    The same rater, trace and name again: the new assessment overrides the valid one, which becomes invalid. Raise
    NotFound for an unknown trace, InvalidValue (`idempotency_key_reused`) for a key that came with another body.
    """
    if (first := (yield from replayed_feedback(write))) is not None:
        return first
    trace = yield from _known(write.project, write.trace_id, write.client_request_id, write.key_id, write.source_id)
    trace_id = trace["trace_id"]
    source_id = write.source_id or anonymous(trace_id)
    stored = []
    for assessment_id, rating in zip(write.assessment_ids, write.ratings, strict=True):
        overridden = yield from replace_ratings(trace_id, source_id, rating.name, assessment_id, write.now)
        stored.append(
            Assessment(
                assessment_id=assessment_id,
                trace_id=trace_id,
                project=write.project,
                name=rating.name,
                value=rating.value,
                source_id=source_id,
                rationale=rating.rationale,
                metadata=rating.metadata,
                span_id=rating.span_id,
                create_time=write.now,
                last_update_time=write.now,
                overrides=overridden,
            )
        )
        yield insert_assessment(stored[-1], trace["model"])
    receipt = FeedbackReceipt(trace_id, tuple(stored))
    if write.idempotency_key is not None:
        yield (
            "INSERT INTO idempotency (project, source_id, key, body_hash, receipt, created)"
            " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (project, source_id, key) DO UPDATE"
            " SET body_hash = excluded.body_hash, receipt = excluded.receipt, created = excluded.created",
            (*_replay(write), write.body_hash, _json(receipt), write.now),
        )
    return receipt


def replace_ratings(trace_id: str, source_id: str, name: str, by: str, now: int) -> Script[str | None]:
    """Let one rating take the place of all others of a person's of that name. Return the newest of them, if any."""
    rows = yield _REPLACE, (now, by, trace_id, source_id, name, by)
    older = {row["overrides"] for row in rows}
    last = [row for row in rows if row["assessment_id"] not in older]
    newest = max(last, key=lambda row: (row["create_time"], row["assessment_id"]), default=None)
    return None if newest is None else newest["assessment_id"]


def insert_assessment(assessment: Assessment, model: str) -> Statement:
    """Return the INSERT of one assessment. `model` is the trace's."""
    return _INSERT, (
        *[getattr(assessment, name) for name in _COLUMNS],
        model,
        _json(assessment.value),
        to_json(assessment.metadata),
        int(assessment.valid),
        assessment.error and _json(assessment.error),
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _replay(write: FeedbackWrite) -> tuple[object, ...]:
    """Return the receipt's key, made of what the caller named: a retry finds it even if a newer trace has come."""
    rater = write.source_id or anonymous(str(write.trace_id or write.client_request_id))
    return write.project, rater, write.idempotency_key


def replayed_feedback(write: FeedbackWrite) -> Script[FeedbackReceipt | None]:
    """Return what `record_feedback` would replay, or None. Raise InvalidValue as it does."""
    if write.idempotency_key is None:
        return None
    rows = yield (
        "SELECT body_hash, receipt FROM idempotency"
        " WHERE project = $1 AND source_id = $2 AND key = $3 AND created > $4",
        (*_replay(write), write.now - IDEMPOTENCY_MS),
    )
    if not rows:
        return None
    if rows[0]["body_hash"] != write.body_hash:
        raise InvalidValue(
            "This Idempotency-Key was used with another body.",
            code="idempotency_key_reused",
            details=[("Idempotency-Key", "was used with another body")],
        )
    return msgspec.structs.replace(_RECEIPT.decode(rows[0]["receipt"]), replayed=True)


def _known(
    project: str, trace_id: str | None, client_request_id: str | None, key_id: str | None, source_id: str | None
) -> Script[Row]:
    trace = yield from find_trace(project, trace_id, client_request_id, key_id, source_id)
    if trace is None:
        raise NotFound("There is no such trace.")
    return trace


def retract_feedback(
    project: str,
    trace_id: str | None,
    client_request_id: str | None,
    source_id: str | None,
    name: str,
    now: int,
    key_id: str | None = None,
) -> Script[tuple[str, int]]:
    """Invalidate this rater's whole chain of that name. Return the trace's ID and how many ratings were valid.

    `key_id` is the caller's key. Raise NotFound for an unknown trace.
    """
    trace = yield from _known(project, trace_id, client_request_id, key_id, source_id)
    found: str = trace["trace_id"]
    chain = (found, source_id or anonymous(found), name)
    rows = yield (
        f"UPDATE assessments SET valid = 0, last_update_time = $4, retracted = $4 WHERE {_RATERS} AND valid = 1"  # noqa: S608  a constant
        " RETURNING assessment_id",
        (*chain, now),
    )
    yield f"UPDATE assessments SET replaced_by = assessment_id WHERE {_RATERS}", chain  # noqa: S608  a constant
    return found, len(rows)


def feedback_of(project: str, trace_ids: Sequence[str], source_id: str | None) -> Script[dict[str, list[Assessment]]]:
    """Return this rater's valid feedback by trace, oldest first. `source_id` None: each trace's anonymous rater."""
    found: dict[str, list[Assessment]] = {}
    for at in range(0, len(trace_ids), _CHUNK):
        chunk = trace_ids[at : at + _CHUNK]
        rows = yield (
            "SELECT * FROM assessments WHERE project = $1 AND source_id = COALESCE($2, 'anonymous:' || trace_id)"  # noqa: S608  numbers only
            f" AND {_PERSONS} AND valid = 1 AND trace_id IN ({numbers(3, len(chunk))})"
            " ORDER BY create_time, assessment_id",
            (project, source_id, *chunk),
        )
        for row in rows:
            found.setdefault(row["trace_id"], []).append(to_assessment(row))
    return found


def to_assessment(row: Row) -> Assessment:
    """Return the assessment that a row of `assessments` holds."""
    return Assessment(
        **{name: row[name] for name in _COLUMNS},
        value=read_value(row["value"]),
        metadata=strings(row["metadata"]),
        valid=bool(row["valid"]),
        error=row["error"] and msgspec.json.decode(row["error"]),
    )
