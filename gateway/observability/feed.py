"""The live feed: it hands finished chats and ratings to its subscribers at once. It keeps no history.

`GET /events` subscribes. app.py publishes, and never waits.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

import msgspec

from gateway.domain.activity import Activity


class Lost(msgspec.Struct, frozen=True, tag="lost", tag_field="event"):
    """Tells a subscriber how many activities it missed at this point, because it was too slow."""

    count: int


class _Subscriber:
    def __init__(self, limit: int) -> None:
        self.waiting: deque[Activity] = deque(maxlen=limit)
        self.lost = 0
        self.wake = asyncio.Event()


class Feed:
    """At most `limit` activities wait for one subscriber. Beyond that it loses the oldest, and is told so."""

    def __init__(self, limit: int = 1000) -> None:
        self._limit = limit
        self._subscribers: set[_Subscriber] = set()
        self._closed = False

    def __len__(self) -> int:
        """Return the number of subscribers."""
        return len(self._subscribers)

    def publish(self, activity: Activity) -> None:
        """Hand an activity to every subscriber. Never waits."""
        for subscriber in self._subscribers:
            if len(subscriber.waiting) == self._limit:
                subscriber.lost += 1
            subscriber.waiting.append(activity)
            subscriber.wake.set()

    def close(self) -> None:
        """End every subscription after the activities that wait for it."""
        self._closed = True
        for subscriber in self._subscribers:
            subscriber.wake.set()

    async def subscribe(self) -> AsyncIterator[Activity | Lost]:
        """Yield what is published from the first step on, until the iterator is closed."""
        subscriber = _Subscriber(self._limit)
        self._subscribers.add(subscriber)
        try:
            while not self._closed:
                await subscriber.wake.wait()
                subscriber.wake.clear()
                if subscriber.lost:
                    lost, subscriber.lost = subscriber.lost, 0
                    yield Lost(lost)
                while subscriber.waiting:
                    yield subscriber.waiting.popleft()
        finally:
            self._subscribers.discard(subscriber)
