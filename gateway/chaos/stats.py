"""The chaos upstream's counters. server.py and answer.py count; tests read `server.stats`, others GET /stats."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

import msgspec

KEPT = 32
KEPT_BODY = 1_000_000


class ClientClose(msgspec.Struct, frozen=True):
    """A connection that the client closed. `at` is time.monotonic(), in seconds."""

    model: str  # of the reply that was being sent; empty between replies
    at: float
    sent: int  # bytes of that reply


class ReceivedRequest(msgspec.Struct, frozen=True):
    """A request that arrived. Header names are in lower case; the body is cut at a megabyte."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes
    at: float  # time.monotonic()

    def header(self, name: str) -> str | None:
        """Return the first header of that name, or None."""
        return next((value for key, value in self.headers if key == name.lower()), None)

    def json(self) -> Any:
        """Return the decoded JSON body. Raises msgspec.DecodeError."""
        return msgspec.json.decode(self.body)


class Stats:
    """Counters since the start. `running` counts the replies being sent, by model; `requests` counts all requests."""

    def __init__(self) -> None:
        self.connections = 0
        self.open = 0
        self.requests = 0
        self.by_model: Counter[str] = Counter()
        self.running: Counter[str] = Counter()
        self.closed_by_client: deque[ClientClose] = deque(maxlen=10_000)
        self.last: deque[ReceivedRequest] = deque(maxlen=KEPT)

    def as_json(self) -> bytes:
        """Return the reply to GET /stats."""
        last = [
            {
                "method": s.method,
                "path": s.path,
                "headers": s.headers,
                "body": s.body.decode(errors="replace"),
                "at": s.at,
            }
            for s in self.last
        ]
        return msgspec.json.encode(
            {
                "connections": self.connections,
                "open": self.open,
                "requests": self.requests,
                "by_model": self.by_model,
                "running": +self.running,
                "closed_by_client": list(self.closed_by_client),
                "last": last,
            }
        )
