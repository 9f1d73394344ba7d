"""Whether a request asks once more for an answer that was given before: a client that retries its own POST.

It does no I/O; chat.py finds the trace, by the caller's own ID for the request.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.domain.messages import ChatRequest
from gateway.domain.trace import Trace
from gateway.errors import Conflict


def check_same(trace: Trace, request: ChatRequest, digest: bytes | None) -> None:
    """Raise Conflict where the trace is another user's, or another body's.

    `digest`: of the body that it was asked with; None where this process doesn't know it any more. Then what the store
    has of the body is compared.
    """
    if trace.user_id != request.user_id:
        raise Conflict("The stream with this client_request_id is another user's.")
    same = request.body_digest == digest if digest is not None else _same_as_stored(trace, request)
    if not same:
        raise Conflict("The stream with this client_request_id was asked with another body.")


def _same_as_stored(trace: Trace, request: ChatRequest) -> bool:
    asked: list[Any] = msgspec.json.decode(request.fields["messages"])
    stored: list[Any] = msgspec.json.decode(trace.request or "[]")
    # Turns that the store put before the question aren't in the body.
    return (
        (stored[-1:] == asked if request.continues else stored == asked)
        and request.model in (None, trace.model)
        and request.session_id in (None, trace.session_id)
    )
