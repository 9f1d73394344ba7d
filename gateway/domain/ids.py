"""Identifiers, and the only clocks. Every other module asks here for the time of day."""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Iterator

TRACE_ID = re.compile(r"tr-[0-9a-f]{32}")
SPAN_ID = re.compile(r"[0-9a-f]{16}")


def _random_hex(size: int = 4096) -> Iterator[str]:
    """Secure random bytes, eight at a time, as hex: one call of the system serves hundreds of IDs."""
    while True:
        pool = os.urandom(size).hex()
        for at in range(0, 2 * size, 16):
            yield pool[at : at + 16]


_hex16 = _random_hex().__next__


def now_ms() -> int:
    """Milliseconds since the epoch, UTC."""
    return time.time_ns() // 1_000_000


def steady_ms() -> int:
    """Milliseconds for measuring how long something took: they go on evenly, whatever is done to the clock."""
    return time.monotonic_ns() // 1_000_000


def new_trace_id() -> str:
    """`tr-` + 32 hex: an OpenTelemetry trace ID whose first 48 bits are the time, so that inserts stay local."""
    return f"tr-{now_ms():012x}{_hex16()}{_hex16()[:4]}"


def parent_trace_id(traceparent: str) -> str:
    """Return the ID of the caller's own trace from a W3C traceparent."""
    return f"tr-{traceparent[3:35]}"


def new_span_id() -> str:
    """16 hex, as OpenTelemetry has it. Nothing is guarded by it, so that it needs no secure randomness."""
    return f"{random.getrandbits(64):016x}"


def new_assessment_id() -> str:
    """`a-` + 32 hex; the microsecond comes first, so that ratings of one moment keep their order."""
    return f"a-{time.time_ns() // 1000:013x}{_hex16()}{_hex16()[:3]}"


def new_request_id() -> str:
    """What `X-Request-Id` says where the caller sent none."""
    return f"req-{random.getrandbits(96):024x}"


def new_session_id() -> str:
    """A conversation's ID where the caller named none; the time comes first for the same reason as in a trace's."""
    return f"s-{now_ms():012x}{_hex16()}{_hex16()[:4]}"
