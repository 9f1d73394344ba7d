"""The schemas of /openapi.json that no single type gives, and the words for fields. Called by openapi.py.

Frames are events or bodies with something more beside them; errors are written by hand (wire/native.py,
wire/openai.py).
"""

from __future__ import annotations

from typing import Any

from gateway.domain.activity import ChatActivity, RatingActivity
from gateway.observability.feed import Lost
from gateway.web.error_codes import ERROR_CODES
from gateway.wire import native_events as events

# Types that no route names as its body or reply, by the schemas below.
TYPES: tuple[Any, ...] = (
    events.StartEvent,
    events.TokenEvent,
    events.ReasoningEvent,
    events.ToolCallEvent,
    events.DeltaEvent,
    events.DoneEvent,
    events.ErrorEvent,
    events.StopFrame,
    events.ResumeFrame,
    events.PingFrame,
    events.PongFrame,
    events.FeedbackRecordedFrame,
    events.ErrorFrame,
    ChatActivity,
    RatingActivity,
    Lost,
)


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _tagged(description: str, by: str, names: dict[str, str]) -> dict[str, Any]:
    """Return a schema of one of these, told apart by a field's value."""
    references = {value: _ref(name) for value, name in names.items()}
    return {
        "description": description,
        "oneOf": list(references.values()),
        "discriminator": {
            "propertyName": by,
            "mapping": {value: reference["$ref"] for value, reference in references.items()},
        },
    }


def _frame(kind: str, description: str, *parts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return a frame's schema, of other schemas and more fields. `id` is required where it is among the fields."""
    own = {
        "type": "object",
        "required": ["type", *(["id"] if "id" in fields else [])],
        "properties": {"type": {"enum": [kind]}, **fields},
    }
    return {"description": description, "allOf": [*parts, own]}


_ID = {"type": "string", "minLength": 1, "maxLength": 250}
_CODES = "\n".join(f"* `{code}` ({status}): {meaning}" for code, (status, meaning) in ERROR_CODES.items())

SCHEMAS: dict[str, Any] = {
    "StreamEvent": _tagged(
        "One event of a native stream. Clients should ignore a `type` that they don't know.",
        "type",
        {
            "start": "StartEvent",
            "token": "TokenEvent",
            "reasoning": "ReasoningEvent",
            "tool_call": "ToolCallEvent",
            "delta": "DeltaEvent",
            "done": "DoneEvent",
            "error": "ErrorEvent",
        },
    ),
    "EventFrame": {
        "description": "An event of the chat `id`, as a frame of a WebSocket. `seq` is the event's id.",
        "allOf": [
            _ref("StreamEvent"),
            {
                "type": "object",
                "required": ["id", "seq"],
                "properties": {"id": {"type": "string"}, "seq": {"type": "integer"}},
            },
        ],
    },
    "ServerFrame": {
        "description": "A frame that the gateway sends.",
        "anyOf": [_ref(name) for name in ("EventFrame", "FeedbackRecordedFrame", "PongFrame", "ErrorFrame")],
    },
    "ChatFrame": _frame("chat", "Ask. The answer's frames bear `id`.", _ref("ChatBody"), id=_ID),
    "FeedbackFrame": _frame(
        "feedback",
        "Rate an answer: the query and the body of POST /feedback side by side.",
        {"anyOf": [_ref("Thumb"), _ref("General")]},
        trace_id={"type": "string", "pattern": "^tr-[0-9a-f]{32}$"},
        client_request_id=_ID,
        user_id=_ID,
        feedback_token={"type": "string"},
    ),
    "ClientFrame": {
        "description": "A frame that a client sends. A field `id` comes back in what answers it.",
        "oneOf": [_ref(name) for name in ("ChatFrame", "StopFrame", "ResumeFrame", "FeedbackFrame", "PingFrame")],
    },
    "FeedEvent": _tagged(
        "One event of GET /events. `lost` says how many were left out for a reader that was too slow.",
        "event",
        {"chat": "ChatActivity", "rating": "RatingActivity", "lost": "Lost"},
    ),
    "ErrorCode": {"type": "string", "enum": list(ERROR_CODES), "description": f"What went wrong:\n\n{_CODES}"},
    "Error": {
        "description": "An error of the native routes.",
        "type": "object",
        "required": ["error", "code"],
        "properties": {
            "error": {"type": "string"},
            "code": _ref("ErrorCode"),
            "trace_id": {"type": "string"},
            "details": {"type": "array", "items": _ref("Problem")},
        },
    },
    "OpenAIError": {
        "description": "An error of the routes under /v1, as OpenAI's clients read it.",
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "description": "What went wrong.",
                "required": ["message", "type", "code", "param"],
                "properties": {
                    "message": {"type": "string", "description": "Short text for people."},
                    "type": {"type": "string", "description": "OpenAI's kind of error, such as `rate_limit_error`."},
                    "code": {"type": ["string", "null"], "description": "An ErrorCode, or the provider's own."},
                    "param": {"type": ["string", "null"], "description": "The field that is meant."},
                },
            }
        },
    },
    "ChatCompletion": {
        "description": "OpenAI's chat completion as the provider gave it, with the trace's ID beside it.",
        "type": "object",
        "properties": {"trace_id": {"type": "string"}},
    },
    "TextCompletion": {
        "description": "OpenAI's text completion, with `trace_id`.",
        "type": "object",
        "properties": {"trace_id": {"type": "string"}},
    },
    "Embeddings": {"description": "OpenAI's list of embeddings as the provider gave it.", "type": "object"},
    "Document": {"description": "An OpenAPI 3.1 document.", "type": "object"},
}

