"""The names of families: what their providers list, each asked once a minute at most."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.config.schema import Model, Provider, Target
from gateway.errors import ProviderError
from gateway.providers.catalog import Catalog
from gateway.providers.demo import DemoProvider
from gateway.providers.openai import OpenAIProvider
from tests.support.clock import jumping


class Lists(OpenAIProvider):
    """A provider that lists the next of `replies`: names, an error, or seconds to wait before it lists none."""

    def __init__(self, *replies: Any) -> None:
        super().__init__(Provider(base_url="http://up.example/v1"))
        self.replies = list(replies)
        self.asked = 0

    async def models(self, connect_timeout_s: float) -> list[str]:
        self.asked += 1
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        await asyncio.sleep(reply if isinstance(reply, float) else 0)
        return [] if isinstance(reply, float) else list(reply)


@pytest.fixture(autouse=True)
async def clock() -> AsyncIterator[None]:
    """Timers run at once."""
    with jumping():
        yield


def catalog(up: Lists, families: dict[str, tuple[str | Target, ...]]) -> Catalog:
    nearest_first = sorted(families.items(), key=lambda family: len(family[0]), reverse=True)
    return Catalog(
        [(beginning, Model(targets=targets)) for beginning, targets in nearest_first],
        {"up": up, "demo": DemoProvider()},
    )


async def test_a_family_begins_as_it_is_declared() -> None:
    """Whole providers, a part of one, a name that is of a nearer family, a target without a star, a demo."""
    up = Lists(["a", "gpt-4", "gpt-5", "big-one", "x" * 300, "odd\n", "gpt-"])
    families: dict[str, tuple[str | Target, ...]] = {
        "u/": ("up/*", "demo/*"),
        "g/": (Target(target="up/gpt-*", weight=2), "up/a"),
        "u/big": ("up/big*",),
    }
    listed = await catalog(up, families).names()
    assert listed == ["u/big-one", "u/a", "u/gpt-4", "u/gpt-5", "u/gpt-", "g/4", "g/5"]
    assert up.asked == 1


async def test_a_list_holds_for_a_minute() -> None:
    """Whoever asks within it, or at the same time, gets the same."""
    up = Lists(["a"], ["b"])
    made = catalog(up, {"u/": ("up/*",)})
    first, second = await asyncio.gather(made.names(), made.names())
    assert first == second == ["u/a"]
    await asyncio.sleep(59)
    assert await made.names() == ["u/a"]
    await asyncio.sleep(2)
    assert await made.names() == ["u/b"]
    assert up.asked == 2


@pytest.mark.parametrize("bad", [ProviderError("Broken."), 20.0])
async def test_a_provider_that_lists_nothing(bad: Any) -> None:
    """What it listed before holds on; it is asked again soon, and not by each caller."""
    up = Lists(["a"], bad, ["b"])
    made = catalog(up, {"u/": ("up/*",)})
    assert await made.names() == ["u/a"]
    await asyncio.sleep(61)
    assert [await made.names(), await made.names()] == [["u/a"], ["u/a"]]
    assert up.asked == 2
    await asyncio.sleep(11)
    assert await made.names() == ["u/b"]


async def test_a_list_has_its_end() -> None:
    """A provider can't make the reply as long as it likes."""
    up = Lists([str(number) for number in range(10_001)])
    assert len(await catalog(up, {"u/": ("up/*",)}).names()) == 10_000


async def test_without_families_nobody_is_asked() -> None:
    """Then there is nothing to list."""
    up = Lists()
    assert await catalog(up, {}).names() == []
    assert up.asked == 0
