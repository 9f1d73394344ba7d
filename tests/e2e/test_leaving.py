"""Clients that leave: the async official client closes its stream, and what came stays in the store."""

from __future__ import annotations

import asyncio
import time

import openai
import pytest

from tests.support.playback import Playback
from tests.support.servers import GatewayProcess
from tests.support.wires import joined


@pytest.mark.parametrize("after", [1, 5], ids=["first-token", "in-the-middle"])
async def test_the_async_client_closes_early(front: GatewayProcess, after: int) -> None:
    """The trace ends as `disconnected`, with the text so far, and can be rated."""
    text = []
    async with openai.AsyncOpenAI(base_url=f"{front.url}/v1", api_key="unused", max_retries=0) as sdk:
        stream = await sdk.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "talk for long"}], stream=True
        )
        trace_id = stream.response.headers["x-trace-id"]
        async for chunk in stream:
            if chunk.choices[0].delta.content:
                text.append(chunk.choices[0].delta.content)
            if len(text) == after:
                break
        await stream.close()
    row = await asyncio.to_thread(front.store.ended, trace_id)
    assert (row["outcome"], row["state"], row["finish_reason"]) == ("disconnected", "OK", "disconnected")
    assert row["response"][0]["content"].startswith(joined(text))


async def test_the_provider_is_let_go(front: GatewayProcess, playback: Playback) -> None:
    """When the last reader of a /v1 stream is gone, the provider sees its connection closed, without a grace."""
    before = playback.gone
    async with openai.AsyncOpenAI(base_url=f"{front.url}/v1", api_key="unused", max_retries=0) as sdk:
        stream = await sdk.chat.completions.create(
            model="cut-off",
            messages=[{"role": "user", "content": "go"}],
            stream=True,
            extra_body={"x_hang": True},
        )
        async for chunk in stream:
            assert chunk.choices
            break
        await stream.close()
    deadline = time.monotonic() + 10
    while playback.gone == before:
        assert time.monotonic() < deadline, "the provider was never let go"
        await asyncio.sleep(0.02)
