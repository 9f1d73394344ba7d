"""Lets a few owners work at once, so that no project has all of what is scarce: searches, imports.

Who comes while all places are taken, or its own are, waits its turn, the owner that was served longest ago first. It
does no work itself. Made by an engine for its searches and by app.py for imports.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from gateway.errors import TooManyRequests


class Turns:
    """`places` in all, at most `each` for one owner, of whom at most `waiting` wait, for `patience_s` at most."""

    def __init__(self, places: int, *, each: int = 1, waiting: int = 50, patience_s: float = 30) -> None:
        self._free, self._each, self._waiting, self._patience_s = places, each, waiting, patience_s
        self._running: Counter[str] = Counter()
        self._lines: dict[str, deque[asyncio.Future[None]]] = {}
        self._served: dict[str, int] = {}  # of the owners who wait or work: when each had a turn last
        self._count = itertools.count(1)

    @asynccontextmanager
    async def turn(self, owner: str) -> AsyncIterator[None]:
        """Hold a place meanwhile. Raise TooManyRequests where too many wait, or for too long."""
        await self.take(owner)
        try:
            yield
        finally:
            self.give_back(owner)

    async def take(self, owner: str) -> None:
        """Wait for a place and take it; whoever took it gives it back. Raise TooManyRequests as `turn` does."""
        line = self._lines.setdefault(owner, deque())
        if len(line) >= self._waiting:
            raise _too_many()
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.append(mine)
        self._next()
        try:
            async with asyncio.timeout(self._patience_s):
                await mine
        except BaseException as error:
            if mine.done() and not mine.cancelled():  # the turn came at the same moment
                self.give_back(owner)
            else:
                with suppress(ValueError):
                    line.remove(mine)
                self._forget(owner)
            if isinstance(error, TimeoutError):
                raise _too_many() from None
            raise

    def give_back(self, owner: str) -> None:
        """Leave a place to who waits."""
        self._free += 1
        self._running[owner] -= 1
        self._forget(owner)
        self._next()

    def _next(self) -> None:
        while self._free:
            able = [owner for owner, line in self._lines.items() if line and self._running[owner] < self._each]
            if not able:
                return
            owner = min(able, key=lambda each: self._served.get(each, 0))
            next_one = self._lines[owner].popleft()
            if next_one.done():  # who waited has just given up
                continue
            self._free -= 1
            self._running[owner] += 1
            self._served[owner] = next(self._count)
            next_one.set_result(None)

    def _forget(self, owner: str) -> None:
        """Drop what is kept of an owner who neither waits nor works."""
        if not self._running[owner]:
            del self._running[owner]
            if not self._lines.get(owner):
                self._lines.pop(owner, None)
                self._served.pop(owner, None)


def _too_many() -> TooManyRequests:
    return TooManyRequests("Too many of these requests wait in your project: try again in a moment.", retry_after=2)
