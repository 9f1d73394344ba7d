"""Turns: no owner has all places, and who was served longest ago is next."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import TooManyRequests
from gateway.storage.turns import Turns


async def _settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_one_owner_leaves_places_to_others() -> None:
    """The second turn of the same owner waits, another owner's doesn't."""
    turns = Turns(2)
    await turns.take("a")
    second = asyncio.create_task(turns.take("a"))
    await turns.take("b")
    await _settle()
    assert not second.done()
    turns.give_back("a")
    await second


async def test_who_was_served_longest_ago_is_next() -> None:
    """However many of another owner's came before."""
    turns = Turns(1)
    order: list[str] = []

    async def work(owner: str) -> None:
        async with turns.turn(owner):
            order.append(owner)
            await _settle()

    await asyncio.gather(*(work(owner) for owner in "aaab"))
    assert order == ["a", "b", "a", "a"]
    assert not turns._lines
    assert not turns._served


async def test_too_many_wait() -> None:
    """One more is refused at once; those of others aren't."""
    turns = Turns(1, waiting=1)
    await turns.take("a")
    waiting = asyncio.create_task(turns.take("a"))
    await _settle()
    with pytest.raises(TooManyRequests):
        await turns.take("a")
    other = asyncio.create_task(turns.take("b"))
    await _settle()
    turns.give_back("a")
    await other
    turns.give_back("b")
    await waiting


async def test_who_waits_too_long_is_refused() -> None:
    """And its place in the line is left to the next."""
    turns = Turns(1, patience_s=0)
    await turns.take("a")
    with pytest.raises(TooManyRequests):
        await turns.take("b")
    turns.give_back("a")
    async with asyncio.timeout(5):
        await Turns(1).take("b")


@pytest.mark.parametrize("given_first", [True, False])
async def test_who_leaves_while_waiting_takes_no_place(given_first: bool) -> None:
    """Not even where the turn comes at the same moment."""
    turns = Turns(1)
    await turns.take("a")
    leaver = asyncio.create_task(turns.take("b"))
    await _settle()
    if given_first:
        turns.give_back("a")
        leaver.cancel()
    else:
        leaver.cancel()
        turns.give_back("a")
    await asyncio.gather(leaver, return_exceptions=True)
    await turns.take("c")
