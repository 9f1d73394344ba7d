"""Takes in much at once without anybody else noticing: turns by project, a thread that steps back, small writes.

It decides nothing about what is brought. Made by app.py, one for the server; called by handlers/.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from gateway.errors import Unavailable
from gateway.storage.turns import Turns

T = TypeVar("T")
LARGE = 100_000  # bytes of a body, from which on it is a large one
_WORK_S, _REST_S = 0.001, 0.002


class Imports:
    """Who brings much waits for others who do, never the other way round: a large body has one place, others have two.

    A project has one of each kind at a time.
    """

    def __init__(self) -> None:
        self._large, self._small = Turns(1, waiting=100), Turns(2, waiting=500)
        self._writes = Turns(4, each=2, waiting=2_000)
        self._threads = ThreadPoolExecutor(3, "imports")
        self._ended = False

    def end(self) -> None:
        """End what is brought, between two of its steps: the server is about to stop."""
        self._ended = True

    def check(self) -> None:
        """Raise Unavailable once all has been ended."""
        if self._ended:
            raise Unavailable("The server is shutting down.", retry_after=1)

    def turn(self, project: str, size: int) -> AbstractAsyncContextManager[None]:
        """Hold a place for a body of so many bytes. Raise TooManyRequests, and Unavailable after `end`."""
        self.check()
        return (self._large if size > LARGE else self._small).turn(project)

    def write_turn(self, project: str) -> AbstractAsyncContextManager[None]:
        """Hold a place for one write: what waits for a commit is small, and of several projects. Raise as `turn`."""
        self.check()
        return self._writes.turn(project)

    async def work(self, do: Callable[[Callable[[], None]], T]) -> T:
        """Return what `do` makes in a thread. It is given a function to call between its steps."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, do, _Pace(self.check).step)


class _Pace:
    """Lets the event loop go first: a thread that never waits would take turns with it at each system call.

    Each of its turns is five milliseconds long, and a stream's token makes such a call.
    """

    def __init__(self, check: Callable[[], None]) -> None:
        self._check, self._began = check, time.monotonic()

    def step(self) -> None:
        """Rest if it is time to. Raise what the check raises."""
        self._check()
        if time.monotonic() - self._began > _WORK_S:
            time.sleep(_REST_S)
            self._began = time.monotonic()


def portions(items: Sequence[T], weigh: Callable[[T], int], most: int) -> Iterator[Sequence[T]]:
    """Yield the items in portions whose weights are `most` together, or single ones that are heavier."""
    begin, total = 0, 0
    for at, item in enumerate(items):
        weight = weigh(item)
        if at > begin and total + weight > most:
            yield items[begin:at]
            begin, total = at, 0
        total += weight
    if begin < len(items):
        yield items[begin:]
