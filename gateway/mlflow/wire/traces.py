"""Traces on MLflow's wire: a client's own in, and every stored one out.

A chat of the gateway's own has no MLflow metadata in the store: it is made here, from what is known of the chat, so
that it looks as if a client had traced it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.domain.ids import TRACE_ID
from gateway.domain.trace import Assessment, State, Trace
from gateway.mlflow.wire import assessments
from gateway.mlflow.wire.body import (
    MAX_TIME,
    dumps,
    read_duration,
    read_time,
    without_none,
    write_duration,
    write_time,
)
from gateway.mlflow.wire.errors import check_length, check_pairs, invalid

SESSION, USER, USAGE = "mlflow.trace.session", "mlflow.trace.user", "mlflow.trace.tokenUsage"
NAME, SPANS_LOCATION = "mlflow.traceName", "mlflow.trace.spansLocation"
FINALIZED = "mlflow.trace.infoFinalized"
MAX_KEY, MAX_TAG = 250, 8_000
_MAX_PAIRS, _MAX_PREVIEW, _MAX_METADATA, _MAX_ASSESSMENTS = 200, 1_000, 100_000, 100


class ExperimentLocation(msgspec.Struct):
    experiment_id: str = "0"


class Location(msgspec.Struct, frozen=True):
    """Where a trace lies; only experiments are known here."""

    type: str = "MLFLOW_EXPERIMENT"
    mlflow_experiment: ExperimentLocation | None = None


class Info(msgspec.Struct):
    """A client's own trace."""

    trace_id: str
    trace_location: Location = Location()
    request_time: str | None = None
    execution_duration: str | None = None
    state: str = "STATE_UNSPECIFIED"
    trace_metadata: dict[str, str] = {}
    tags: dict[str, str] = {}
    client_request_id: str | None = None
    request_preview: str | None = None
    response_preview: str | None = None
    assessments: list[assessments.Message] = []


class _Trace(msgspec.Struct):
    trace_info: Info


class Start(msgspec.Struct):
    """Body of POST /traces."""

    trace: _Trace


class ForeignTrace(msgspec.Struct, frozen=True, kw_only=True):
    """A trace that a client made, as it is stored. `final`: the client said so itself, and spans don't change it."""

    trace_id: str
    experiment_id: str
    request_time: int
    duration_ms: int | None
    state: str
    name: str | None = None
    session_id: str = ""
    user_id: str | None = None
    client_request_id: str | None = None
    request_preview: str | None = None
    response_preview: str | None = None
    tags: dict[str, str] = {}
    metadata: dict[str, str] = {}
    final: bool = True


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A stored trace with all that its TraceInfo says. `linked`: the gateway's chats that were made within it."""

    trace: Trace
    experiment_id: str
    name: str | None
    foreign: bool
    assessments: tuple[Assessment, ...] = ()
    linked: tuple[str, ...] = ()


def check_trace_id(trace_id: str) -> str:
    """Raises InvalidValue for what can't be an ID."""
    if not TRACE_ID.fullmatch(trace_id):
        invalid("A trace ID is tr- and 32 hex digits.")
    return trace_id


def read_info(info: Info, now: int) -> ForeignTrace:
    """A client's trace, checked. Raises InvalidValue."""
    if info.trace_location.mlflow_experiment is None:
        invalid("A trace must lie in an experiment.")
    if info.state not in (*State, "STATE_UNSPECIFIED"):
        invalid(f"Invalid state '{info.state}'.")
    check_length("client_request_id", info.client_request_id or "", 250)
    check_pairs("assessments of a trace", [("", "")] * len(info.assessments), _MAX_ASSESSMENTS)
    tags, metadata = check_tags(info.tags), info.trace_metadata
    check_pairs("pairs of metadata", list(metadata.items()), _MAX_PAIRS)
    for key, value in metadata.items():
        check_length(f"The metadata key '{key[:50]}'", key, MAX_KEY, 1)
        check_length(f"The metadata '{key}'", value, _MAX_METADATA)
    session = metadata.get(SESSION, "")
    check_length(SESSION, session, 250)
    time = read_time(info.request_time, "request_time")
    return ForeignTrace(
        trace_id=check_trace_id(info.trace_id),
        experiment_id=info.trace_location.mlflow_experiment.experiment_id,
        request_time=min(now if time is None else time, MAX_TIME),
        duration_ms=read_duration(info.execution_duration),
        state="IN_PROGRESS" if info.state == "STATE_UNSPECIFIED" else info.state,
        name=tags.pop(NAME, None),
        session_id=session,
        user_id=metadata.get(USER),
        client_request_id=info.client_request_id or None,
        request_preview=info.request_preview and info.request_preview[:_MAX_PREVIEW],
        response_preview=info.response_preview and info.response_preview[:_MAX_PREVIEW],
        tags=tags,
        metadata=metadata | {FINALIZED: "true"},
    )


