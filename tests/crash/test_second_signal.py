"""A second SIGTERM or SIGINT while streams run: the drain is over, and the process ends soon."""

from __future__ import annotations

import asyncio
import signal

import pytest

from tests.conftest import StartGateway
from tests.support.load_client import fetch, send

CONFIG = {
    "server": {"drain_s": 600},
    "providers": {"demo": {"kind": "demo"}},
    "models": {"default": {"targets": ["demo/lorem-20000-20ms"]}},
}


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_the_drain(start_gateway: StartGateway, second: signal.Signals) -> None:
    """Long before `drain_s`; the stream is stored as interrupted with the text that the client has, and more."""
    gateway = start_gateway(CONFIG)
    exchange = await send(gateway.port, "POST", "/chat/stream", {"message": "go on"})
    while b'"token"' not in exchange.reply().body:
        await exchange.more()
    gateway.signal(signal.SIGTERM)
    while (await fetch(gateway.port, "GET", "/readyz")).status != 503:  # noqa: ASYNC110 - of another process
        await asyncio.sleep(0.01)
    gateway.signal(second)
    assert await asyncio.to_thread(gateway.wait) == 0
    exchange.transport.abort()
    (row,) = gateway.store.traces()
    assert (row["outcome"], row["state"], row["error_code"]) == ("interrupted", "ERROR", "server_shutdown")
    heard = "".join(event["content"] for _, event in exchange.reply().frames if event["type"] == "token")
    assert row["response"][0]["content"].startswith(heard)
    assert heard
