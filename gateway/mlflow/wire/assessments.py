"""Assessments on MLflow's wire: read and check feedback and expectations, and write them. Called by handlers/.

MLflow itself checks hardly anything here. Numbers become floats, as protobuf makes them; an expectation that is a list
or a dict travels as JSON in a string, and keeps its integers.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.domain.ids import SPAN_ID
from gateway.domain.trace import Assessment
from gateway.mlflow.values import AssessmentChange
from gateway.mlflow.wire.body import decode_text, dumps, read_time, without_none, write_time
from gateway.mlflow.wire.checks import check_count, check_length, invalid
from gateway.wire.rating_body import MAX_PAIR, MAX_VALUE

_TYPES = {"HUMAN": "HUMAN", "LLM_JUDGE": "LLM_JUDGE", "AI_JUDGE": "LLM_JUDGE", "CODE": "CODE"}
_MAX_METADATA, _MAX_RATIONALE, _MAX_NAME, _MAX_STACK = 50, 10_000, 250, 50_000
_MASK = {
    "assessmentName": "name",
    "assessment_name": "name",
    "feedback": "feedback",
    "expectation": "expectation",
    "rationale": "rationale",
    "metadata": "metadata",
}


class Source(msgspec.Struct):
    """Who gave an assessment."""

    source_type: str = ""
    source_id: str = ""


class Error(msgspec.Struct):
    """Why a judge gave no value."""

    error_code: str = ""
    error_message: str | None = None
    stack_trace: str | None = None


class FeedbackValue(msgspec.Struct):
    """A rating's value, or the error in its place."""

    value: Any = None
    error: Error | None = None


class Serialized(msgspec.Struct):
    """A value as JSON in a string."""

    value: str
    serialization_format: str = "JSON_FORMAT"


class ExpectationValue(msgspec.Struct):
    """What the answer should be; a list or a dict is serialized."""

    value: Any = None
    serialized_value: Serialized | None = None


class Message(msgspec.Struct):
    """An assessment as a client sends it."""

    assessment_id: str | None = None
    assessment_name: str | None = None
    span_id: str | None = None
    source: Source | None = None
    create_time: str | None = None
    last_update_time: str | None = None
    feedback: FeedbackValue | None = None
    expectation: ExpectationValue | None = None
    issue: Any = None
    rationale: str | None = None
    error: Error | None = None
    metadata: dict[str, str] = {}
    overrides: str | None = None
    valid: bool | None = None


class CreateAssessment(msgspec.Struct):
    """Body that creates an assessment."""

    assessment: Message


class UpdateAssessment(msgspec.Struct):
    """Body that changes an assessment; the mask names the fields, separated by commas."""

    assessment: Message
    update_mask: str


def read_assessment(message: Message, project: str, trace_id: str, assessment_id: str, now: int) -> Assessment:
    """Return a new assessment. Raise InvalidValue where it breaks a rule of MLflow's or of this gateway."""
    if message.issue is not None:
        invalid("Issues are not supported: send feedback or an expectation.")
    if (message.feedback is None) == (message.expectation is None):
        invalid("An assessment must have exactly one of feedback and expectation.")
    source = message.source or Source()
    if source.source_type not in _TYPES:
        invalid(f"Invalid assessment source type: '{source.source_type}'. Valid source types: {sorted(set(_TYPES))}")
    check_length("source_id", source.source_id, _MAX_NAME)
    if message.span_id and not SPAN_ID.fullmatch(message.span_id):
        invalid("span_id must be 16 hex digits.")
    kind, value, error = _content(message.feedback, message.expectation, message.error)
    return Assessment(
        assessment_id=assessment_id,
        trace_id=trace_id,
        project=project,
        name=_name(message),
        value=value,
        error=error,
        source_type=_TYPES[source.source_type],  # type: ignore[arg-type]
        source_id=source.source_id,
        kind=kind,  # type: ignore[arg-type]
        rationale=_rationale(message),
        metadata=_metadata(message),
        span_id=message.span_id or None,
        create_time=read_time(message.create_time, "create_time") or now,
        last_update_time=read_time(message.last_update_time, "last_update_time") or now,
        overrides=message.overrides or None,
        valid=message.valid is not False,
    )