def check_tags(tags: dict[str, str]) -> dict[str, str]:
    """Tags whose keys are short enough; their values are cut to MLflow's length. Raises InvalidValue."""
    check_pairs("tags", list(tags.items()), _MAX_PAIRS)
    for key in tags:
        check_length("A tag's key", key, MAX_KEY, 1)
    return {key: value[:MAX_TAG] for key, value in tags.items()}


def write_info(stored: Stored) -> dict[str, Any]:
    """TraceInfo."""
    trace = stored.trace
    artifacts = f"mlflow-artifacts:/{stored.experiment_id}/traces/{trace.trace_id}/artifacts"
    tags = {"mlflow.artifactLocation": artifacts, **trace.tags}
    metadata = dict(trace.metadata)
    name = stored.name
    if stored.foreign:
        if stored.linked:
            metadata["gateway.trace_ids"] = ",".join(stored.linked)
    else:
        name = name or chat_name(trace)
        tags.setdefault(SPANS_LOCATION, "TRACKING_STORE")
        metadata |= chat_metadata(trace)
    if name is not None:
        tags[NAME] = name
    return without_none(
        [
            ("trace_id", trace.trace_id),
            ("client_request_id", trace.client_request_id),
            ("trace_location", location(stored.experiment_id)),
            ("request_time", write_time(trace.request_time)),
            ("execution_duration", None if trace.duration_ms is None else write_duration(trace.duration_ms)),
            ("state", str(trace.state)),
            ("trace_metadata", metadata),
            ("assessments", [assessments.write(each) for each in stored.assessments] or None),
            ("tags", tags),
            ("request_preview", trace.request_preview),
            ("response_preview", trace.response_preview),
        ]
    )


def location(experiment_id: str) -> dict[str, Any]:
    """An experiment as a trace's location."""
    return {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment_id}}


def chat_name(trace: Trace) -> str:
    """What a chat of the gateway's own is called."""
    return f"chat {trace.model}"


def chat_metadata(trace: Trace) -> dict[str, str]:
    """What MLflow's clients look for in the metadata of a chat, and what only the gateway knows of it."""
    usage = trace.usage
    counted = usage and {
        "input_tokens": usage.prompt_tokens,
        "output_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
    }
    first = trace.first_token_ms
    pairs: dict[str, str | None] = {
        "mlflow.trace_schema.version": "3",
        SESSION: trace.session_id,
        USER: trace.user_id,
        USAGE: None if usage is None else dumps(counted),
        "mlflow.traceInputs": trace.request_preview,
        "mlflow.traceOutputs": trace.response_preview,
        "gateway.outcome": trace.outcome and trace.outcome.value,
        "gateway.route": trace.route,
        "gateway.model": trace.model,
        "gateway.answered_model": trace.answered_model,
        "gateway.provider": trace.provider,
        "gateway.finish_reason": trace.finish_reason,
        "gateway.first_token_ms": None if first is None else str(first),
        "gateway.error_code": trace.error_code,
        "gateway.error_message": trace.error_message,
        "gateway.usage_estimated": "true" if trace.usage_estimated else None,
        "gateway.parent_trace_id": trace.traceparent and f"tr-{trace.traceparent[3:35]}",
    }
    return {key: value for key, value in pairs.items() if value is not None}
