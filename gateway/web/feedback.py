"""The rating routes. Thin: decode, let the service store, encode. What it returns has been committed."""

from __future__ import annotations

from gateway.web.request import Request
from gateway.web.responses import JSONResponse, Response
from gateway.wire import feedback as wire
from gateway.wire.feedback import FeedbackList, Rated, RatedDetailed, Retracted, TokenReply


async def rate(request: Request) -> None:
    """Store one rating, in the short or the general form."""
    body, principal = await request.json_body(), request.principal
    key = wire.check_idempotency_key(request.header(b"idempotency-key"))
    subject, ratings = wire.decode_rating(request.query(), body, known=principal.trace_id)
    receipt = await request.services.feedback.rate(principal, subject, ratings, key)
    await request.reply(Rated(trace_id=receipt.trace_id, assessment_id=receipt.assessments[0].assessment_id))


async def rate_detailed(request: Request) -> None:
    """Store ratings by dimension, given by query parameters or the same as JSON: all of them or none."""
    body, principal = await _optional_body(request), request.principal
    key = wire.check_idempotency_key(request.header(b"idempotency-key"))
    dimensions = request.services.config.feedback.dimensions
    subject, ratings, recorded = wire.decode_detailed(request.query(), body, dimensions, known=principal.trace_id)
    receipt = await request.services.feedback.rate(principal, subject, ratings, key)
    await request.reply(RatedDetailed(trace_id=receipt.trace_id, feedback_recorded=recorded))


async def make_token(request: Request) -> Response:
    """Return a feedback token, for a tab that was opened again: only a secret key gets one."""
    wanted = wire.decode_token_request(request.query(), await _optional_body(request))
    trace_id, token = await request.services.feedback.issue_token(request.principal, wanted, tuple(wanted.names))
    return JSONResponse(TokenReply(feedback_token=token.text, trace_id=trace_id, expires_at=token.expires or None))


async def retract(request: Request) -> Response:
    """Invalidate this rater's ratings of one name; that there are none is no error."""
    subject = wire.decode_retraction(request.query(), known=request.principal.trace_id)
    trace_id, count = await request.services.feedback.retract(request.principal, subject)
    return JSONResponse(Retracted(trace_id=trace_id, name=subject.name, retracted=count))


async def read(request: Request) -> Response:
    """Return this rater's valid ratings of a trace, oldest first."""
    subject = wire.decode_subject(request.query(), known=request.principal.trace_id)
    trace_id, ratings = await request.services.feedback.read(request.principal, subject)
    return JSONResponse(FeedbackList(trace_id, [wire.item_of(rating) for rating in ratings]))


async def _optional_body(request: Request) -> bytes | None:
    """Return the body, which may be left out. Raise UnsupportedMediaType where one is there and isn't JSON."""
    if body := await request.body():
        request.require_json()
    return body or None
