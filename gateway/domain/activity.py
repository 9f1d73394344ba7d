"""What the log, the live feed and `gateway tail` show: one value for each finished chat, and for each rating.

Their JSON form is that of `GET /events`. They are made by chat.py, by the feedback service, and from stored rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


class ChatActivity(msgspec.Struct, frozen=True, kw_only=True, tag="chat", tag_field="event"):
    """One finished chat."""

    time: int  # of its end, in milliseconds UTC
    trace_id: str
    route: str
    model: str  # the requested one
    provider: str | None
    attempts: int
    outcome: str  # a domain.trace.Outcome
    first_token_ms: int | None
    duration_ms: int
    tokens: int | None
    error: str | None = None
    project: str = "default"
    session_id: str | None = None
    user_id: str | None = None
    preview: str | None = None  # how the user's message begins; never in the log


class RatingActivity(msgspec.Struct, frozen=True, kw_only=True, tag="rating", tag_field="event"):
    """One rating, or its retraction."""

    time: int  # milliseconds UTC
    trace_id: str
    name: str
    value: Any  # a domain.trace.Value; None: it was retracted
    source_id: str
    project: str = "default"
    score: str | None = None  # "4/5", if the value is a point on a scale
    comment: str | None = None  # never in the log


Activity = ChatActivity | RatingActivity


def score_of(metadata: Mapping[str, str]) -> str | None:
    """Return the score as the rater gave it, from a rating's metadata: "4/5" or "4"; None if there is none."""
    score, scale = metadata.get("score"), metadata.get("scale", "")
    return f"{score}/{scale.partition('-')[2]}" if score and "-" in scale else score
