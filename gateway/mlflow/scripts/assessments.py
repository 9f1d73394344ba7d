"""Transaction scripts over single assessments. The rows are those of /feedback.

Unlike there, a new assessment overrides only what it names, and the deletion of an override restores what it
overrode. Whatever comes in which order, a person has one valid feedback of a name on a trace, but for those that were
logged beside each other here; storage/scripts/feedback.py says how that is marked. See gateway/storage/engine.py for
what a script is. Run by handlers/assessments.py, and by scripts/traces.py for what comes with a trace.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from gateway.domain.trace import Assessment
from gateway.errors import InvalidValue, NotFound
from gateway.mlflow.values import AssessmentChange
from gateway.storage.engine import Row, Script
from gateway.storage.scripts.feedback import insert_assessment, replace_ratings, to_assessment
from gateway.storage.scripts.traces import assignments, find_trace, to_json

MAX_PER_TRACE = 10_000
_OF_TRACE = "trace_id = $1 AND assessment_id = $2 AND project = $3"
_OF_RATER = "trace_id = $1 AND source_id = $2 AND name = $3 AND kind = 'feedback' AND source_type = 'HUMAN'"
_SAME = ("kind", "source_type", "source_id", "name")  # what the feedback of one rater and name has in common
_LINKS = ("assessment_id", "overrides", "replaced_by", "valid", *_SAME)
_NEWEST_FIRST = "ORDER BY create_time DESC, assessment_id DESC"
_OVERRIDDEN = (
    "SELECT 1 FROM assessments later WHERE later.trace_id = $1 AND later.overrides = assessments.assessment_id"
)


def create_assessment(new: Assessment) -> Script[Assessment]:
    """Insert an assessment; the one it overrides becomes invalid. Raise NotFound for it or the trace."""
    trace = yield from find_trace(new.project, new.trace_id, None)
    if trace is None:
        raise NotFound(f"Trace with ID '{new.trace_id}' not found.")
    rows = yield "SELECT COUNT(*) AS n FROM assessments WHERE trace_id = $1", (new.trace_id,)
    if rows[0]["n"] >= MAX_PER_TRACE:
        raise InvalidValue(f"A trace has at most {MAX_PER_TRACE} assessments.")
    if new.overrides is not None:
        yield from get_assessment(new.project, new.trace_id, new.overrides)
    yield from insert_overriding(new, trace["model"])
    return new


def insert_overriding(new: Assessment, model: str) -> Script[None]:
    """Insert an assessment of a trace's `model`, and let what it overrides become invalid, where that is there.

    Where a person overrides what they have overridden before, the one of before becomes invalid, too; where they
    override what was retracted, all others of theirs do.
    """
    if new.overrides is not None:
        rows = yield (
            f"UPDATE assessments SET valid = 0 WHERE {_OF_TRACE} RETURNING assessment_id, replaced_by",  # noqa: S608
            (new.trace_id, new.overrides, new.project),
        )
        if rows and _is_persons(new):
            if rows[0]["replaced_by"] == new.overrides:
                yield from replace_ratings(
                    new.trace_id, new.source_id, new.name, new.assessment_id, new.last_update_time
                )
            for row in (yield from _later(new.trace_id, new.overrides)):
                if row["valid"] and all(row[name] == getattr(new, name) for name in _SAME):
                    yield (
                        "UPDATE assessments SET valid = 0, replaced_by = $2 WHERE assessment_id = $1",
                        (row["assessment_id"], new.assessment_id),
                    )
    yield insert_assessment(new, model)


def _later(trace_id: str, assessment_id: str) -> Script[list[Row]]:
    """Return all that took an assessment's place, one after the other."""
    rows = yield f"SELECT {', '.join(_LINKS)} FROM assessments WHERE trace_id = $1", (trace_id,)  # noqa: S608
    by_id = {row["assessment_id"]: row for row in rows}
    after: dict[str, list[str]] = {}
    for row in rows:
        after.setdefault(row["overrides"], []).append(row["assessment_id"])
        after.setdefault(row["assessment_id"], []).append(row["replaced_by"])
    found: dict[str, Row] = {}
    queue = [assessment_id]
    while queue:
        for each in after.get(queue.pop(), ()):
            if each in by_id and each not in found:
                found[each] = by_id[each]
                queue.append(each)
    return list(found.values())


def get_assessment(project: str, trace_id: str, assessment_id: str) -> Script[Assessment]:
    """Return an assessment. Raise NotFound for the trace or the assessment."""
    return to_assessment((yield from _row(project, trace_id, assessment_id)))


def _row(project: str, trace_id: str, assessment_id: str) -> Script[Row]:
    rows = yield f"SELECT * FROM assessments WHERE {_OF_TRACE}", (trace_id, assessment_id, project)  # noqa: S608
    if rows:
        return rows[0]
    if (yield from find_trace(project, trace_id, None)) is None:
        raise NotFound(f"Trace with ID '{trace_id}' not found.")
    raise NotFound(f"Assessment with ID '{assessment_id}' not found for trace '{trace_id}'")


