"""What each route of routes.py takes and gives, in words and types: the source of /openapi.json (openapi.py).

Nothing here serves a request. The types are those that decode the bodies and encode the replies. Which errors a route
may answer follows from its roles, parameters and body; what is beyond that stands here.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.erasure import Erased
from gateway.web.operation import SSE, Operation
from gateway.wire import ai_sdk, feedback, native
from gateway.wire.native_events import ConfigReply, Model, ModelList, SessionReply, StatusReply, StopReply


class FreeBody(msgspec.Struct):
    """Whatever the provider takes: unknown fields go through untouched."""

    model: str | None = None


class CompletionBody(FreeBody):
    """OpenAI's chat completion request. All its fields go to the provider."""

    messages: list[dict[str, Any]] = []
    stream: bool | None = None


class TextBody(FreeBody):
    """OpenAI's legacy completion request. Other fields go to the provider as a chat's."""

    prompt: str | list[str] = ""
    stream: bool | None = None


class DetailedBody(msgspec.Struct):
    """The query's parameters as JSON, which may also be given side by side, each once."""

    trace_id: feedback.TraceId | None = None
    client_request_id: str | None = None
    user_id: str | None = None
    comment: str | None = None


# Query parameters and headers: what each says wherever it is taken.
PARAMETERS: dict[str, str] = {
    "trace_id": "The trace that is meant.",
    "client_request_id": "In place of `trace_id`: the newest of the caller's own traces with this ID of the client's.",
    "user_id": "Who asks or rates, where a secret key or nobody vouches for it. A feedback token's rater counts more.",
    "name": "The rating's name, such as `user_feedback` or `user_accuracy`.",
    "comment": "Kept with the first dimension.",
    "accuracy": "The score of this dimension. So does every declared dimension: GET /config names them.",
    "after": "The id of the last event that was read. `Last-Event-ID` counts more.",
    "Last-Event-ID": "The id of the last event that was read.",
    "Idempotency-Key": "Replays the first reply to this key for 24 hours, and refuses another body.",
    "X-Feedback-Token": "The token of an answer: whoever bears it is its rater.",
    "X-User-Assertion": "A JWT of the product's own server that names its user to a publishable key's chats.",
    "X-Session-Id": "The session that the chat belongs to.",
    "X-User-Id": "Who asks, where a secret key vouches for it.",
    "X-Client-Request-Id": "An ID of the client's, by which the answer can be rated later.",
    "X-Mlflow-Return-Trace-Id": "`true`: the trace's ID comes right before `data: [DONE]`, for MLflow's clients.",
    "traceparent": "A W3C trace context. It is kept as a link on the trace.",
}
_SUBJECT = ("trace_id", "client_request_id", "user_id")
_RATER = ("X-Feedback-Token",)
_ASKER = ("X-Feedback-Token", "X-User-Assertion", "traceparent")

