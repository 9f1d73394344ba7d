"""The rating routes. Thin: the service decodes, checks and stores."""

from __future__ import annotations

from gateway.access.tokens import MAX_CHARS
from gateway.errors import InvalidValue, NotFound
from gateway.web.exchange import Exchange
from gateway.wire import feedback as feedback_wire


async def rate(x: Exchange) -> None:
    """POST /feedback, both forms."""
    body = await x.json_body()
    await x.reply(await x.services.feedback.rate(x.principal, x.query(), body, x.header(b"idempotency-key")))


async def rate_detailed(x: Exchange) -> None:
    """POST /detailed-feedback, by query parameters or the same as JSON."""
    if body := await x.body():
        x.require_json()
    reply = await x.services.feedback.rate_detailed(x.principal, x.query(), body or None, x.header(b"idempotency-key"))
    await x.reply(reply)


async def make_token(x: Exchange) -> None:
    """POST /feedback/token, by query parameters or the same as JSON: with a secret key, for a tab opened again."""
    if body := await x.body():
        x.require_json()
    wanted = feedback_wire.decode_token_request(x.query(), body or None)
    store, project = x.services.store, x.principal.project
    trace_id = await store.resolve_trace(project, wanted.trace_id, wanted.client_request_id)
    trace = trace_id and await store.get_trace(project, trace_id)
    if not trace:
        raise NotFound("No such trace.")
    rater = x.principal.user_id or wanted.user_id or trace.user_id
    token = x.services.chat.token(x.principal, trace.trace_id, rater, tuple(wanted.names))
    if len(token) > MAX_CHARS:
        raise InvalidValue("names: too many to fit into a token", details=[("names", "too many to fit into a token")])
    expires = x.services.door.tokens.read(token).expires
    await x.reply(feedback_wire.TokenReply(feedback_token=token, trace_id=trace.trace_id, expires_at=expires or None))


async def retract(x: Exchange) -> None:
    """DELETE /feedback."""
    await x.reply(await x.services.feedback.retract(x.principal, x.query()))


async def read(x: Exchange) -> None:
    """GET /feedback."""
    await x.reply(await x.services.feedback.read(x.principal, x.query()))
