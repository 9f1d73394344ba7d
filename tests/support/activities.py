"""Activities of chats and ratings, for tests of the log, the feed and the CLI."""

from __future__ import annotations

from gateway.domain.activity import ChatActivity, RatingActivity
from gateway.domain.trace import Value

TRACE = "tr-" + "0" * 32


def chat(
    *,
    time: int = 1_700_000_000_123,
    trace_id: str = TRACE,
    model: str = "default",
    outcome: str = "complete",
    first_token_ms: int | None = 420,
    duration_ms: int = 1920,
    tokens: int | None = 57,
    error: str | None = None,
    preview: str | None = "What is the capital of France?",
) -> ChatActivity:
    return ChatActivity(
        time=time,
        trace_id=trace_id,
        route="/chat/stream",
        model=model,
        provider="openai",
        attempts=1,
        outcome=outcome,
        first_token_ms=first_token_ms,
        duration_ms=duration_ms,
        tokens=tokens,
        error=error,
        preview=preview,
    )


def rating(
    value: Value | None = True, *, time: int = 1_700_000_000_456, rater: str = "mia", comment: str | None = "Good!"
) -> RatingActivity:
    return RatingActivity(
        time=time, trace_id=TRACE, name="user_feedback", value=value, source_id=rater, comment=comment
    )
