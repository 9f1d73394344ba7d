"""Traces on MLflow's wire: read and check those that clients made, and write the info of any. Called by handlers/.

A chat has no MLflow metadata in the store. They are made here from what is known of the chat, so that it looks as if
a client had traced it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.domain.ids import TRACE_ID, parent_trace_id
from gateway.domain.names import MARKS
from gateway.domain.search import LeftOut, TraceQuery
from gateway.domain.trace import State, Trace
from gateway.mlflow.names import (
    ARTIFACT_LOCATION,
    INFO_FINALIZED,
    SCHEMA_VERSION,
    SOURCE_RUN,
    SPANS_LOCATION,
    TRACE_INPUTS,
    TRACE_NAME,
    TRACE_OUTPUTS,
    TRACE_SESSION,
    TRACE_USAGE,
    TRACE_USER,
)
from gateway.mlflow.usage import counts_of
from gateway.mlflow.values import ClientTrace, StoredTrace
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
from gateway.mlflow.wire.checks import MAX_KEY, MAX_VALUE, check_count, check_length, invalid
from gateway.wire.filter import parse_filter, parse_order

_MAX_RESULTS = 500
_LEFT_OUT: frozenset[LeftOut] = frozenset({"judges", "copies"})  # by a search that names no run
_MAX_PAIRS, _MAX_PREVIEW, _MAX_METADATA, _MAX_ASSESSMENTS = 200, 1_000, 100_000, 100


class ExperimentLocation(msgspec.Struct):
    """An experiment, by its ID."""

    experiment_id: str = "0"


class Location(msgspec.Struct, frozen=True):
    """Where a trace lies; only experiments are supported."""

    type: str = "MLFLOW_EXPERIMENT"
    mlflow_experiment: ExperimentLocation | None = None


class TraceInfo(msgspec.Struct):
    """TraceInfo as a client sends it."""

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
    trace_info: TraceInfo


class StartTrace(msgspec.Struct):
    """Body that stores a client's trace."""

    trace: _Trace


class SearchTraces(msgspec.Struct):
    """Body that searches traces."""

    locations: list[Location]
    filter: str | None = None
    max_results: int = 100
    order_by: list[str] = []
    page_token: str | None = None


class TraceTag(msgspec.Struct):
    """Body that sets or deletes a tag."""

    key: str
    value: str | None = None


class DeleteTraces(msgspec.Struct):
    """Body that deletes traces by ID, or the oldest up to a time."""

    experiment_id: str
    request_ids: list[str] | None = None
    trace_ids: list[str] | None = None
    max_timestamp_millis: int | None = None
    max_traces: int | None = None


def read_info(info: TraceInfo, now: int) -> ClientTrace:
    """Return a client's trace, at the time `now` where it has none. Raise InvalidValue."""
    if info.trace_location.mlflow_experiment is None:
        invalid("A trace must lie in an experiment.")
    if not TRACE_ID.fullmatch(info.trace_id):
        invalid("A trace ID must be tr- and 32 hex digits.")
    if info.state not in (*State, "STATE_UNSPECIFIED"):
        invalid(f"Invalid state '{info.state}'.")
    check_length("client_request_id", info.client_request_id or "", 250)
    check_count("assessments of a trace", info.assessments, _MAX_ASSESSMENTS)
    tags = read_tags(info.tags)
    metadata = {key: value for key, value in info.trace_metadata.items() if key not in MARKS}  # the gateway's to write
    check_count("pairs of metadata", metadata, _MAX_PAIRS)
    for key, value in metadata.items():
        check_length(f"The metadata key '{key[:50]}'", key, MAX_KEY, 1)
        check_length(f"The metadata '{key}'", value, _MAX_METADATA)
    session = metadata.get(TRACE_SESSION, "")
    check_length(TRACE_SESSION, session, 250)
    time = read_time(info.request_time, "request_time")
    return ClientTrace(
        trace_id=info.trace_id,
        experiment_id=info.trace_location.mlflow_experiment.experiment_id,
        request_time=min(now if time is None else time, MAX_TIME),
        duration_ms=read_duration(info.execution_duration),
        state="IN_PROGRESS" if info.state == "STATE_UNSPECIFIED" else info.state,
        name=tags.pop(TRACE_NAME, None),
        session_id=session,
        user_id=metadata.get(TRACE_USER),
        client_request_id=info.client_request_id or None,
        request_preview=info.request_preview and info.request_preview[:_MAX_PREVIEW],
        response_preview=info.response_preview and info.response_preview[:_MAX_PREVIEW],
        tags=tags,
        metadata=metadata | {INFO_FINALIZED: "true"},
    )


