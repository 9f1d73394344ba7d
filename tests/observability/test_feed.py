"""The live feed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from gateway.domain.activity import Activity
from gateway.observability.feed import Feed, Lost
from tests.support.activities import chat, rating


async def started(feed: Feed) -> tuple[AsyncGenerator[Activity | Lost, None], asyncio.Task[Activity | Lost]]:
    """Start a subscriber, and let it wait for its first activity."""
    events = feed.subscribe()
    assert isinstance(events, AsyncGenerator)

    async def step() -> Activity | Lost:
        return await anext(events)

    first = asyncio.create_task(step())
    await asyncio.sleep(0)
    return events, first


async def test_everybody_gets_everything_from_now_on() -> None:
    """A subscriber gets what is published after it subscribed, and nothing from before."""
    feed = Feed()
    feed.publish(chat())
    one, one_first = await started(feed)
    two, two_first = await started(feed)
    assert len(feed) == 2
    feed.publish(rating())
    assert await one_first == await two_first == rating()
    feed.publish(chat())
    assert await anext(one) == await anext(two) == chat()
    await one.aclose()
    await two.aclose()
    assert len(feed) == 0


async def test_who_is_slow_loses_the_oldest_and_is_told() -> None:
    """A subscriber that is too slow gets the number of lost activities, then the newest ones."""
    feed = Feed(limit=2)
    events, first = await started(feed)
    for at in range(5):
        feed.publish(chat(time=at))
    got = [await first, await anext(events), await anext(events)]
    assert got == [Lost(3), chat(time=3), chat(time=4)]
    await events.aclose()


async def test_who_leaves_while_waiting_is_forgotten() -> None:
    """A subscriber that is cancelled while it waits is forgotten."""
    feed = Feed()
    _, first = await started(feed)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert len(feed) == 0


async def test_a_close_ends_every_subscription() -> None:
    """Closing ends a subscription after what waits for it; later subscribers end at once."""
    feed = Feed()
    events, first = await started(feed)
    feed.publish(chat())
    feed.publish(rating())
    feed.close()
    assert [await first, *[event async for event in events]] == [chat(), rating()]
    assert [event async for event in feed.subscribe()] == []
    assert len(feed) == 0
