"""Transaction scripts that delete traces and keep the numbers of ratings, without their words. See traces.py for what a
script is.

Called by erase.py for a person, by ops.py for what retention deletes, and where a client deletes traces. `declared` is
what the configuration says of ratings, and so tells nothing of a person: (name, option), and (name, None) for one whose
values are numbers.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TypeAlias

from gateway.storage.engine import Row, Script
from gateway.storage.scripts.attachments import drop_attachments
from gateway.storage.scripts.feedback import anonymous, read_value
from gateway.storage.scripts.traces import assignments, strings, to_json

Declared: TypeAlias = Collection[tuple[str, str | None]]
ERASED = "erased"  # stands for a name, a text and a rater
_ERASED_TEXT = '"erased"'
_ERASED_NAME = re.compile(rf"{ERASED}(-\d+)?")
_THUMB = "user_feedback"
# So many other raters of the project make a name a name: what one person wrote as one is that person's words.
_RATERS = 3
_VERDICTS = ("yes", "no")  # what judges say where others have true and false
_NUMBERS = {"score": re.compile(r"-?\d{1,20}"), "scale": re.compile(r"-?\d{1,20}--?\d{1,20}")}


def clear_ratings(
    trace_id: str, declared: Declared, source_id: str | None = None, alias: str | None = None
) -> Script[None]:
    """Clear the ratings of a trace of all that isn't a number: those of one rater, or of all.

    With `alias` the rater gets this name. Names stay where they are declared, were not given by a person, or were given
    by many. The others become `erased`, `erased-2` and so on, so that ratings by one rater stay apart by their names.
    """
    rows = yield (
        "SELECT * FROM assessments WHERE trace_id = $1 AND source_id = COALESCE($2, source_id)"
        " ORDER BY create_time, assessment_id",
        (trace_id, source_id),
    )
    names: dict[str, dict[str, str]] = {}  # of each rater: the old name → the new one
    for row in rows:
        renamed = names.setdefault(row["source_id"], {})
        if row["name"] not in renamed:
            stays = _ERASED_NAME.fullmatch(row["name"]) or (yield from _says_nothing(row, declared))
            renamed[row["name"]] = row["name"] if stays else _next(renamed.values())
        kept = {
            "source_id": alias or row["source_id"],
            "name": renamed[row["name"]],
            "value": _value(row, declared),
            "metadata": to_json(kept_numbers(row["metadata"])),
            "rationale": None,
            "span_id": None,
            "error": None,
        }
        if any(row[column] != value for column, value in kept.items()):
            yield (
                f"UPDATE assessments SET {assignments(kept, 2)} WHERE assessment_id = $1",  # noqa: S608  our own names
                (row["assessment_id"], *kept.values()),
            )


def _says_nothing(row: Row, declared: Declared) -> Script[bool]:
    """Return whether a rating's name is nobody's words."""
    name = row["name"]
    if row["source_type"] != "HUMAN" or name == _THUMB or any(name == known for known, _ in declared):
        return True
    # Long values aren't in the index; they are no reason to read all ratings.
    others = yield (
        "SELECT DISTINCT source_id FROM assessments WHERE project = $1 AND name = $2 AND LENGTH(value) <= 250"
        " AND source_id <> $3 LIMIT $4",
        (row["project"], name, row["source_id"], _RATERS),
    )
    return len(others) >= _RATERS


def _next(taken: Collection[str]) -> str:
    """Return the first name of an erased name that is free."""
    names = (ERASED if number == 1 else f"{ERASED}-{number}" for number in range(1, len(taken) + 2))
    return next(name for name in names if name not in taken)


def _value(row: Row, declared: Declared) -> str:
    """Return the stored value as it is kept: JSON."""
    value, text = read_value(row["value"]), str(row["value"])
    if isinstance(value, str):
        is_verdict = row["source_type"] != "HUMAN" and value in _VERDICTS
        return text if is_verdict or (row["name"], value) in declared else _ERASED_TEXT
    return _ERASED_TEXT if isinstance(value, (list, dict)) else text


def kept_numbers(metadata: str) -> dict[str, str]:
    """Return what is a number in a rating's metadata, which is JSON: the score as given, and its scale."""
    return {
        name: value for name, value in strings(metadata).items() if name in _NUMBERS and _NUMBERS[name].fullmatch(value)
    }


DELETED = "trace_id, project, session_id, user_id, client_request_id"  # the columns that `delete_trace` needs
_TABLES = ("spans", "checkpoints", "labels", "run_traces", "trace_artifacts", "traces")


def delete_trace(trace: Row) -> Script[None]:
    """Delete a trace with all that belongs to it but its ratings. Its row has the columns of DELETED."""
    yield from _remember_sources(trace)
    yield from _drop_receipts(trace)
    yield from drop_attachments(trace["trace_id"])
    for table in _TABLES:
        yield f"DELETE FROM {table} WHERE trace_id = $1", (trace["trace_id"],)  # noqa: S608  our own names
    yield from drop_empty_session(trace["project"], trace["session_id"])


def _remember_sources(trace: Row) -> Script[None]:
    """Note whose trace it is with the records that were taken from it: these stay, and can still be erased."""
    taken = yield "SELECT 1 FROM dataset_sources WHERE trace_id = $1 LIMIT 1", (trace["trace_id"],)
    if not taken:
        return
    user_id = trace["user_id"]
    if user_id is None:
        owners = yield (
            "SELECT user_id FROM sessions WHERE project = $1 AND session_id = $2",
            (trace["project"], trace["session_id"]),
        )
        user_id = owners[0]["user_id"] if owners else None
    if user_id is not None:
        yield "UPDATE dataset_sources SET user_id = $2 WHERE trace_id = $1", (trace["trace_id"], user_id)


def _drop_receipts(trace: Row) -> Script[None]:
    """Delete the receipts kept for retries of ratings of this trace: they hold comments."""
    trace_id, project = trace["trace_id"], trace["project"]
    rows = yield "SELECT DISTINCT source_id FROM assessments WHERE trace_id = $1", (trace_id,)
    raters = {row["source_id"] for row in rows}
    if anonymous(trace_id) in raters:  # whom a receipt may name by what the trace was asked with
        raters.add(anonymous(trace["client_request_id"] or ""))
    for rater in raters:
        yield (
            # A receipt begins with {"trace_id":"tr-…", as record_feedback writes it.
            "DELETE FROM idempotency WHERE project = $1 AND source_id = $2 AND SUBSTR(receipt, 14, 35) = $3",
            (project, rater, trace_id),
        )


def drop_empty_session(project: str, session_id: str) -> Script[None]:
    """Delete a conversation that no trace is left of."""
    yield (
        "DELETE FROM sessions WHERE project = $1 AND session_id = $2"
        " AND NOT EXISTS (SELECT 1 FROM traces WHERE project = $1 AND session_id = $2)",
        (project, session_id),
    )
