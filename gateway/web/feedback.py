"""The rating routes. Thin: the service decodes, checks and stores."""

from __future__ import annotations

from gateway.access.tokens import MAX_CHARS
from gateway.errors import InvalidValue, NotFound
from gateway.storage.scripts.traces import get_trace, resolve_trace
from gateway.web.request import Request
from gateway.web.responses import JSONResponse, Response
from gateway.wire import feedback as feedback_wire


async def rate(request: Request) -> None:
    """POST /feedback, both forms."""
    body = await request.json_body()
    await request.reply(
        await request.services.feedback.rate(
            request.principal, request.query(), body, request.header(b"idempotency-key")
        )
    )


async def rate_detailed(request: Request) -> None:
    """POST /detailed-feedback, by query parameters or the same as JSON."""
    if body := await request.body():
        request.require_json()
    reply = await request.services.feedback.rate_detailed(
        request.principal, request.query(), body or None, request.header(b"idempotency-key")
    )
    await request.reply(reply)


async def make_token(request: Request) -> Response:
    """POST /feedback/token, by query parameters or the same as JSON: with a secret key, for a tab opened again."""
    if body := await request.body():
        request.require_json()
    wanted = feedback_wire.decode_token_request(request.query(), body or None)
    store, project = request.services.store, request.principal.project
    trace_id = await store.read(resolve_trace, project, wanted.trace_id, wanted.client_request_id)
    trace = await store.read(get_trace, project, trace_id) if trace_id else None
    if trace is None:
        raise NotFound("No such trace.")
    rater = request.principal.user_id or wanted.user_id or trace.user_id
    token = request.services.authenticator.tokens.issue(request.principal, trace.trace_id, rater, tuple(wanted.names))
    if len(token.text) > MAX_CHARS:
        raise InvalidValue("names: too many to fit into a token", details=[("names", "too many to fit into a token")])
    return JSONResponse(
        feedback_wire.TokenReply(feedback_token=token.text, trace_id=trace.trace_id, expires_at=token.expires or None)
    )


async def retract(request: Request) -> Response:
    """DELETE /feedback."""
    return JSONResponse(await request.services.feedback.retract(request.principal, request.query()))


async def read(request: Request) -> Response:
    """GET /feedback."""
    return JSONResponse(await request.services.feedback.read(request.principal, request.query()))
