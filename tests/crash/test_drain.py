"""SIGTERM with two hundred open streams: server-sent events, OpenAI's, and chats over WebSockets."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from tests.conftest import StartGateway
from tests.crash.drain import drain
from tests.support.load_client import send


async def test_streams_may_end_by_themselves(tmp_path: Path) -> None:
    """With time enough each ends with its one `done`; meanwhile newcomers get 503; then the exit code is 0."""
    figures = await drain(tmp_path, "lorem-250-20ms", 30)
    assert "ended with done, ('complete', 'OK')" in figures


async def test_the_rest_is_interrupted(tmp_path: Path) -> None:
    """When `drain_s` is over each ends with the one error, and is stored as interrupted with all that was said."""
    figures = await drain(tmp_path, "unicode-5000-20ms", 3)
    assert "ended with server_shutdown, ('interrupted', 'ERROR')" in figures


async def test_a_client_that_takes_nothing_holds_nothing_up(start_gateway: StartGateway) -> None:
    """It is cut off when the drain is over: the exit code is 0, and the store has one end."""
    gateway = start_gateway(
        {
            "server": {"drain_s": 1},
            "providers": {"demo": {"kind": "demo"}},
            "models": {"default": {"targets": ["demo/lorem-100000-0ms"]}},
            "streaming": {"max_buffer_bytes": 65_536},
        }
    )
    exchange = await send(gateway.port, "POST", "/chat/stream", {"message": "go on"}, small=True)
    await exchange.more()
    exchange.transport.pause_reading()
    gateway.signal(signal.SIGTERM)
    assert await asyncio.to_thread(gateway.wait) == 0
    exchange.transport.abort()
    (row,) = gateway.store.traces()
    assert row["outcome"] == "interrupted"
