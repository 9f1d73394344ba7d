"""Prompts of two megabytes, while their answers run."""

from __future__ import annotations

import asyncio

import pytest

from tests.conftest import StartGateway
from tests.stress.memory import resident_kb
from tests.support.load_client import Exchange, send
from tests.support.router import chunk
from tests.support.upstream import HEAD, part, raw_server

BYTES = 2_000_000
CHATS = 16


@pytest.mark.parametrize("path", ["/chat/stream", "/v1/chat/completions"])
async def test_a_long_prompt_is_not_kept_over_and_over(start_gateway: StartGateway, path: str) -> None:
    """A chat that runs needs its prompt for another attempt at most: one copy, not one per layer that it came by."""
    async with raw_server() as raw:
        raw.replies = [[HEAD + part(chunk("Well")), "gone"] for _ in range(CHATS + 1)]
        gateway = await asyncio.to_thread(
            start_gateway,
            {
                "providers": {"slow": {"kind": "openai", "base_url": raw.url}},
                "models": {"default": {"targets": ["slow/m"]}},
            },
        )
        body = {"messages": [{"role": "user", "content": "x" * BYTES}], "stream": True}

        async def chat() -> Exchange:
            exchange = await send(gateway.port, "POST", path, body)
            while b"Well" not in exchange.reply().body:
                await exchange.more()
            return exchange

        running = [await chat()]  # what the first one takes besides
        before = resident_kb(gateway.pid)
        running += [await chat() for _ in range(CHATS)]
        grown = (resident_kb(gateway.pid) - before) * 1024
        for exchange in running:
            exchange.transport.close()
            await exchange.closed
        assert grown < 3 * CHATS * BYTES
