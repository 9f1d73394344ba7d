"""Identifiers, and the only clock. Every other module asks here for the time of day."""

from __future__ import annotations

import os
import random
import re
import time

TRACE_ID = re.compile(r"tr-[0-9a-f]{32}")
SPAN_ID = re.compile(r"[0-9a-f]{16}")


def now_ms() -> int:
    """Milliseconds since the epoch, UTC."""
    return time.time_ns() // 1_000_000


def new_trace_id() -> str:
    """`tr-` + 32 hex: an OpenTelemetry trace ID whose first 48 bits are the time, so that inserts stay local."""
    return f"tr-{now_ms():012x}{os.urandom(10).hex()}"


def new_span_id() -> str:
    """16 hex, as OpenTelemetry has it. Nothing is guarded by it, so that it needs no secure randomness."""
    return f"{random.getrandbits(64):016x}"


def new_assessment_id() -> str:
    """`a-` + 32 hex, MLflow's form."""
    return f"a-{os.urandom(16).hex()}"


def new_request_id() -> str:
    """What `X-Request-Id` says where the caller sent none."""
    return f"req-{random.getrandbits(96):024x}"


def new_session_id() -> str:
    """A conversation's ID where the caller named none."""
    return f"s-{os.urandom(16).hex()}"
