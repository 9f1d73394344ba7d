"""Time that takes no time: where the loop would wait for a timer, its clock jumps there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock


@contextmanager
def jumping() -> Iterator[None]:
    """For the running loop. Only for tests whose parts are all in this loop: no thread, no socket."""
    loop: Any = asyncio.get_running_loop()
    real_time, real_select = loop.time, loop._selector.select
    ahead = 0.0

    def select(timeout: float | None) -> Any:
        nonlocal ahead
        if timeout is None or timeout <= 0:
            return real_select(timeout)
        ahead += timeout
        return real_select(0)

    def now() -> float:
        return float(real_time() + ahead)

    with (
        mock.patch.object(loop, "time", now),
        mock.patch.object(loop._selector, "select", select),
    ):
        yield


async def ticks(count: int = 10) -> None:
    """Let everything that is ready run."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(come: Callable[[], object]) -> None:
    """Wait for what no event tells."""
    while not come():  # noqa: ASYNC110 - what is looked at has no event
        await asyncio.sleep(0.005)
