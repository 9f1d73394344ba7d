"""The live feed: finished chats and ratings as they happen, to whoever listens. In memory; it keeps no history.

`GET /events` subscribes; the chat spine and the feedback service publish, and never wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

import msgspec

from gateway.observability.lines import Record


class Lost(msgspec.Struct, frozen=True, tag="lost", tag_field="event"):
    """So many records were dropped here, because this subscriber was behind."""

    count: int


class _Subscriber:
    def __init__(self, limit: int) -> None:
        self.waiting: deque[Record] = deque(maxlen=limit)
        self.lost = 0
        self.wake = asyncio.Event()


class Feed:
    """`limit`: how many records wait for one subscriber; beyond it that one loses the oldest and is told so."""

    def __init__(self, limit: int = 1000) -> None:
        self._limit = limit
        self._subscribers: set[_Subscriber] = set()
        self._closed = False

    def __len__(self) -> int:
        """How many listen."""
        return len(self._subscribers)

    def publish(self, record: Record) -> None:
        """Hand a record to every subscriber. Never waits."""
        for subscriber in self._subscribers:
            if len(subscriber.waiting) == self._limit:
                subscriber.lost += 1
            subscriber.waiting.append(record)
            subscriber.wake.set()

    def close(self) -> None:
        """End every subscription, once it has had what waits for it."""
        self._closed = True
        for subscriber in self._subscribers:
            subscriber.wake.set()

    async def subscribe(self) -> AsyncIterator[Record | Lost]:
        """What is published from the first step on, until the iterator is closed."""
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
