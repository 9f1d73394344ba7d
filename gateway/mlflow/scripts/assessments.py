"""Transaction scripts over single assessments. The rows are those of /feedback.

Unlike there, a new assessment overrides only what it names, and the deletion of an override restores what it
overrode. See gateway/storage/engine.py for what a script is. Run by handlers/assessments.py.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.domain.trace import Assessment
from gateway.errors import InvalidValue, NotFound
from gateway.mlflow.values import AssessmentChange
from gateway.storage.engine import Script
from gateway.storage.scripts.feedback import insert_assessment, to_assessment
from gateway.storage.scripts.traces import assignments, find_trace, to_json

MAX_PER_TRACE = 10_000
_OF_TRACE = "trace_id = $1 AND assessment_id = $2 AND project = $3"
# A retraction takes back a rater's whole chain of that name, and marks only its newest rating.
_RETRACTED = (
    "SELECT 1 FROM assessments newer WHERE newer.trace_id = assessments.trace_id AND newer.name = assessments.name"
    " AND newer.source_id = assessments.source_id AND newer.source_type = assessments.source_type"
    " AND newer.create_time >= assessments.create_time AND newer.retracted IS NOT NULL"
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
        yield f"UPDATE assessments SET valid = 0 WHERE {_OF_TRACE}", (new.trace_id, new.overrides, new.project)  # noqa: S608
    yield insert_assessment(new, trace["model"])
    return new


def get_assessment(project: str, trace_id: str, assessment_id: str) -> Script[Assessment]:
    """Return an assessment. Raise NotFound for the trace or the assessment."""
    rows = yield f"SELECT * FROM assessments WHERE {_OF_TRACE}", (trace_id, assessment_id, project)  # noqa: S608
    if rows:
        return to_assessment(rows[0])
    if (yield from find_trace(project, trace_id, None)) is None:
        raise NotFound(f"Trace with ID '{trace_id}' not found.")
    raise NotFound(f"Assessment with ID '{assessment_id}' not found for trace '{trace_id}'")


def update_assessment(
    project: str, trace_id: str, assessment_id: str, change: AssessmentChange, now: int
) -> Script[Assessment]:
    """Return the assessment as changed. Metadata are added to those there; source and span stay."""
    old = yield from get_assessment(project, trace_id, assessment_id)
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
    yield (
        f"UPDATE assessments SET {assignments(columns, 4)} WHERE {_OF_TRACE}",  # noqa: S608  our own names
        (trace_id, assessment_id, project, *columns.values()),
    )
    return new


def delete_assessment(project: str, trace_id: str, assessment_id: str) -> Script[None]:
    """Delete an assessment if it is there. Raise NotFound for the trace."""
    if (yield from find_trace(project, trace_id, None)) is None:
        raise NotFound(f"Trace with ID '{trace_id}' not found.")
    rows = yield f"SELECT overrides FROM assessments WHERE {_OF_TRACE}", (trace_id, assessment_id, project)  # noqa: S608
    if rows and rows[0]["overrides"] is not None:
        yield (
            f"UPDATE assessments SET valid = 1 WHERE {_OF_TRACE} AND NOT EXISTS ({_RETRACTED})",  # noqa: S608  constants
            (trace_id, rows[0]["overrides"], project),
        )
    yield f"DELETE FROM assessments WHERE {_OF_TRACE}", (trace_id, assessment_id, project)  # noqa: S608
