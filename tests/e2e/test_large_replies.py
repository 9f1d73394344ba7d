"""A plain reply of five megabytes, and clients that read it slowly or not at all."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.conftest import StartGateway
from tests.support.load_client import send, until
from tests.support.router import document
from tests.support.upstream import raw_server, whole

TEXT = "x" * 5_000_000


@pytest.mark.parametrize("path", ["/chat", "/v1/chat/completions"])
@pytest.mark.parametrize("reads", [True, False])
async def test_a_large_plain_reply(start_gateway: StartGateway, path: str, reads: bool) -> None:
    """A client that reads gets all of it; one that never does is cut off after `send_timeout_s`."""
    async with raw_server() as raw:
        raw.replies = [[whole(200, document(TEXT))]]
        gateway = await asyncio.to_thread(
            start_gateway,
            {
                "streaming": {"send_timeout_s": 1},
                "providers": {"large": {"kind": "openai", "base_url": raw.url}},
                "models": {"default": {"targets": ["large/m"]}},
            },
        )
        body = {"messages": [{"role": "user", "content": "Hi"}]}
        exchange = await send(gateway.port, "POST", path, body, small=not reads)
        if reads:
            reply = await exchange.end()
            assert reply.whole
            shown = json.loads(reply.body)
            assert (shown["response"] if path == "/chat" else shown["choices"][0]["message"]["content"]) == TEXT
            return
        exchange.transport.pause_reading()
        await until(gateway.port, "gateway_send_timeouts_total", lambda count: count == 1)
        exchange.transport.resume_reading()
        assert not (await exchange.end()).whole
        (row,) = gateway.store.traces()
        assert row["outcome"] == "complete"  # it was answered; it just was not taken
