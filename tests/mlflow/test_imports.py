"""What brings much at once: it comes in portions, rests, and ends with the server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from gateway.errors import Unavailable
from gateway.mlflow.imports import LARGE, Imports, portions


def test_portions() -> None:
    """As many as weigh no more than the bound, in order; one that is heavier goes alone."""
    assert list(portions([1, 2, 3, 9, 1], lambda each: each, 5)) == [[1, 2], [3], [9], [1]]
    assert list(portions([], lambda _: 1, 5)) == []


async def test_a_large_body_leaves_places_to_small_ones() -> None:
    """Of the same project, too; a second large one waits."""
    imports = Imports()
    async with imports.turn("p", LARGE + 1):
        async with asyncio.timeout(10):
            async with imports.turn("p", LARGE):
                pass
        second = asyncio.create_task(imports.turn("q", LARGE + 1).__aenter__())
        await asyncio.sleep(0)
        assert not second.done()
    async with asyncio.timeout(10):
        await second


async def test_the_end_of_the_server_ends_what_is_brought() -> None:
    """Between two of its steps, and before it begins."""
    imports = Imports()
    loop, begun = asyncio.get_running_loop(), asyncio.Event()

    def endless(pace: Callable[[], None]) -> None:
        loop.call_soon_threadsafe(begun.set)
        while True:
            pace()

    working = asyncio.create_task(imports.work(endless))
    await begun.wait()
    imports.end()
    async with asyncio.timeout(10):
        with pytest.raises(Unavailable, match="shutting down"):
            await working
    with pytest.raises(Unavailable):
        imports.turn("p", 1)
    with pytest.raises(Unavailable):
        imports.write_turn("p")
