"""New identifiers, and the clocks. Every module takes the time of day from here, so that tests can replace it."""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Iterator

TRACE_ID = re.compile(r"tr-[0-9a-f]{32}")
SPAN_ID = re.compile(r"[0-9a-f]{16}")


def _random_hex(size: int = 4096) -> Iterator[str]:
    """Yield 16 random hex digits at a time, from a secure source. One system call serves hundreds of IDs."""
    while True:
        pool = os.urandom(size).hex()
        for at in range(0, 2 * size, 16):
            yield pool[at : at + 16]


_hex16 = _random_hex().__next__


def now_ms() -> int:
    """Return the milliseconds since the epoch, UTC."""
    return time.time_ns() // 1_000_000


def monotonic_ms() -> int:
    """Return the milliseconds of a clock that nobody can set. It serves to measure durations."""
    return time.monotonic_ns() // 1_000_000


def _rising_trace_ids() -> Iterator[str]:
    last = rest = 0
    while True:
        now = now_ms()
        if now == last:
            rest += 1 + int(_hex16(), 16)  # a step at random, so that nobody can guess the next ID from this one
        else:
            last, rest = now, int(_hex16() + _hex16()[:4], 16) >> 1  # the upper half is the room for steps
        yield f"tr-{now:012x}{rest:020x}"


_next_trace_id = _rising_trace_ids().__next__


def new_trace_id() -> str:
    """Return `tr-` and the 32 hex digits of an OpenTelemetry trace ID.

    The first 48 bits are the time in milliseconds, so that new rows are next to each other in the index. Within a
    millisecond the IDs of one process rise, so that the newest trace is the last by its ID.
    """
    return _next_trace_id()


def parent_trace_id(traceparent: str) -> str:
    """Return the ID of the caller's own trace from a W3C traceparent."""
    return f"tr-{traceparent[3:35]}"


def _rising_span_ids() -> Iterator[str]:
    last = 0
    while True:
        last = max(last + 1, now_ms() << 20 | random.getrandbits(20))
        yield f"{last:016x}"


_next_span_id = _rising_span_ids().__next__


def new_span_id() -> str:
    """Return 16 hex digits, as OpenTelemetry has them. They protect nothing, so they needn't be secure.

    Those of one process rise, so that the spans of a trace keep their order within a millisecond.
    """
    return _next_span_id()


def new_assessment_id() -> str:
    """Return `a-` and 32 hex digits. The microsecond comes first, so that ratings keep their order."""
    return f"a-{time.time_ns() // 1000:013x}{_hex16()}{_hex16()[:3]}"


def new_request_id() -> str:
    """Return a value for `X-Request-Id`, for callers that sent none."""
    return f"req-{random.getrandbits(96):024x}"


def new_session_id() -> str:
    """Return a conversation's ID, for callers that named none. The time comes first, as in a trace's ID."""
    return f"s-{now_ms():012x}{_hex16()}{_hex16()[:4]}"
