"""The route that reads a conversation back, for a page that shows it again after a reload."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from gateway.domain.answer import answer_text
from gateway.errors import NotFound
from gateway.storage.scripts.feedback import feedback_of
from gateway.storage.scripts.traces import get_trace
from gateway.streaming.stored import stored_parts
from gateway.web.request import Request
from gateway.web.responses import Response
from gateway.wire.feedback import item_of
from gateway.wire.native_events import SessionReply, Turn


async def session(request: Request) -> Response:
    """Return the turns of a conversation with their traces and this rater's ratings."""
    session_id, principal = request.path_params["session_id"], request.principal
    user_id = principal.user_id or request.query_dict().get("user_id")
    if principal.token is not None:  # it knows its trace, and that trace its session
        trace = await request.services.store.read(get_trace, principal.project, principal.token.trace_id)
        if trace is None or trace.session_id != session_id:
            raise NotFound("There is no such session.")
        if user_id == f"anonymous:{trace.trace_id}":
            user_id = None  # of each turn it is the anonymous rater
    traces = await request.services.chat.conversation(principal.project, user_id, session_id, request.count)
    ratings = await request.services.store.read(
        feedback_of, request.principal.project, [trace.trace_id for trace in traces], user_id
    )
    tokens = request.services.authenticator.tokens

    def reply() -> bytes:
        turns = [
            Turn(
                trace_id=trace.trace_id,
                model=trace.model,
                time=trace.request_time,
                state=trace.state,
                outcome=trace.outcome,
                message=_last_question(trace.request) or trace.request_preview,
                response=answer_text(stored_parts(trace)) if trace.response else trace.response_preview,
                error=trace.error_message,
                feedback_token=tokens.issue(principal, trace.trace_id, user_id).text,
                feedback=[item_of(rating) for rating in ratings.get(trace.trace_id, ())],
            )
            for trace in traces
        ]
        return msgspec.json.encode(SessionReply(session_id, turns))

    body = await asyncio.to_thread(reply) if request.counted else reply()  # a long one would hold up every stream
    request.let_go()  # from here on the reply counts itself
    return Response(body, media_type="application/json")


def _last_question(request: str | None) -> Any:
    """Return the content of the last user message: text, or the parts it had."""
    for message in reversed(msgspec.json.decode(request) if request else []):
        if message.get("role") == "user":
            return message.get("content")
    return None
