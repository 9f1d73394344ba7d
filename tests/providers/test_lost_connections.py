"""How the provider's client treats connections that end within a response: it loses no text and does not hang."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway import chaos
from gateway.config.schema import Provider
from gateway.errors import ProviderError
from gateway.providers.base import Call
from gateway.providers.openai import OpenAIProvider


class Sink:
    """Keeps the bytes; `room` waits for `free`, as it does while readers are behind."""

    done = False

    def __init__(self) -> None:
        self.data = b""
        self.free = asyncio.Event()
        self.fed = asyncio.Event()

    def head(self, *, sse: bool, request_id: str | None = None) -> None:
        assert sse

    def feed(self, data: bytes) -> bool:
        self.data += data
        self.fed.set()
        return not self.free.is_set()

    async def drain(self) -> None:
        await self.free.wait()


@pytest.fixture
async def server() -> AsyncIterator[chaos.ChaosServer]:
    running = await chaos.start()
    yield running
    await running.close()


@pytest.fixture
async def provider(server: chaos.ChaosServer) -> AsyncIterator[OpenAIProvider]:
    made = OpenAIProvider(Provider(base_url=server.url))
    yield made
    await made.close()


def _call(model: str) -> Call:
    return Call(model=model, fields={}, stream=True)


async def _gone(server: chaos.ChaosServer) -> None:
    while server.stats.open:  # noqa: ASYNC110  the server tells nobody
        await asyncio.sleep(0.01)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("model", ["reset-after-40", "close-after-40"])
async def test_what_came_before_a_reset_is_kept(
    server: chaos.ChaosServer, provider: OpenAIProvider, model: str
) -> None:
    """A reader that is behind when the connection dies still gets all that had arrived."""
    sink = Sink()
    task = asyncio.create_task(provider.chat(_call(model), sink))
    await sink.fed.wait()
    await _gone(server)
    await asyncio.sleep(0.02)  # the client's side hears of it on this loop, a turn later
    sink.free.set()
    with pytest.raises(ProviderError):
        await task
    assert sink.data.count(b'"content"') == 41  # the role, and all tokens


@pytest.mark.timeout(20)
async def test_a_bad_chunk_ends_the_reading(server: chaos.ChaosServer, provider: OpenAIProvider) -> None:
    """The failure comes at once, without a timeout, after what was good."""
    sink = Sink()
    sink.free.set()
    with pytest.raises(ProviderError):
        await provider.chat(_call("bad-chunk"), sink)
    assert "Grüße".encode() in sink.data


@pytest.mark.timeout(20)
async def test_a_kept_connection_that_ends_is_forgotten(server: chaos.ChaosServer, provider: OpenAIProvider) -> None:
    """A kept connection that ends is forgotten, whether it was idle or in use."""
    sink = Sink()
    sink.free.set()
    for _ in range(3):
        await provider.chat(_call("lorem-3-5ms"), sink)
    client = provider.client
    assert client.pool.idle_count == client.pool.open_count == server.stats.connections == 1
    await provider.close()
    await _gone(server)
    await asyncio.sleep(0.02)
    assert client.pool.idle_count == 0
    assert client.pool.open_count == 0
