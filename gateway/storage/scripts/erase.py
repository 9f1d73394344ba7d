"""Transaction scripts that remove a person from the store and keep the numbers. See traces.py for what a script is.

A trace of the person stays as a row of numbers: when, how long, which model, how it ended. So do ratings, without
their words and without who gave them. Called by gateway/erasure.py, which keeps the order; the notes also by
`gateway erase`. In all of them `project` None means every project, and `options` holds the (name, value) of ratings
whose text is a declared option, and so says nothing of a person.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import msgspec

from gateway.storage.engine import Row, Script
from gateway.storage.scripts.feedback import read_value
from gateway.storage.scripts.ops import kept_numbers
from gateway.storage.scripts.traces import to_json

_IN_PROJECT = "project = COALESCE($2, project)"
_CONTENT = "request_preview = NULL, response_preview = NULL, request = NULL, response = NULL, parts = NULL"
_ERASED_TEXT = '"erased"'  # replaces a text value that is no declared option


class ErasureTarget(msgspec.Struct, frozen=True):
    """A trace that an erasure clears. `shared`: it is another user's, of a conversation that the person was in."""

    trace_id: str
    project: str
    session_id: str
    shared: bool = False


def traces_of(user_id: str, project: str | None) -> Script[list[ErasureTarget]]:
    """Return the person's traces and, as `shared`, later ones of others in the same conversations, which quote them.

    It reads every trace.
    """
    rows = yield (
        f"SELECT trace_id, project, session_id, request_time FROM traces WHERE user_id = $1 AND {_IN_PROJECT}",  # noqa: S608  a constant
        (user_id, project),
    )
    found = [ErasureTarget(row["trace_id"], row["project"], row["session_id"]) for row in rows]
    first: dict[tuple[str, str], int] = {}
    for row in rows:
        place = (row["project"], row["session_id"])
        first[place] = min(first.get(place, row["request_time"]), row["request_time"])
    for (of, session_id), time in first.items():
        others = yield (
            "SELECT trace_id FROM traces WHERE project = $1 AND session_id = $2 AND request_time >= $3"
            " AND (user_id IS NULL OR user_id <> $4)",
            (of, session_id, time, user_id),
        )
        found += [ErasureTarget(row["trace_id"], of, session_id, shared=True) for row in others]
    return found


def erase_traces(targets: Sequence[ErasureTarget], options: Collection[tuple[str, str]]) -> Script[None]:
    """Clear these traces, their spans, and their ratings of all that isn't a number."""
    for target in targets:
        # No session has the empty ID, so the turn is in no conversation any more.
        person = (
            "user_id = NULL, client_request_id = NULL, session_id = '', traceparent = NULL, tags = '{}',"
            " metadata = '{}', error_message = NULL, name = NULL, "
        )
        yield (
            f"UPDATE traces SET {'' if target.shared else person}{_CONTENT} WHERE trace_id = $1",  # noqa: S608  constants
            (target.trace_id,),
        )
        yield (
            "UPDATE spans SET message = NULL, attributes = '{}' WHERE trace_id = $1 AND otlp IS NULL",
            (target.trace_id,),
        )
        # A span that a client made is content as a whole.
        yield "DELETE FROM spans WHERE trace_id = $1 AND otlp IS NOT NULL", (target.trace_id,)
        yield "DELETE FROM trace_artifacts WHERE trace_id = $1", (target.trace_id,)
        yield "DELETE FROM dataset_records WHERE source_id = $1", (target.trace_id,)  # copies
        yield "DELETE FROM checkpoints WHERE trace_id = $1", (target.trace_id,)
        if target.shared:
            continue
        yield "DELETE FROM labels WHERE trace_id = $1", (target.trace_id,)
        rows = yield "SELECT * FROM assessments WHERE trace_id = $1", (target.trace_id,)
        for row in rows:
            yield from _erase_rating(row, row["source_id"], options)
        yield (
            "DELETE FROM sessions WHERE project = $1 AND session_id = $2"
            " AND NOT EXISTS (SELECT 1 FROM traces WHERE project = $1 AND session_id = $2)",
            (target.project, target.session_id),
        )


def ratings_by(user_id: str, project: str | None) -> Script[list[str]]:
    """Return the IDs of the ratings that the person gave, on anybody's traces. It reads every rating."""
    rows = yield (
        f"SELECT assessment_id FROM assessments WHERE source_id = $1 AND {_IN_PROJECT}",  # noqa: S608  a constant
        (user_id, project),
    )
    return [row["assessment_id"] for row in rows]


def erase_ratings(assessment_ids: Iterable[str], options: Collection[tuple[str, str]]) -> Script[None]:
    """Clear these ratings of the rater and of all that isn't a number.

    Those of one trace get one rater's name, made from the trace's ID, so that they still count as one rater's.
    """
    for assessment_id in assessment_ids:
        rows = yield "SELECT * FROM assessments WHERE assessment_id = $1", (assessment_id,)
        for row in rows:
            yield from _erase_rating(row, f"erased:{row['trace_id']}", options)


def _erase_rating(row: Row, source_id: str, options: Collection[tuple[str, str]]) -> Script[None]:
    value = read_value(row["value"])
    if isinstance(value, (list, dict)) or (isinstance(value, str) and (row["name"], value) not in options):
        text = _ERASED_TEXT
    else:
        text = row["value"]
    yield (
        "UPDATE assessments SET source_id = $2, value = $3, metadata = $4, rationale = NULL, span_id = NULL,"
        " error = NULL WHERE assessment_id = $1",
        (row["assessment_id"], source_id, text, to_json(kept_numbers(row["metadata"]))),
    )


def erase_receipts(user_id: str, project: str | None, trace_ids: Collection[str]) -> Script[None]:
    """Delete the receipts kept for retries by this person or about these traces: they hold comments."""
    rows = yield (
        # A receipt begins with {"trace_id":"tr-…", as record_feedback writes it.
        "SELECT project, source_id, key, SUBSTR(receipt, 14, 35) AS trace_id FROM idempotency"
        " WHERE project = COALESCE($1, project)",
        (project,),
    )
    for row in rows:
        if row["source_id"] == user_id or row["trace_id"] in trace_ids:
            yield (
                "DELETE FROM idempotency WHERE project = $1 AND source_id = $2 AND key = $3",
                (row["project"], row["source_id"], row["key"]),
            )


# ------------------------------------------------------------------ notes


def put_note(name: str, value: str) -> Script[None]:
    """Store a small text under a name, as a message to or from the server that owns the store."""
    yield (
        "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )


def notes(prefix: str) -> Script[dict[str, str]]:
    """Return the notes whose name begins with `prefix`, by name."""
    rows = yield "SELECT name, value FROM meta WHERE SUBSTR(name, 1, $1) = $2", (len(prefix), prefix)
    return {row["name"]: row["value"] for row in rows}


def drop_note(name: str) -> Script[None]:
    """Delete a note, if it is there."""
    yield "DELETE FROM meta WHERE name = $1", (name,)
