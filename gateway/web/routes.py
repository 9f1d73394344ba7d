"""The table of routes: path, method, handler, who may call it, and what it takes and gives, for /openapi.json.

A route that is open to everybody says so here; every other one wants a key where keys are required.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal

import msgspec

from gateway.access.principal import Role
from gateway.erasure import Erased
from gateway.web import ai_sdk, chat, feedback, models, ops, pages, sessions, tickets
from gateway.web.request import Request
from gateway.wire import ai_sdk as ai_sdk_wire
from gateway.wire import feedback as feedback_wire
from gateway.wire import native

Handler = Callable[[Request], Awaitable[None]]
Stream = Literal["text/event-stream"]


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """`roles` empty: open to all. `query`: name → description. `reply` None: a body of free form."""

    method: str
    path: str
    handler: Handler
    roles: tuple[Role, ...]
    summary: str
    body: tuple[Any, ...] = ()  # any of these
    bodiless: bool = False  # it may be left out
    reply: Any = None
    media: str = "application/json"
    query: dict[str, str] = {}
    errors: tuple[int, ...] = ()


ASK: tuple[Role, ...] = ("chat", "publishable")
OWN: tuple[Role, ...] = ("chat", "token")
RATE: tuple[Role, ...] = ("chat", "review", "token")
CHAT: tuple[Role, ...] = ("chat",)
VOUCH: tuple[Role, ...] = ("chat", "review")
ADMIN: tuple[Role, ...] = ("admin",)
_SUBJECT = {
    "trace_id": "The trace to rate",
    "client_request_id": "In place of trace_id: the newest trace with it",
    "user_id": "Who rates",
}
_CHAT_ERRORS = (400, 404, 408, 413, 415, 422, 502, 503, 504)
_RATE_ERRORS = (400, 404, 408, 413, 415, 422, 503)

ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/v1/chat/completions",
        handler=chat.completions,
        roles=ASK,
        summary="OpenAI-compatible chat, streamed or not",
        errors=_CHAT_ERRORS,
    ),
    Route(
        method="POST",
        path="/chat/stream",
        handler=chat.chat_stream,
        roles=ASK,
        summary="Ask, and get the answer as server-sent events",
        body=(native.ChatBody,),
        media="text/event-stream",
        errors=_CHAT_ERRORS,
    ),
    Route(
        method="POST",
        path="/feedback",
        handler=feedback.rate,
        roles=RATE,
        summary="Rate an answer",
        body=(feedback_wire.Thumb, feedback_wire.General),
        reply=feedback_wire.Rated,
        query=_SUBJECT,
        errors=_RATE_ERRORS,
    ),
    Route(
        method="POST",
        path="/chat",
        handler=chat.chat,
        roles=ASK,
        summary="Ask, and get the whole answer",
        body=(native.ChatBody,),
        reply=native.ChatReply,
        errors=_CHAT_ERRORS,
    ),
    Route(
        method="GET",
        path="/chat/stream/{trace_id}",
        handler=chat.resume,
        roles=OWN,
        summary="Resume a stream after Last-Event-ID; 204 where there is nothing to resume",
        media="text/event-stream",
        query={"after": "In place of Last-Event-ID"},
        errors=(404, 422),
    ),
    Route(
        method="POST",
        path="/chat/stream/{trace_id}/stop",
        handler=chat.stop,
        roles=OWN,
        summary="Stop a stream; what there is of the answer is kept",
        errors=(404, 422),
    ),
    Route(
        method="POST",
        path="/chat/ws-ticket",
        handler=tickets.ws_ticket,
        roles=ASK,
        summary="A ticket for one WebSocket: connect to /chat/ws?ticket=… within 30 seconds",
        body=(native.TicketRequest,),
        bodiless=True,
        reply=native.TicketReply,
        errors=(400, 408, 413, 415, 422, 503),
    ),
    Route(
        method="POST",
        path="/feedback/token",
        handler=feedback.make_token,
        roles=VOUCH,
        summary="A feedback token for a browser that lost its own",
        body=(feedback_wire.TokenRequest,),
        bodiless=True,
        reply=feedback_wire.TokenReply,
        query=_SUBJECT,
        errors=(400, 404, 408, 413, 415, 422, 503),
    ),
    Route(
        method="POST",
        path="/detailed-feedback",
        handler=feedback.rate_detailed,
        roles=RATE,
        summary="Rate an answer by the declared dimensions, all or nothing",
        reply=feedback_wire.RatedDetailed,
        query=_SUBJECT | {"comment": "Kept with the first dimension", "accuracy": "Any declared dimension's score"},
        errors=_RATE_ERRORS,
    ),
    Route(
        method="GET",
        path="/feedback",
        handler=feedback.read,
        roles=RATE,
        summary="This rater's valid ratings of a trace",
        reply=feedback_wire.FeedbackList,
        query=_SUBJECT,
        errors=(404, 422),
    ),
    Route(
        method="DELETE",
        path="/feedback",
        handler=feedback.retract,
        roles=RATE,
        summary="Take this rater's ratings of one name back",
        reply=feedback_wire.Retracted,
        query=_SUBJECT | {"name": "The rating's name"},
        errors=(404, 422, 503),
    ),
    Route(
        method="GET",
        path="/sessions/{session_id}",
        handler=sessions.session,
        roles=RATE,
        summary="The turns of a conversation, with this rater's ratings",
        query={"user_id": "Whose session"},
        errors=(404, 422),
    ),
    Route(
        method="DELETE",
        path="/users/{user_id}",
        handler=ops.erase_user,
        roles=ADMIN,
        summary="Remove a user's content and ID from this project; ratings keep their numbers",
        reply=Erased,
        errors=(422, 503),
    ),
    Route(
        method="POST",
        path="/api/chat",
        handler=ai_sdk.chat,
        roles=ASK,
        summary="The Vercel AI SDK's useChat: a UI message stream",
        body=(ai_sdk_wire.UIChat,),
        media="text/event-stream",
        errors=_CHAT_ERRORS,
    ),
    Route(
        method="GET",
        path="/api/chat/{session_id}/stream",
        handler=ai_sdk.resume,
        roles=OWN,
        summary="The chat's running answer from its beginning on; 204 where none is running",
        media="text/event-stream",
        query={"user_id": "Whose chat"},
        errors=(404, 422),
    ),
    Route(
        method="POST",
        path="/api/chat/{session_id}/stop",
        handler=ai_sdk.stop,
        roles=OWN,
        summary="Stop the chat's running answer; what there is of it is kept",
        query={"user_id": "Whose chat"},
        errors=(404, 422),
    ),
    Route(method="GET", path="/v1/models", handler=models.models, roles=CHAT, summary="The declared models"),
    Route(
        method="POST",
        path="/v1/embeddings",
        handler=models.embeddings,
        roles=CHAT,
        summary="OpenAI-compatible embeddings",
        errors=_CHAT_ERRORS,
    ),
    Route(
        method="GET",
        path="/config",
        handler=ops.config,
        roles=(),
        summary="What a front end needs: models, dimensions, whether a key is needed",
    ),
    Route(method="GET", path="/healthz", handler=ops.healthz, roles=(), summary="The process answers"),
    Route(
        method="GET",
        path="/readyz",
        handler=ops.readyz,
        roles=(),
        summary="The store takes writes, and the server is not draining",
        errors=(503,),
    ),
    Route(
        method="GET",
        path="/metrics",
        handler=ops.metrics,
        roles=ADMIN,
        summary="Prometheus metrics",
        media="text/plain",
    ),
    Route(
        method="GET",
        path="/events",
        handler=ops.events,
        roles=ADMIN,
        summary="Finished chats and ratings as they happen",
        media="text/event-stream",
    ),
    Route(method="GET", path="/openapi.json", handler=ops.openapi, roles=(), summary="This description"),
    Route(method="GET", path="/", handler=pages.app, roles=(), summary="The web app", media="text/html"),
    Route(
        method="GET",
        path="/assets/{name}",
        handler=pages.asset,
        roles=(),
        summary="A file of the web app",
        media="application/octet-stream",
        errors=(404,),
    ),
)
