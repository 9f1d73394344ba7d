"""The rating routes. Thin: the service decodes, checks and stores."""

from __future__ import annotations

from gateway.web.exchange import Exchange


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


async def retract(x: Exchange) -> None:
    """DELETE /feedback."""
    await x.reply(await x.services.feedback.retract(x.principal, x.query()))


async def read(x: Exchange) -> None:
    """GET /feedback."""
    await x.reply(await x.services.feedback.read(x.principal, x.query()))
