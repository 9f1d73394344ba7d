"""A chat's first row, which is committed before the first byte goes out, and whose a stream is. Called by chat.py."""

from __future__ import annotations

from gateway.access.principal import Principal
from gateway.config.schema import Model
from gateway.domain import ids
from gateway.domain.messages import ChatRequest
from gateway.domain.names import CALLER, JUDGE, MARKS, REVIEW
from gateway.domain.trace import TraceStart
from gateway.errors import Forbidden
from gateway.streaming.run import Owner


def trace_start(
    principal: Principal, request: ChatRequest, name: str, model: Model, capture: str, config_hash: str
) -> TraceStart:
    """Return the trace's first row, without the messages. `capture` is `[capture] content`.

    Calls of a model that judges are no one's chats, and a lead's own are none of production: they are marked so here,
    and nobody else marks any. Raise Forbidden where a reviewer's key asks another model.
    """
    if principal.role == "review" and not model.judge:
        raise Forbidden("A key with the role review only asks models that judge. To chat, use one with the role chat.")
    metadata = request.metadata
    if metadata and not MARKS.isdisjoint(metadata):
        metadata = {key: value for key, value in metadata.items() if key not in MARKS}
    if model.judge:
        metadata = metadata | {CALLER: JUDGE}
    elif principal.role == "lead":
        metadata = metadata | {CALLER: REVIEW}
    return TraceStart(
        trace_id=ids.new_trace_id(),
        root_span_id=ids.new_span_id(),
        project=principal.project,
        route=request.route,
        request_time=ids.now_ms(),
        model=name,
        session_id=request.session_id or ids.new_session_id(),
        user_id=request.user_id,
        client_request_id=request.client_request_id,
        request_preview=request.preview if capture != "none" else None,
        tags=request.tags,
        metadata=metadata,
        traceparent=request.traceparent,
        key_id=principal.key_id,
        config_hash=config_hash,
    )


def owns(principal: Principal, owner: Owner) -> bool:
    """Return whether a stream was asked with the caller's key, which for a feedback token is the key that made it.

    A signed-in person owns what was asked in that name.
    """
    theirs = principal.way is None or principal.user_id == owner.person
    return theirs and principal.project == owner.project and principal.key_id == owner.key_id
