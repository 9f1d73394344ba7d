"""What a caller gets of a provider's own error: its status, its words, and when to come again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.support.http_client import call
from tests.support.servers import GatewayProcess
from tests.support.upstream import HEAD, LAST, Raw, part, raw_server, whole
from tests.support.wires import Reply

ASK = [{"role": "user", "content": "Hi"}]


@pytest.fixture
async def raw() -> AsyncIterator[Raw]:
    async with raw_server() as server:
        yield server


@pytest.fixture
async def server(raw: Raw, tmp_path: Path) -> AsyncIterator[GatewayProcess]:
    """A gateway before a provider that answers what a test says."""
    config = {
        "providers": {"up": {"base_url": raw.url.rstrip("/")}},
        "models": {"m": {"targets": ["up/m"], "retries": 0}},
    }
    process = GatewayProcess(tmp_path / "gateway", config)
    await asyncio.to_thread(process.__enter__)
    try:
        yield process
    finally:
        await asyncio.to_thread(process.__exit__, None, None, None)


async def ask(server: GatewayProcess, path: str = "/v1/chat/completions", **body: Any) -> Reply:
    return await asyncio.to_thread(call, server, "POST", path, {"model": "m", "messages": ASK, **body})


async def test_what_a_provider_refuses_goes_on_with_its_words(raw: Raw, server: GatewayProcess) -> None:
    """On /v1 its code, type and param, streaming or not; the native code is the gateway's own."""
    words = {"message": "Too long.", "type": "t", "code": "context_length_exceeded", "param": "messages"}
    refused = [whole(400, json.dumps({"error": words}).encode())]
    raw.replies = [refused, refused, refused]
    for stream in (True, False):
        reply = await ask(server, stream=stream)
        assert (reply.status, reply.json) == (400, {"error": words})
    native = await ask(server, "/chat")
    assert (native.status, native.json["code"], native.json["error"]) == (400, "upstream_refused", "Too long.")


async def test_who_may_come_again_is_told_when(raw: Raw, server: GatewayProcess) -> None:
    """A rate limit and a pause have a time; a quota that is used up has none."""
    quota = b'{"error":{"message":"You exceeded your quota.","code":"insufficient_quota","type":"insufficient_quota"}}'
    raw.replies = [[whole(429, b"{}", retry_after="7")], [whole(503, b"{}", retry_after="9")], [whole(429, quota)]]
    busy, down, spent = [await ask(server) for _ in range(3)]
    assert (busy.status, busy.headers["retry-after"]) == (429, "7")
    assert (down.status, down.headers["retry-after"]) == (503, "9")
    assert (spent.status, spent.json["error"]["code"]) == (429, "insufficient_quota")
    assert "retry-after" not in spent.headers


async def test_openais_client_does_not_ask_again_where_that_is_no_use(raw: Raw, server: GatewayProcess) -> None:
    """It does by itself, of a 429, unless it is told."""
    raw.replies = [[whole(429, b'{"error":{"code":"insufficient_quota"}}')]]
    async with openai.AsyncOpenAI(base_url=server.url + "/v1", api_key="none", max_retries=2) as client:
        with pytest.raises(openai.RateLimitError) as caught:
            await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}])
    assert (caught.value.code, len(raw.seen)) == ("insufficient_quota", 1)


async def test_an_error_amid_a_stream_has_the_providers_words(raw: Raw, server: GatewayProcess) -> None:
    """On /v1, whose clients look at them; the stream ends without [DONE]."""
    text = b'data: {"choices":[{"index":0,"delta":{"content":"So"},"finish_reason":null}]}\n\n'
    error = b'event: error\ndata: {"error":{"message":"Filtered.","code":"content_filter","type":"t","param":null}}\n\n'
    raw.replies = [[HEAD, part(text + error), LAST]]
    reply = await ask(server, stream=True)
    *_, last, end = reply.body.decode().split("\n\n")
    shown = {"message": "Filtered.", "type": "t", "code": "content_filter", "param": None}
    assert (json.loads(last.removeprefix("data: ")), end) == ({"error": shown}, "")


async def test_the_trace_knows_the_providers_request_id(raw: Raw, server: GatewayProcess) -> None:
    """For its support: of an attempt that failed, too."""
    raw.replies = [[whole(500, b"{}", x_request_id="req_4711")]]
    reply = await ask(server)
    assert reply.status == 502
    assert "req_4711" not in reply.body.decode() + str(reply.headers)
    target = f"/api/3.0/mlflow/traces/get?trace_id={reply.headers['x-trace-id']}"
    trace = await asyncio.to_thread(call, server, "GET", target)
    assert b"req_4711" in trace.body