def read_change(update: UpdateAssessment) -> AssessmentChange:
    """Return the changes that a patch asks for. Raise InvalidValue."""
    message, fields = update.assessment, set()
    for path in filter(None, update.update_mask.split(",")):
        if path not in _MASK:
            invalid(f"'{path}' can't be updated: only {', '.join(sorted(set(_MASK) - {'assessment_name'}))}.")
        fields.add(_MASK[path])
    change: dict[str, Any] = {}
    if "name" in fields:
        change["name"] = _name(message)
    if "rationale" in fields:
        change["rationale"] = _rationale(message)
    if "metadata" in fields:
        change["metadata"] = _metadata(message)
    if {"feedback", "expectation"} <= fields:
        invalid("Cannot specify both `expectation` and `feedback` parameters.")
    for kind in ("feedback", "expectation"):
        if kind in fields:
            feedback = message.feedback if kind == "feedback" else None
            change["kind"], change["value"], change["error"] = _content(feedback, message.expectation, message.error)
    return AssessmentChange(**change)


def write_assessment(assessment: Assessment) -> dict[str, Any]:
    """Return the JSON of an assessment."""
    value = assessment.value
    if assessment.kind == "expectation":
        if isinstance(value, (list, dict)):
            content: Any = {"serialized_value": {"serialization_format": "JSON_FORMAT", "value": dumps(value)}}
        else:
            content = {"value": value}
    else:
        content = {"value": value} | ({"error": assessment.error} if assessment.error else {})
    return without_none(
        [
            ("assessment_id", assessment.assessment_id),
            ("assessment_name", assessment.name),
            ("trace_id", assessment.trace_id),
            ("span_id", assessment.span_id),
            ("source", {"source_type": assessment.source_type, "source_id": assessment.source_id}),
            ("create_time", write_time(assessment.create_time)),
            ("last_update_time", write_time(assessment.last_update_time)),
            (assessment.kind, content),
            ("rationale", assessment.rationale),
            ("metadata", assessment.metadata or None),
            ("overrides", assessment.overrides),
            ("valid", assessment.valid),
        ]
    )


def _name(message: Message) -> str:
    name = message.assessment_name or ""
    check_length("assessment_name", name, _MAX_NAME, 1)
    return name


def _rationale(message: Message) -> str | None:
    check_length("rationale", message.rationale or "", _MAX_RATIONALE)
    return message.rationale


def _metadata(message: Message) -> dict[str, str]:
    check_count("pairs of metadata", message.metadata, _MAX_METADATA)
    for pair in message.metadata.items():
        if any(len(text.encode()) > MAX_PAIR for text in pair):
            invalid(f"metadata has a name or value of more than {MAX_PAIR} bytes.")
    return message.metadata


def _content(
    feedback: FeedbackValue | None, expectation: ExpectationValue | None, old_error: Error | None
) -> tuple[str, Any, dict[str, str] | None]:
    """Return kind, value and error of the one that is given."""
    error = None
    if feedback is not None:
        kind, value = "feedback", _checked(feedback.value)
        given = feedback.error or old_error
        if given is not None:
            check_length("error_code", given.error_code, _MAX_NAME)
            check_length("error_message", given.error_message or "", _MAX_RATIONALE)
            check_length("stack_trace", given.stack_trace or "", _MAX_STACK)
            error = {name: text for name, text in msgspec.to_builtins(given).items() if text is not None}
    elif expectation is not None:
        kind, serialized = "expectation", expectation.serialized_value
        if serialized is None:
            value = _checked(expectation.value)
        elif serialized.serialization_format != "JSON_FORMAT":
            invalid("serialization_format must be JSON_FORMAT.")
        else:
            value = _checked(decode_text(serialized.value, object, "serialized_value.value"), floats=False)
    else:
        invalid("update_mask names a feedback or expectation that the assessment does not have.")
    return kind, value, error


def _checked(value: Any, *, floats: bool = True) -> Any:
    """Return the value with its numbers as protobuf's Value has them. Raise InvalidValue for one that is too large."""
    try:
        value = _floats(value) if floats else value
        size = len(value.encode() if isinstance(value, str) else msgspec.json.encode(value))
    except RecursionError:
        invalid("The value is nested too deeply.")
    except OverflowError:
        invalid("The value has too large a number.")
    if size > MAX_VALUE:
        invalid(f"The value has more than {MAX_VALUE} bytes.")
    return value


def _floats(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, list):
        return [_floats(each) for each in value]
    if isinstance(value, dict):
        return {name: _floats(each) for name, each in value.items()}
    return value
