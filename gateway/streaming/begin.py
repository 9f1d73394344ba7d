"""A chat's first row, which is committed before the first byte goes out, and whose a stream is. Called by chat.py."""

from __future__ import annotations

from gateway.access.principal import Principal
from gateway.domain import ids
from gateway.domain.messages import ChatRequest
from gateway.domain.names import CALLER, MARKS, REVIEW
from gateway.domain.trace import TraceStart
from gateway.streaming.run import Owner


def trace_start(principal: Principal, request: ChatRequest, model: str, capture: str, config_hash: str) -> TraceStart:
    """Return the trace's first row, without the messages. `capture` is `[capture] content`."""
    return TraceStart(
        trace_id=ids.new_trace_id(),
        root_span_id=ids.new_span_id(),
        project=principal.project,
        route=request.route,
        request_time=ids.now_ms(),
        model=model,
        session_id=request.session_id or ids.new_session_id(),
        user_id=request.user_id,
        client_request_id=request.client_request_id,
        request_preview=request.preview if capture != "none" else None,
        tags=request.tags,
        metadata=_marked(principal, request.metadata),
        traceparent=request.traceparent,
        key_id=principal.key_id,
        config_hash=config_hash,
    )


def _marked(principal: Principal, metadata: dict[str, str]) -> dict[str, str]:
    """Return the metadata with a mark where the chat is a lead's own. Nobody sets it by asking."""
    if principal.role == "lead":
        return metadata | {CALLER: REVIEW}
    return metadata if MARKS.isdisjoint(metadata) else {k: v for k, v in metadata.items() if k not in MARKS}


def owns(principal: Principal, owner: Owner) -> bool:
    """Return whether a stream was asked with the caller's key, which for a feedback token is the key that made it.

    A signed-in person owns what was asked in that name.
    """
    theirs = principal.way is None or principal.user_id == owner.person
    return theirs and principal.project == owner.project and principal.key_id == owner.key_id