def update_assessment(
    project: str, trace_id: str, assessment_id: str, change: AssessmentChange, now: int
) -> Script[Assessment]:
    """Return the assessment as changed. Metadata are added to those there; source and span stay.

    A person's feedback that gets the name of another one of theirs takes its place.
    """
    row = yield from _row(project, trace_id, assessment_id)
    old = to_assessment(row)
    if change.kind is not None and change.kind != old.kind:
        raise InvalidValue(f"Cannot update {change.kind} value on {'an' if old.kind[0] == 'e' else 'a'} {old.kind}.")
    fields: dict[str, Any] = {
        name: value
        for name, value in ((name, getattr(change, name)) for name in ("name", "value", "error", "rationale"))
        if value is not msgspec.UNSET
    }
    if change.metadata is not msgspec.UNSET:
        fields["metadata"] = old.metadata | change.metadata
    new = msgspec.structs.replace(old, **fields, last_update_time=now)
    columns = {
        "name": new.name,
        "value": msgspec.json.encode(new.value).decode(),
        "error": new.error and msgspec.json.encode(new.error).decode(),
        "rationale": new.rationale,
        "metadata": to_json(new.metadata),
        "last_update_time": now,
    }
    if new.name != old.name and _is_persons(old):
        columns["replaced_by"] = yield from _move(old, row["replaced_by"], new)
    yield (
        f"UPDATE assessments SET {assignments(columns, 4)} WHERE {_OF_TRACE}",  # noqa: S608  our own names
        (trace_id, assessment_id, project, *columns.values()),
    )
    return new


def _move(old: Assessment, replaced_by: str | None, new: Assessment) -> Script[str | None]:
    """Let a person's feedback leave its old name for a new one, and take the place of those there; return its own
    `replaced_by`.

    One that is invalid takes nobody's place: it stays behind the one that is valid there, or for good.
    """
    if replaced_by == old.assessment_id:
        return replaced_by
    overriding = yield (
        "SELECT * FROM assessments WHERE trace_id = $1 AND overrides = $2",
        (old.trace_id, old.assessment_id),
    )
    yield from _release(old, replaced_by or _of_same_rater(overriding, old), keep=old.overrides)
    if old.valid:
        yield from replace_ratings(new.trace_id, new.source_id, new.name, new.assessment_id, new.last_update_time)
        return None
    rows = yield (
        f"SELECT assessment_id FROM assessments WHERE {_OF_RATER} AND valid = 1 {_NEWEST_FIRST} LIMIT 1",  # noqa: S608
        (new.trace_id, new.source_id, new.name),
    )
    if rows:
        return str(rows[0]["assessment_id"])
    return None if overriding else old.assessment_id


def delete_assessment(project: str, trace_id: str, assessment_id: str) -> Script[None]:
    """Delete an assessment if it is there. Raise NotFound for the trace.

    What it overrode becomes valid again, unless a later one overrides that: the later one overrides from then on what
    the deleted one overrode.
    """
    if (yield from find_trace(project, trace_id, None)) is None:
        raise NotFound(f"Trace with ID '{trace_id}' not found.")
    rows = yield f"SELECT * FROM assessments WHERE {_OF_TRACE}", (trace_id, assessment_id, project)  # noqa: S608
    if not rows:
        return
    gone = to_assessment(rows[0])
    yield f"DELETE FROM assessments WHERE {_OF_TRACE}", (trace_id, assessment_id, project)  # noqa: S608
    overriding = yield (
        "UPDATE assessments SET overrides = $3 WHERE trace_id = $1 AND overrides = $2 RETURNING *",
        (trace_id, assessment_id, gone.overrides),
    )
    yield from _release(gone, rows[0]["replaced_by"] or _of_same_rater(overriding, gone))
    if gone.overrides is not None:
        yield (
            f"UPDATE assessments SET valid = 1 WHERE {_OF_TRACE} AND replaced_by IS NULL AND retracted IS NULL"  # noqa: S608
            f" AND NOT EXISTS ({_OVERRIDDEN})",
            (trace_id, gone.overrides, project),
        )


def _release(gone: Assessment, after: str | None, keep: str | None = None) -> Script[None]:
    """Let others take the place that one had among its rater's as it leaves, where it had replaced any.

    That is `after`, which took its own place; else the one to `keep` out of them, which it goes on overriding; else the
    newest that nobody overrides, which becomes valid where the one that leaves was.
    """
    replaced = yield (
        f"SELECT * FROM assessments WHERE trace_id = $1 AND replaced_by = $2 {_NEWEST_FIRST}",  # noqa: S608  a constant
        (gone.trace_id, gone.assessment_id),
    )
    if not replaced:
        return
    if after is None:
        overridden = yield "SELECT overrides FROM assessments WHERE trace_id = $1", (gone.trace_id,)
        taken = {row["overrides"] for row in overridden}
        ids = [row["assessment_id"] for row in replaced]
        free = [one for one in ids if one not in taken]
        after = keep if keep in ids else (free or ids)[0]
        back = gone.valid or after in taken
        yield (
            "UPDATE assessments SET replaced_by = $2, valid = $3 WHERE assessment_id = $1",
            (after, None if back else after, int(back and after in free)),
        )
    yield (
        "UPDATE assessments SET replaced_by = $3 WHERE trace_id = $1 AND replaced_by = $2",
        (gone.trace_id, gone.assessment_id, after),
    )


def _of_same_rater(rows: Sequence[Row], one: Assessment) -> str | None:
    """Return the newest out of the rows that is of the same rater and name."""
    found = [row for row in rows if all(row[name] == getattr(one, name) for name in _SAME)]
    newest = max(found, key=lambda row: (row["create_time"], row["assessment_id"]), default=None)
    return None if newest is None else newest["assessment_id"]


def _is_persons(one: Assessment) -> bool:
    return one.kind == "feedback" and one.source_type == "HUMAN"
