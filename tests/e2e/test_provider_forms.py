"""What providers say in forms of their own, all the way: to each wire, and to the store."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.conftest import StartGateway
from tests.support.router import DONE, END
from tests.support.servers import GatewayProcess
from tests.support.upstream import HEAD, LAST, Raw, part, raw_server
from tests.support.wires import Reply, request

ASK = {"messages": [{"role": "user", "content": "Hi"}]}
SDK_ASK = {"id": "c", "messages": [{"id": "1", "role": "user", "parts": [{"type": "text", "text": "Hi"}]}]}


def delta(**said: Any) -> bytes:
    """A frame that says this."""
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": said, "finish_reason": None}]}).encode() + b"\n\n"


async def started(start_gateway: StartGateway, raw: Raw) -> GatewayProcess:
    """A gateway before this provider."""
    return await asyncio.to_thread(
        start_gateway,
        {
            "providers": {"odd": {"kind": "openai", "base_url": raw.url, "api_key": "k"}},
            "models": {"default": {"targets": ["odd/m"], "retries": 0}},
        },
    )


def stream(*frames: bytes) -> list[Any]:
    """A good reply of these frames."""
    return [HEAD, *map(part, [*frames, END, DONE]), LAST]


def chunks(reply: Reply, kind: str) -> list[dict[str, Any]]:
    """The AI SDK's chunks of this type."""
    return [event for event in reply.events if event["type"] == kind]


async def asked(gateway: GatewayProcess, path: str, body: Any) -> Reply:
    """What came of a POST."""
    return await asyncio.to_thread(request, "POST", gateway.url + path, body)


async def test_two_calls_of_a_provider_that_numbers_none(start_gateway: StartGateway) -> None:
    """All with index 0, names null after the first: two calls in the store, in a plain answer and for `useChat`."""

    def call(**piece: Any) -> bytes:
        return delta(tool_calls=[{"index": 0, "type": "function", **piece}])

    frames = [
        call(id="a", function={"name": "weather", "arguments": ""}),
        call(id=None, function={"name": None, "arguments": '{"city":"Oslo"}'}),
        call(id="b", function={"name": "time", "arguments": {"zone": "CET"}}),
    ]
    wanted = [("a", "weather", {"city": "Oslo"}), ("b", "time", {"zone": "CET"})]

    def calls(message: Any) -> list[Any]:
        return [(c["id"], c["function"]["name"], json.loads(c["function"]["arguments"])) for c in message["tool_calls"]]

    async with raw_server() as raw:
        raw.replies = [stream(*frames)] * 2
        gateway = await started(start_gateway, raw)
        plain = await asked(gateway, "/v1/chat/completions", ASK)
        assert calls(plain.json["choices"][0]["message"]) == wanted
        sdk = await asked(gateway, "/api/chat", SDK_ASK)
        shown = chunks(sdk, "tool-input-available")
        assert [(c["toolCallId"], c["toolName"], c["input"]) for c in shown] == wanted
    assert [calls(row["response"][0]) for row in gateway.store.traces()] == [wanted] * 2
