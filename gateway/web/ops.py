"""What ops and front ends ask: health, readiness, metrics, the live feed, and what this gateway offers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
from sse_starlette import EventSourceResponse, ServerSentEvent

from gateway import __version__
from gateway.domain.ids import now_ms
from gateway.erasure import EraseRequest
from gateway.errors import Forbidden, StoreUnavailable, Unauthorized, Unavailable
from gateway.observability.feed import Lost
from gateway.observability.metrics import CONTENT_TYPE
from gateway.storage.scripts.ops import ping
from gateway.web.request import Request
from gateway.web.responses import JSONResponse, Response
from gateway.wire.native_events import ConfigReply, DimensionReply, StatusReply


async def healthz(request: Request) -> Response:
    """Say that the process answers."""
    return JSONResponse(StatusReply("ok"))


async def readyz(request: Request) -> Response:
    """Say that a write commits and the server is not draining. Raise Unavailable, StoreUnavailable."""
    if request.services.chat.runs.draining:
        raise Unavailable("The server is shutting down.")
    try:
        async with asyncio.timeout(5):
            await request.services.store.write(ping, now_ms())
    except TimeoutError:
        raise StoreUnavailable("The store takes too long.") from None
    return JSONResponse(StatusReply("ready"))


async def metrics(request: Request) -> Response:
    """Return the metrics in Prometheus' text format."""
    return Response(request.services.metrics.render(), media_type=CONTENT_TYPE)


async def config(request: Request) -> Response:
    """Return the models, the dimensions with their scales, and whether this caller needs a key."""
    settings = request.services.config
    dimensions = {name: DimensionReply(d.min, d.max, d.options) for name, d in settings.feedback.dimensions.items()}
    router = request.services.chat.settings.router
    keyless = [header for header in request.raw_headers if header[0] not in (b"authorization", b"cookie")]
    try:
        request.services.authenticator.authenticate(keyless, request.client_host)
        key_required = False
    except (Unauthorized, Forbidden):
        key_required = True
    return JSONResponse(ConfigReply(list(router.models), router.default or "", dimensions, key_required, __version__))


async def events(request: Request) -> EventSourceResponse:
    """Send finished chats and ratings of the key's project as they happen, until the key ends."""

    async def feed() -> AsyncIterator[ServerSentEvent]:
        async for record in request.services.feed.subscribe():
            if request.services.authenticator.ended(request.principal):
                return
            if not isinstance(record, Lost) and record.project != request.principal.project:
                continue
            name = msgspec.to_builtins(record)["event"]
            yield ServerSentEvent(msgspec.json.encode(record).decode(), event=name, sep="\n")

    settings = request.services.config.streaming
    return EventSourceResponse(
        feed(),
        headers={"Cache-Control": "no-cache, no-transform"},
        ping=max(1, round(settings.heartbeat_s)),
        ping_message_factory=lambda: b": ping\n",  # type: ignore[arg-type, return-value]  # it sends bytes as they are
        send_timeout=settings.send_timeout_s,
        sep="\n",
    )


async def erase_user(request: Request) -> Response:
    """Erase a user in the key's project. The reply follows the purge of the file."""
    wanted = EraseRequest(request.path_params["user_id"], request.principal.project)
    return JSONResponse(await request.services.erasure.erase(wanted))


async def openapi(request: Request) -> Response:
    """Return the description of the API."""
    return Response(request.services.openapi, media_type="application/json")
