"""The connections of one client: which of them are open, and which are idle and can serve the next request.

It opens no connections (client.py does) and knows nothing of HTTP (connection.py does). Used by client.py only.
"""

from __future__ import annotations

import asyncio

from gateway.providers.http.connection import Connection


class Pool:
    """Keeps at most `max_idle` connections idle, each for at most `max_idle_s` seconds. Any number may be in use."""

    def __init__(self, max_idle: int = 1_000, max_idle_s: float = 30.0) -> None:
        self.max_idle, self.max_idle_s = max_idle, max_idle_s
        self.closed = False
        self._open: set[Connection] = set()
        self._idle: dict[Connection, float] = {}  # the loop time since when; the longest idle comes first

    @property
    def open_count(self) -> int:
        """Return the number of open connections, idle ones included."""
        return len(self._open)

    @property
    def idle_count(self) -> int:
        """Return the number of connections that wait for a request."""
        return len(self._idle)

    def take(self) -> Connection | None:
        """Return the connection that was used last, since it is the likeliest to be still open; None if none is idle.

        It also closes those that have been idle for too long.
        """
        self._close_old()
        return self._idle.popitem()[0] if self._idle else None

    def opened(self, connection: Connection) -> None:
        """Register a connection that was established."""
        self._open.add(connection)

    def became_idle(self, connection: Connection) -> None:
        """Keep a connection for the next request, or close it if there are enough."""
        self._close_old()
        if self.closed or len(self._idle) >= self.max_idle:
            connection.transport.abort()
        else:
            self._idle[connection] = asyncio.get_running_loop().time()

    def lost(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self._open.discard(connection)
        self._idle.pop(connection, None)

    def close(self) -> None:
        """Close every connection, and keep none from now on."""
        self.closed = True
        for connection in tuple(self._open):
            connection.transport.abort()

    def _close_old(self) -> None:
        limit = asyncio.get_running_loop().time() - self.max_idle_s
        while self._idle and self._idle[oldest := next(iter(self._idle))] < limit:
            del self._idle[oldest]
            oldest.transport.abort()