UNDESCRIBED = Operation(group="Other", summary="A route that isn't described yet")
OPERATIONS: dict[tuple[str, str], Operation] = {
    ("POST", "/v1/chat/completions"): Operation(
        group="OpenAI",
        summary="Ask as with OpenAI's API",
        description="Streamed with `stream: true`, else whole. The provider's fields pass through. The trace's ID is "
        "in the header `X-Trace-Id` and in `trace_id` of the body, or of the chunk that has a `finish_reason`.",
        body=(CompletionBody,),
        headers=(*_ASKER, "X-Session-Id", "X-User-Id", "X-Client-Request-Id", "X-Mlflow-Return-Trace-Id"),
        reply="ChatCompletion",
        streamed=True,
        provider=True,
    ),
    ("POST", "/chat/stream"): Operation(
        group="Chat",
        summary="Ask, and get the answer as server-sent events",
        description="Each event is one `data:` line of JSON, a StreamEvent. Exactly one is the last: `done` or "
        "`error`. Parameters beyond those named here go to the provider as they are. With `Last-Event-ID` and the "
        "`client_request_id` of the caller's own stream the same body asks for nothing new, but for the rest of that.",
        body=(native.ChatBody,),
        headers=("Last-Event-ID", *_ASKER),
        reply="StreamEvent",
        media=SSE,
        provider=True,
    ),
    ("POST", "/feedback"): Operation(
        group="Feedback",
        summary="Rate an answer",
        description="By thumb, or by any name and value. The same rater, trace and name again overrides the rating "
        "before. A 200 means that it is committed.",
        body=(feedback.Thumb, feedback.General),
        query=_SUBJECT,
        headers=("Idempotency-Key", *_RATER),
        reply=feedback.Rated,
    ),
    ("POST", "/chat"): Operation(
        group="Chat",
        summary="Ask, and get the whole answer",
        body=(native.ChatBody,),
        headers=_ASKER,
        reply=native.ChatReply,
        provider=True,
    ),
    ("GET", "/chat/stream/{trace_id}"): Operation(
        group="Chat",
        summary="Resume a stream",
        description="Sends what came after the event that was read last, then continues live. After a restart it "
        "replays from the store.",
        query=("after",),
        headers=("Last-Event-ID", *_RATER),
        reply="StreamEvent",
        media=SSE,
        empty="There is nothing to resume.",
    ),
    ("POST", "/chat/stream/{trace_id}/stop"): Operation(
        group="Chat",
        summary="Stop a stream",
        description="What there is of the answer is kept, and can be rated.",
        headers=_RATER,
        reply=StopReply,
    ),
    ("POST", "/chat/ws-ticket"): Operation(
        group="Chat",
        summary="Get a ticket for one WebSocket",
        description="For browsers, which can't send a key when they open one: connect to `/chat/ws?ticket=…` within 30 "
        "seconds. The socket takes a ClientFrame and sends a ServerFrame.",
        body=(native.TicketRequest,),
        body_optional=True,
        headers=_ASKER[:2],
        reply=native.TicketReply,
    ),
    ("POST", "/feedback/token"): Operation(
        group="Feedback",
        summary="Get a feedback token for a browser that lost its own",
        description="By query parameters or the same as JSON.",
        body=(feedback.TokenRequest,),
        body_optional=True,
        query=_SUBJECT,
        reply=feedback.TokenReply,
    ),
    ("POST", "/detailed-feedback"): Operation(
        group="Feedback",
        summary="Rate an answer by the declared dimensions",
        description="By query parameters or the same as JSON. All or nothing: one bad value, and nothing is stored.",
        body=(DetailedBody,),
        body_optional=True,
        query=(*_SUBJECT, "comment", "accuracy"),
        headers=("Idempotency-Key", *_RATER),
        reply=feedback.RatedDetailed,
    ),
    ("GET", "/feedback"): Operation(
        group="Feedback",
        summary="Read this rater's valid ratings of a trace",
        query=_SUBJECT,
        headers=_RATER,
        reply=feedback.FeedbackList,
    ),
    ("DELETE", "/feedback"): Operation(
        group="Feedback",
        summary="Retract this rater's ratings of one name",
        description="The whole chain of that name becomes invalid; nothing is restored.",
        query=(*_SUBJECT, "name"),
        headers=_RATER,
        reply=feedback.Retracted,
    ),
    ("GET", "/sessions/{session_id}"): Operation(
        group="Chat",
        summary="Read a conversation, with this rater's ratings",
        query=("user_id",),
        headers=_RATER,
        reply=SessionReply,
    ),
    ("DELETE", "/users/{user_id}"): Operation(
        group="Operation",
        summary="Erase a user from this project",
        description="Their content and ID go; their ratings keep their numbers.",
        reply=Erased,
    ),
    ("POST", "/api/chat"): Operation(
        group="AI SDK",
        summary="Ask from the Vercel AI SDK's useChat",
        description="Answers with a UI message stream (v1). The trace's ID and a feedback token are in the message's "
        "metadata, as `traceId` and `feedbackToken`. The newest token in the messages' metadata names the rater beside "
        "a publishable key.",
        body=(ai_sdk.UIChat,),
        headers=_ASKER,
        media=SSE,
        provider=True,
    ),
    ("GET", "/api/chat/{session_id}/stream"): Operation(
        group="AI SDK",
        summary="Get the chat's running answer from its beginning on",
        query=("user_id",),
        headers=_RATER,
        media=SSE,
        empty="No answer of this chat is running.",
    ),
    ("POST", "/api/chat/{session_id}/stop"): Operation(
        group="AI SDK",
        summary="Stop the chat's running answer",
        description="That there is none is no error: `trace_id` and `outcome` are null then.",
        query=("user_id",),
        headers=_RATER,
        reply=StopReply,
    ),
    ("POST", "/v1/completions"): Operation(
        group="OpenAI",
        summary="Ask as with OpenAI's legacy API",
        description="The prompt is asked as a chat of one question, by any provider. It is recorded, and can be rated, "
        "as every chat. What a chat can't do (`echo`, `suffix`, `best_of`, `logprobs`, several prompts) is refused.",
        body=(TextBody,),
        headers=(*_ASKER, "X-Session-Id", "X-User-Id", "X-Client-Request-Id", "X-Mlflow-Return-Trace-Id"),
        reply="TextCompletion",
        streamed=True,
        provider=True,
    ),
    ("GET", "/v1/models"): Operation(
        group="OpenAI",
        summary="List the models",
        description="The declared ones; and of a pattern such as `up/*` the names that its providers list.",
        reply=ModelList,
    ),
    ("GET", "/v1/models/{model_id}"): Operation(
        group="OpenAI",
        summary="Check that a model can be asked",
        description="A declared one, or one that a declared pattern such as `up/*` takes.",
        reply=Model,
    ),
    ("POST", "/v1/embeddings"): Operation(
        group="OpenAI",
        summary="Get embeddings as with OpenAI's API",
        description="The provider's reply as it is.",
        body=(FreeBody,),
        reply="Embeddings",
        provider=True,
    ),
    ("GET", "/config"): Operation(
        group="Operation",
        summary="Get what a front end needs",
        description="Models, dimensions, and whether this caller needs a key.",
        reply=ConfigReply,
    ),
    ("GET", "/healthz"): Operation(group="Operation", summary="Check that the process answers", reply=StatusReply),
    ("GET", "/readyz"): Operation(
        group="Operation",
        summary="Check that the store takes writes and the server isn't draining",
        reply=StatusReply,
    ),
    ("GET", "/metrics"): Operation(group="Operation", summary="Get the metrics for Prometheus", media="text/plain"),
    ("GET", "/events"): Operation(
        group="Operation",
        summary="Follow finished chats and ratings as they happen",
        description="Server-sent events of the key's project. Each is one `data:` line of JSON, a FeedEvent.",
        reply="FeedEvent",
        media=SSE,
    ),
    ("GET", "/openapi.json"): Operation(group="Operation", summary="Get this description", reply="Document"),
    ("GET", "/docs"): Operation(group="Web", summary="Read this description as a page", media="text/html"),
    ("GET", "/docs/{name}"): Operation(
        group="Web", summary="Get a file of that page", media="application/octet-stream"
    ),
    ("GET", "/"): Operation(group="Web", summary="Get the web app", media="text/html"),
    ("GET", "/assets/{name}"): Operation(
        group="Web", summary="Get a file of the web app", media="application/octet-stream"
    ),
}
