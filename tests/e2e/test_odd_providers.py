"""A gateway before a provider that says too much or nonsense: real sockets, a real store, and what the log says."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.conftest import StartGateway
from tests.support.load_client import Reply, fetch
from tests.support.router import DONE, END, chunk
from tests.support.servers import GatewayProcess
from tests.support.upstream import HEAD, LAST, part, raw_server

KEY = "s3cret-of-nobody"
ODD_USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":100000000000000000000,"completion_tokens":2}}\n\n'


async def answered(start_gateway: StartGateway, *frames: bytes, path: str, body: Any) -> tuple[GatewayProcess, Reply]:
    """One chat with a provider that sends these frames."""
    async with raw_server() as raw:
        raw.replies = [[HEAD, *map(part, frames), LAST]]
        address = raw.url.replace("127.0.0.1", "localhost")
        gateway = await asyncio.to_thread(
            start_gateway,
            {
                "providers": {"odd": {"kind": "openai", "base_url": address, "api_key": KEY}},
                "models": {"default": {"targets": ["odd/m"], "retries": 0}},
            },
        )
        return gateway, await fetch(gateway.port, "POST", path, body)


@pytest.mark.parametrize("before", [(), (chunk("a"),)])
@pytest.mark.parametrize("path", ["/chat/stream", "/chat", "/v1/chat/completions"])
async def test_no_key_and_no_address_gets_out(
    start_gateway: StartGateway, path: str, before: tuple[bytes, ...]
) -> None:
    """Said amid a stream, they reach neither the client nor the store nor the log."""
    words = f"LocalHost can't take {KEY}"
    frame = b"data: " + json.dumps({"error": {"message": words}}).encode() + b"\n\n"
    body = {"messages": [{"role": "user", "content": "Hi"}]}
    gateway, reply = await answered(start_gateway, *before, frame, path=path, body=body)
    (row,) = gateway.store.traces()
    assert row["error_message"] == "… can't take …"
    gateway.terminate()
    for text in (
        reply.body.decode(),
        json.dumps([row, gateway.store.spans(row["trace_id"])]),
        gateway.stdout_path.read_text(),
        gateway.stderr_path.read_text(),
    ):
        assert KEY not in text
        assert "localhost can't" not in text.lower()
    assert "… can't take …".encode() in reply.body


async def test_a_usage_that_no_column_holds_costs_nothing(start_gateway: StartGateway) -> None:
    """One terminal state, with the text."""
    gateway, reply = await answered(
        start_gateway, chunk("Hello"), END, ODD_USAGE, DONE, path="/chat/stream", body={"message": "Hi"}
    )
    assert [event["type"] for _, event in reply.frames] == ["start", "token", "done"]
    assert reply.frames[-1][1]["usage"] == {"prompt_tokens": 0, "completion_tokens": 2, "total_tokens": 2}
    (row,) = gateway.store.traces()
    assert (row["outcome"], row["state"], row["response"][0]["content"]) == ("complete", "OK", "Hello")