def read_tags(tags: dict[str, str]) -> dict[str, str]:
    """Return tags with their values cut to MLflow's length. Raise InvalidValue for keys or too many of them."""
    check_count("tags", tags, _MAX_PAIRS)
    for key in tags:
        check_length("A tag's key", key, MAX_KEY, 1)
    return {key: value[:MAX_VALUE] for key, value in tags.items()}


def read_query(body: SearchTraces, project: str) -> TraceQuery:
    """Return the search that a body asks for. Raise InvalidValue."""
    if body.max_results > _MAX_RESULTS:
        invalid(f"max_results must be at most {_MAX_RESULTS}.")
    experiments = [place.mlflow_experiment.experiment_id for place in body.locations if place.mlflow_experiment]
    if len(experiments) > _MAX_RESULTS:
        invalid(f"At most {_MAX_RESULTS} locations can be searched at once.")
    clauses = parse_filter(body.filter or "")
    of_run = any((clause.kind, clause.key, clause.op) == ("metadata", SOURCE_RUN, "=") for clause in clauses)
    return TraceQuery(
        project=project,
        experiment_ids=tuple(experiments),
        clauses=clauses,
        left_out=frozenset() if of_run else _LEFT_OUT,
        orders=parse_order(body.order_by),
        limit=body.max_results,
        page_token=body.page_token,
    )


def read_deleted_ids(body: DeleteTraces, most: int) -> list[str] | None:
    """Return the IDs of the traces to delete, or None for those up to a time. Raise InvalidValue."""
    ids = body.request_ids or body.trace_ids or None
    if (ids is None) == (body.max_timestamp_millis is None):
        invalid("Either `max_timestamp_millis` or `trace_ids` must be specified, and not both.")
    if ids is not None and body.max_traces is not None:
        invalid("`max_traces` can't be specified if `trace_ids` is specified.")
    if body.max_traces is not None and body.max_traces <= 0:
        invalid(f"`max_traces` must be a positive integer, received {body.max_traces}.")
    if ids is not None and len(ids) > most:
        invalid(f"At most {most} traces can be deleted at once.")
    return ids


def write_info(stored: StoredTrace) -> dict[str, Any]:
    """Return the JSON of TraceInfo."""
    trace = stored.trace
    artifacts = f"mlflow-artifacts:/{stored.experiment_id}/traces/{trace.trace_id}/artifacts"
    tags = {ARTIFACT_LOCATION: artifacts, **trace.tags}
    metadata = dict(trace.metadata)
    name = stored.name
    if stored.client_made:
        if stored.linked:
            metadata["gateway.trace_ids"] = ",".join(stored.linked)
    else:
        name = name or chat_name(trace)
        tags.setdefault(SPANS_LOCATION, "TRACKING_STORE")
        metadata |= chat_metadata(trace)
    if name is not None:
        tags[TRACE_NAME] = name
    return without_none(
        [
            ("trace_id", trace.trace_id),
            ("client_request_id", trace.client_request_id),
            ("trace_location", location(stored.experiment_id)),
            ("request_time", write_time(trace.request_time)),
            ("execution_duration", None if trace.duration_ms is None else write_duration(trace.duration_ms)),
            ("state", str(trace.state)),
            ("trace_metadata", metadata),
            ("assessments", [assessments.write_assessment(each) for each in stored.assessments] or None),
            ("tags", tags),
            ("request_preview", trace.request_preview),
            ("response_preview", trace.response_preview),
        ]
    )


def location(experiment_id: str) -> dict[str, Any]:
    """Return the JSON of a trace's location in an experiment."""
    return {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment_id}}


def chat_name(trace: Trace) -> str:
    """Return the name of a chat's trace."""
    return f"chat {trace.model}"


def chat_metadata(trace: Trace) -> dict[str, str]:
    """Return the metadata of a chat that MLflow's clients look for, and the gateway's own."""
    first = trace.first_token_ms
    pairs: dict[str, str | None] = {
        SCHEMA_VERSION: "3",
        TRACE_SESSION: trace.session_id,
        TRACE_USER: trace.user_id,
        TRACE_USAGE: None if trace.usage is None else dumps(counts_of(trace.usage)),
        TRACE_INPUTS: trace.request_preview,
        TRACE_OUTPUTS: trace.response_preview,
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
        "gateway.parent_trace_id": trace.traceparent and parent_trace_id(trace.traceparent),
    }
    return {key: value for key, value in pairs.items() if value is not None}
