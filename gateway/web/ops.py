"""What ops and front ends ask: health, readiness, metrics, the live feed, and what this gateway offers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
from sse_starlette import EventSourceResponse, ServerSentEvent

from gateway import __version__
from gateway.erasure import Wanted
from gateway.errors import Forbidden, StoreUnavailable, Unauthorized, Unavailable
from gateway.observability.feed import Lost
from gateway.observability.metrics import CONTENT_TYPE
from gateway.web.exchange import Exchange


async def healthz(x: Exchange) -> None:
    """GET /healthz: the process answers."""
    await x.reply({"status": "ok"})


async def readyz(x: Exchange) -> None:
    """GET /readyz: a write commits, and the server is not draining."""
    if x.services.chat.runs.draining:
        raise Unavailable("The server is shutting down.")
    try:
        async with asyncio.timeout(5):
            await x.services.store.ping()
    except TimeoutError:
        raise StoreUnavailable("The store takes too long.") from None
    await x.reply({"status": "ready"})


async def metrics(x: Exchange) -> None:
    """GET /metrics, in Prometheus' text format."""
    await x.reply(x.services.metrics.render(), content_type=CONTENT_TYPE.encode())


async def config(x: Exchange) -> None:
    """GET /config: models, dimensions with their scales, whether this caller needs a key."""
    settings = x.services.config
    dimensions = {
        name: {"options": d.options} if d.options is not None else {"min": d.min, "max": d.max}
        for name, d in settings.feedback.dimensions.items()
    }
    default, _ = x.services.chat.settings.router.model(None)
    keyless = [header for header in x.headers if header[0] != b"authorization"]
    try:
        x.services.door.admit(keyless, x.client_host)
        key_required = False
    except (Unauthorized, Forbidden):
        key_required = True
    await x.reply(
        {
            "models": list(settings.models),
            "default_model": default,
            "dimensions": dimensions,
            "key_required": key_required,
            "version": __version__,
        }
    )


async def events(x: Exchange) -> None:
    """GET /events: finished chats and ratings of the key's project as they happen, until the key ends."""

    async def feed() -> AsyncIterator[ServerSentEvent]:
        async for record in x.services.feed.subscribe():
            if not x.services.door.keys.active(x.principal.key_id):
                return
            if not isinstance(record, Lost) and record.project != x.principal.project:
                continue
            name = msgspec.to_builtins(record)["event"]
            yield ServerSentEvent(msgspec.json.encode(record).decode(), event=name, sep="\n")

    x.started = True
    response = EventSourceResponse(
        feed(),
        ping=max(1, round(x.services.config.streaming.heartbeat_s)),
        send_timeout=x.services.config.streaming.send_timeout_s,
        sep="\n",
        headers={name.decode(): value.decode() for name, value in x.response_headers(None)},
    )
    await response(x.scope, x.receive, x.send)


async def erase_user(x: Exchange) -> None:
    """DELETE /users/{user_id}: in the key's project. The reply follows the scrubbing of the file."""
    wanted = Wanted(x.path_params["user_id"], x.principal.project)
    await x.reply(await x.services.erasure.erase(wanted))


async def openapi(x: Exchange) -> None:
    """GET /openapi.json."""
    await x.reply(x.services.openapi)
