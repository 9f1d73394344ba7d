"""What each route of routes.py takes and gives, in words and types: the source of /openapi.json (openapi.py).

Nothing here serves a request. The types are those that decode the bodies and encode the replies.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.erasure import Erased
from gateway.wire import ai_sdk, feedback, native

SSE = "text/event-stream"


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """`query`: name → description. `reply` None: a body of free form. `errors`: statuses beside the derived ones."""

    summary: str
    body: tuple[Any, ...] = ()  # any of these
    bodiless: bool = False  # it may be left out
    reply: Any = None
    media: str = "application/json"
    query: dict[str, str] = {}
    errors: tuple[int, ...] = ()


_SUBJECT = {
    "trace_id": "The trace to rate",
    "client_request_id": "In place of trace_id: the newest trace with it",
    "user_id": "Who rates",
}
_BODY = (400, 408, 413, 415, 422)
_CHAT = (*_BODY, 404, 502, 503, 504)

OPERATIONS: dict[tuple[str, str], Operation] = {
    ("POST", "/v1/chat/completions"): Operation(summary="OpenAI-compatible chat, streamed or not", errors=_CHAT),
    ("POST", "/chat/stream"): Operation(
        summary="Ask, and get the answer as server-sent events", body=(native.ChatBody,), media=SSE, errors=_CHAT
    ),
    ("POST", "/feedback"): Operation(
        summary="Rate an answer",
        body=(feedback.Thumb, feedback.General),
        reply=feedback.Rated,
        query=_SUBJECT,
        errors=(*_BODY, 404, 503),
    ),
    ("POST", "/chat"): Operation(
        summary="Ask, and get the whole answer", body=(native.ChatBody,), reply=native.ChatReply, errors=_CHAT
    ),
    ("GET", "/chat/stream/{trace_id}"): Operation(
        summary="Resume a stream after Last-Event-ID; 204 where there is nothing to resume",
        media=SSE,
        query={"after": "In place of Last-Event-ID"},
        errors=(404, 422),
    ),
    ("POST", "/chat/stream/{trace_id}/stop"): Operation(
        summary="Stop a stream; what there is of the answer is kept", errors=(404, 422)
    ),
    ("POST", "/chat/ws-ticket"): Operation(
        summary="A ticket for one WebSocket: connect to /chat/ws?ticket=… within 30 seconds",
        body=(native.TicketRequest,),
        bodiless=True,
        reply=native.TicketReply,
        errors=(*_BODY, 503),
    ),
    ("POST", "/feedback/token"): Operation(
        summary="A feedback token for a browser that lost its own",
        body=(feedback.TokenRequest,),
        bodiless=True,
        reply=feedback.TokenReply,
        query=_SUBJECT,
        errors=(*_BODY, 404, 503),
    ),
    ("POST", "/detailed-feedback"): Operation(
        summary="Rate an answer by the declared dimensions, all or nothing",
        reply=feedback.RatedDetailed,
        query=_SUBJECT | {"comment": "Kept with the first dimension", "accuracy": "Any declared dimension's score"},
        errors=(*_BODY, 404, 503),
    ),
    ("GET", "/feedback"): Operation(
        summary="This rater's valid ratings of a trace", reply=feedback.FeedbackList, query=_SUBJECT, errors=(404, 422)
    ),
    ("DELETE", "/feedback"): Operation(
        summary="Take this rater's ratings of one name back",
        reply=feedback.Retracted,
        query=_SUBJECT | {"name": "The rating's name"},
        errors=(404, 422, 503),
    ),
    ("GET", "/sessions/{session_id}"): Operation(
        summary="The turns of a conversation, with this rater's ratings",
        query={"user_id": "Whose session"},
        errors=(404, 422),
    ),
    ("DELETE", "/users/{user_id}"): Operation(
        summary="Remove a user's content and ID from this project; ratings keep their numbers",
        reply=Erased,
        errors=(422, 503),
    ),
    ("POST", "/api/chat"): Operation(
        summary="The Vercel AI SDK's useChat: a UI message stream", body=(ai_sdk.UIChat,), media=SSE, errors=_CHAT
    ),
    ("GET", "/api/chat/{session_id}/stream"): Operation(
        summary="The chat's running answer from its beginning on; 204 where none is running",
        media=SSE,
        query={"user_id": "Whose chat"},
        errors=(404, 422),
    ),
    ("POST", "/api/chat/{session_id}/stop"): Operation(
        summary="Stop the chat's running answer; what there is of it is kept",
        query={"user_id": "Whose chat"},
        errors=(404, 422),
    ),
    ("GET", "/v1/models"): Operation(summary="The declared models"),
    ("POST", "/v1/embeddings"): Operation(summary="OpenAI-compatible embeddings", errors=_CHAT),
    ("GET", "/config"): Operation(summary="What a front end needs: models, dimensions, whether a key is needed"),
    ("GET", "/healthz"): Operation(summary="The process answers"),
    ("GET", "/readyz"): Operation(summary="The store takes writes, and the server is not draining", errors=(503,)),
    ("GET", "/metrics"): Operation(summary="Prometheus metrics", media="text/plain"),
    ("GET", "/events"): Operation(summary="Finished chats and ratings as they happen", media=SSE),
    ("GET", "/openapi.json"): Operation(summary="This description"),
    ("GET", "/"): Operation(summary="The web app", media="text/html"),
    ("GET", "/assets/{name}"): Operation(
        summary="A file of the web app", media="application/octet-stream", errors=(404,)
    ),
}
