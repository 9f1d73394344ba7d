"""The values that handlers, wire and scripts of this package hand each other: no I/O, no SQL, no wire.

Times are milliseconds UTC. The gateway's own values (Trace, Span, Assessment) are in gateway/domain.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.domain.search import Clause, Order
from gateway.domain.trace import Assessment, Span, Trace

# ------------------------------------------------------------------ traces


class ClientTrace(msgspec.Struct, frozen=True, kw_only=True):
    """A trace that a client made itself, as it is stored. `name` is kept apart from `tags`."""

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


class StoredTrace(msgspec.Struct, frozen=True, kw_only=True):
    """A stored trace, the gateway's or a client's, with all that a TraceInfo tells of it."""

    trace: Trace
    experiment_id: str
    name: str | None
    client_made: bool
    assessments: tuple[Assessment, ...] = ()
    linked: tuple[str, ...] = ()  # IDs of the gateway's chats that were made within this client's trace


class ClientSpan(msgspec.Struct, frozen=True, kw_only=True):
    """One span of a client's trace, as it is stored."""

    span_id: str
    parent_id: str | None
    name: str
    type: str
    start_ms: int
    end_ms: int
    status: str
    message: str | None
    attributes: str  # JSON object of texts, for the search
    otlp: str  # the whole span as protobuf's JSON, which clients read back
    tokens: str | None  # JSON of its token counts, if it has any
    values: dict[str, Any]  # its attributes as plain values, which aren't stored


class ClientSpans(msgspec.Struct, frozen=True):
    """The stored spans of a client's trace: `ClientSpan.otlp` of each."""

    otlp: tuple[str, ...]


class ChatSpans(msgspec.Struct, frozen=True):
    """The stored spans of one of the gateway's chats; none while it runs."""

    trace: Trace
    spans: tuple[Span, ...]


StoredSpans = ClientSpans | ChatSpans

# ------------------------------------------------------------------ assessments


class AssessmentChange(msgspec.Struct, frozen=True, kw_only=True):
    """The fields to change; those that are UNSET stay. `kind` is what the caller takes the assessment for."""

    kind: str | None = None
    name: str | msgspec.UnsetType = msgspec.UNSET
    value: Any = msgspec.UNSET
    error: dict[str, str] | msgspec.UnsetType | None = msgspec.UNSET
    rationale: str | msgspec.UnsetType | None = msgspec.UNSET
    metadata: dict[str, str] | msgspec.UnsetType = msgspec.UNSET


# ------------------------------------------------------------------ experiments


class Experiment(msgspec.Struct, frozen=True):
    """A project's folder of traces. IDs are small numbers, and "0" is every project's first."""

    experiment_id: str
    name: str
    lifecycle_stage: str
    creation_time: int
    last_update_time: int
    tags: dict[str, str]


# ------------------------------------------------------------------ runs


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run's info."""

    run_id: str
    project: str
    experiment_id: str
    name: str
    user_id: str
    status: str = "RUNNING"
    lifecycle_stage: str = "active"
    start_time: int
    end_time: int | None = None


class RunQuery(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a search over runs."""

    project: str
    experiment_ids: tuple[str, ...]
    stages: tuple[str, ...]
    clauses: tuple[Clause, ...] = ()
    orders: tuple[Order, ...] = ()
    limit: int = 1000
    offset: int = 0


class RunValue(msgspec.Struct, frozen=True, kw_only=True):
    """A tag, a parameter, a metric or an input of a run. `value` is JSON for an input, else text."""

    kind: str
    key: str
    value: str
    step: int = 0
    time: int = 0


class WholeRun(msgspec.Struct, frozen=True):
    """A run with its values, by kind and key."""

    info: Run
    values: tuple[RunValue, ...]


# ------------------------------------------------------------------ datasets


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """An evaluation dataset without its records. `schema` and `profile` are JSON."""

    dataset_id: str
    project: str
    name: str
    digest: str
    created_time: int
    last_update_time: int
    created_by: str | None = None
    last_updated_by: str | None = None
    experiment_ids: list[str] = []
    tags: dict[str, str] = {}
    schema: str | None = None
    profile: str | None = None


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A stored record of a dataset. A field that was never given is None."""

    record_id: str
    dataset_id: str
    inputs: dict[str, Any]
    outputs: Any = None
    expectations: dict[str, Any] | None = None
    tags: dict[str, str] | None = None
    source: dict[str, Any] | None = None
    created_time: int = 0
    last_update_time: int = 0
    created_by: str | None = None
    last_updated_by: str | None = None


class NewRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record as a client sends it."""

    inputs: dict[str, Any] = {}
    outputs: Any = None
    expectations: dict[str, Any] | None = None
    tags: dict[str, str] | None = None
    source: dict[str, Any] | None = None


def source_trace(source: dict[str, Any] | None) -> str | None:
    """Return the ID of the trace that a record was taken from, by its `source`."""
    data = (source or {}).get("source_data")
    found = data.get("trace_id") if isinstance(data, dict) else None
    return found if isinstance(found, str) else None