# What a field says, wherever it stands. A type that says more of its own field counts more.
FIELDS: dict[str, str] = {
    "after": "The `seq` of the last frame that was read.",
    "answered_model": "The model that answered, as the provider names it.",
    "assessment_id": "The rating's ID.",
    "assessments": "Ratings, judges' values and expectations that are valid.",
    "attempts": "How many targets were tried.",
    "attributes": "The span's attributes.",
    "client_request_id": "An ID of the client's, by which the answer can be rated later.",
    "code": "A stable word for the error: an ErrorCode.",
    "comment": "What the rater says about it, up to 10,000 characters.",
    "completion_tokens": "Tokens of the answer.",
    "completion_tokens_details": "Which of them were what, by the provider's names, such as `reasoning_tokens`.",
    "content": "Text.",
    "cost": "What it cost, by the model's prices; null where they aren't configured.",
    "count": "How many.",
    "counted": "Of how many traces the counts are.",
    "created": "Always 0.",
    "cut": "The fields of which the end is missing.",
    "data": "The models.",
    "default_model": "The model that answers where a chat names none.",
    "delta": "Fields of the provider's delta, as they came. Those of one answer belong together.",
    "details": "Each bad field.",
    "dimensions": "What /detailed-feedback takes, by name.",
    "duration_ms": "From the request to the end of the answer, in milliseconds.",
    "end": "Milliseconds UTC.",
    "error": "Short text for people.",
    "error_code": "Why the answer failed: a stable word.",
    "error_message": "Why the answer failed, for people.",
    "event": "What happened.",
    "events": "The span's events, such as exceptions.",
    "experiment_id": "The experiment it is in.",
    "expires_at": "Milliseconds UTC.",
    "expires_in_s": "Seconds.",
    "feedback": "This rater's valid ratings.",
    "feedback_recorded": "The raw scores and options that were stored, by dimension.",
    "feedback_token": "What a browser rates, resumes and stops this answer with.",
    "field": "The field's name.",
    "finish_reason": "Why the answer ended: the provider's word, or `stopped` or `disconnected`.",
    "first_token_ms": "From the request to the first token, in milliseconds.",
    "id": "The client's name for the chat or the request, which comes back in what answers it.",
    "inputs": "What was asked.",
    "is_correct": "Thumb up or down.",
    "key_required": "Whether this caller has to send a key.",
    "kind": "`feedback` or `expectation`.",
    "max": "The best score.",
    "message": "The question.",
    "messageId": "The message to answer anew, with the trigger `regenerate-message`.",
    "messages": "The conversation, in the form of this wire.",
    "metadata": "Pairs of strings that are kept with it.",
    "min": "The lowest score.",
    "model": "The model's name. Without one, `default` answers, else the first that is declared.",
    "models": "The models.",
    "name": "The name of the rating or of the span.",
    "names": "The names of ratings that the token is for; none: any.",
    "next_page_token": "For the next page; null: this is the last.",
    "next_span_token": "For the next spans; null: these are the last.",
    "object": "OpenAI's word for the type.",
    "options": "What can be chosen.",
    "outcome": "How the answer ended.",
    "outcomes": "How answers ended.",
    "outputs": "What was answered.",
    "overrides": "The ID of the one that it took the place of.",
    "owned_by": "Always `feedback-gateway`.",
    "parent_id": "The span above it; null: it is the root.",
    "parent_trace_id": "The caller's own trace, by its traceparent.",
    "parts": "The message's parts, as the AI SDK has them.",
    "preview": "How the question begins.",
    "problem": "What is wrong with it.",
    "project": "The key's project.",
    "prompt": "The text to go on from, or a list with one.",
    "prompt_tokens": "Tokens of the question.",
    "prompt_tokens_details": "Which of them were what, by the provider's names, such as `cached_tokens`.",
    "provider": "The provider that answered.",
    "ratings": "How many ratings lost their person.",
    "rationale": "Why, in words, up to 10,000 characters.",
    "reasons": "Words chosen from a list, kept in the metadata.",
    "request_preview": "How the question begins.",
    "response": "The answer's text.",
    "response_preview": "How the answer begins.",
    "retracted": "How many valid ratings of that name there were.",
    "retryable": "Whether the same request may succeed later.",
    "rewritten": "Whether the store's file was written anew, so that nothing of the deleted text is left in it.",
    "role": "Who speaks.",
    "route": "The route that was asked.",
    "score": "The raw score, such as `4/5`.",
    "seq": "The event's id: what to resume after.",
    "session_id": "The conversation's ID. With `message` the stored turns come first.",
    "source_id": "The rater.",
    "source_type": "`HUMAN`, `LLM_JUDGE` or `CODE`.",
    "span_count": "How many spans the trace has in all.",
    "span_id": "The span that is rated: 16 hex digits. Without it, the whole answer.",
    "spans": "The tree of what was done, without its content.",
    "start": "Milliseconds UTC.",
    "state": "Whether the answer runs, ended well or failed.",
    "status": "That it went well.",
    "stream": "Whether the answer comes as server-sent events.",
    "tags": "Pairs of strings by which traces are found, or how often each key comes.",
    "ticket": "Opens one WebSocket.",
    "time": "Milliseconds UTC.",
    "timing": "How long it took.",
    "tokens": "Tokens in all.",
    "tool_call": "A piece of a tool call, as OpenAI's `delta.tool_calls` has it.",
    "total_ms": "From the request to the end, in milliseconds.",
    "total_tokens": "Both together.",
    "trace_id": "The trace's ID: `tr-` and 32 hex digits.",
    "trace_name": "The name that a client gave it.",
    "traces": "The traces, or how many lost their person.",
    "trigger": "What the AI SDK says caused the request.",
    "turns": "Questions and answers, oldest first.",
    "type": "What it is.",
    "usage": "Tokens as the provider counts them; null where it doesn't say.",
    "user_id": "The product's own ID of the user.",
    "valid": "False once it was overridden or retracted.",
    "value": "The rating: up to 10 kB.",
    "values": "Its values, the most frequent first.",
    "version": "The gateway's release.",
}
