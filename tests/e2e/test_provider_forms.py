"""What providers say in forms of their own, all the way: to each wire, and to the store."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.conftest import StartGateway
from tests.support.router import DONE, END
from tests.support.servers import GatewayProcess
from tests.support.upstream import HEAD, LAST, Raw, part, raw_server, whole
from tests.support.wires import Reply, request, text_of

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


def thinking(text: str) -> bytes:
    """Mistral's form: the content is a list of parts."""
    return delta(content=[{"type": "thinking", "thinking": [{"type": "text", "text": text}]}])


CALLER = {"stream": True, **ASK}


async def test_thinking_in_parts_of_the_content(start_gateway: StartGateway) -> None:
    """It is reasoning on the native wire, stays as it is on `/v1` and in the store, and comes back in the next turn."""
    frames = [thinking("Let "), thinking("me see."), delta(content="42")]
    content = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Let me see."}]},
        {"type": "text", "text": "42"},
    ]
    async with raw_server() as raw:
        raw.replies = [stream(*frames)] * 3
        gateway = await started(start_gateway, raw)
        native = await asked(gateway, "/chat/stream", {"message": "one", "session_id": "s"})
        assert (text_of(native.events, "reasoning"), text_of(native.events)) == ("Let me see.", "42")
        await asked(gateway, "/chat", {"message": "two", "session_id": "s"})
        assert raw.seen[-1][2]["messages"][1] == {"role": "assistant", "content": content}
        v1 = await asked(gateway, "/v1/chat/completions", CALLER)
        assert [payload for payload in v1.payloads[:3]] == [frame[6:].strip() for frame in frames]
    assert [row["response"][0]["content"] for row in gateway.store.traces()] == [content] * 3


async def test_thinking_alone_is_a_first_token(start_gateway: StartGateway) -> None:
    """`/v1` gives its head with it, and no time-out holds a stream up that thinks: the clock begins anew."""
    more = asyncio.Event()
    async with raw_server() as raw:
        raw.replies = [[HEAD, part(thinking("Let ")), more, *map(part, (delta(content="42"), END, DONE)), LAST]]
        gateway = await started(start_gateway, raw)
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        body = json.dumps(CALLER).encode()
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        writer.write(head + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
        got = await reader.readuntil(b"Let ")
        assert got.startswith(b"HTTP/1.1 200")
        more.set()
        assert b'"content": "42"' in await reader.read()
        writer.close()
    [row] = gateway.store.traces()
    assert row["first_token_ms"] is not None


async def test_speech_pictures_and_sources(start_gateway: StartGateway) -> None:
    """Passed on, stored whole, and a plain chat's answer is what was spoken."""
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
    cited = {"type": "url_citation", "url_citation": {"url": "https://b.example"}}
    frames = [
        delta(role="assistant", audio={"id": "a", "transcript": "Hel"}),
        delta(audio={"data": "AAAA"}),
        delta(audio={"transcript": "lo"}),
        delta(images=[picture]),
        delta(annotations=[cited]),
        delta(refusal=" No."),
    ]
    async with raw_server() as raw:
        raw.replies = [stream(*frames)] * 4
        gateway = await started(start_gateway, raw)
        native = await asked(gateway, "/chat/stream", {"message": "Hi"})
        assert [event["delta"] for event in native.events if event["type"] == "delta"] == [
            {"audio": {"id": "a", "transcript": "Hel"}},
            {"audio": {"data": "AAAA"}},
            {"audio": {"transcript": "lo"}},
            {"images": [picture]},
            {"annotations": [cited]},
        ]
        assert text_of(native.events) == " No."
        assert (await asked(gateway, "/chat", {"message": "Hi"})).json["response"] == "Hello No."
        sdk = await asked(gateway, "/api/chat", SDK_ASK)
        assert [chunk["url"] for chunk in chunks(sdk, "file")] == [
            "data:image/png;base64,AA",
            "data:audio/pcm;base64,AAAA",
        ]
        assert [chunk["url"] for chunk in chunks(sdk, "source-url")] == ["https://b.example"]
        message = (await asked(gateway, "/v1/chat/completions", ASK)).json["choices"][0]["message"]
        assert message == {
            "role": "assistant",
            "content": None,
            "audio": {"id": "a", "transcript": "Hello", "data": "AAAA"},
            "images": [picture],
            "annotations": [cited],
            "refusal": " No.",
        }
    rows = gateway.store.traces()
    assert [row["response"][0] for row in rows] == [message] * 4
    assert {row["response_preview"] for row in rows} == {"Hello No."}


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
async def test_reasoning_comes_back_by_its_name(start_gateway: StartGateway, field: str) -> None:
    """In the next turn of a session, and of a chat whose client keeps the parts' metadata."""
    async with raw_server() as raw:
        raw.replies = [stream(delta(**{field: "hm"}), delta(content="42"))] * 2
        gateway = await started(start_gateway, raw)
        await asked(gateway, "/chat", {"message": "one", "session_id": "s"})
        await asked(gateway, "/chat", {"message": "two", "session_id": "s"})
        assert raw.seen[-1][2]["messages"][1] == {"role": "assistant", "content": "42", field: "hm"}


async def test_a_signature_outlives_a_restart(start_gateway: StartGateway) -> None:
    """What is stored is sent back, in the order in which it came."""
    signed = {"google": {"thought_signature": "S"}}
    async with raw_server() as raw:
        raw.replies = [stream(delta(content="42", extra_content=signed))] * 2
        gateway = await started(start_gateway, raw)
        await asked(gateway, "/chat", {"message": "one", "session_id": "s"})
        await asyncio.to_thread(gateway.restart)
        await asked(gateway, "/chat", {"message": "two", "session_id": "s"})
        assert raw.seen[-1][2]["messages"][1] == {"role": "assistant", "content": "42", "extra_content": signed}


async def test_a_provider_that_refuses_its_own_reasoning(start_gateway: StartGateway) -> None:
    """The conversation goes on without it."""
    refused = whole(400, b'{"error":{"message":"reasoning_content is not supported"}}')
    async with raw_server() as raw:
        good = stream(delta(reasoning_content="hm"), delta(content="42"))
        raw.replies = [good, [refused], good]
        gateway = await started(start_gateway, raw)
        await asked(gateway, "/chat", {"message": "one", "session_id": "s"})
        again = await asked(gateway, "/chat", {"message": "two", "session_id": "s"})
        assert again.json["response"] == "42"
        assert raw.seen[-1][2]["messages"][1] == {"role": "assistant", "content": "42"}


async def test_the_usages_details(start_gateway: StartGateway) -> None:
    """They are in the last event and on the trace's span."""
    details = {"prompt_tokens_details": {"cached_tokens": 5}, "completion_tokens_details": {"reasoning_tokens": 4}}
    usage = {"prompt_tokens": 9, "completion_tokens": 8, "total_tokens": 17, **details}
    frame = b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n"
    async with raw_server() as raw:
        raw.replies = [[HEAD, *map(part, (delta(content="42"), END, frame, DONE)), LAST]]
        gateway = await started(start_gateway, raw)
        native = await asked(gateway, "/chat/stream", {"message": "Hi"})
        assert native.events[-1]["usage"] == usage
    [row] = gateway.store.traces()
    root = next(span for span in gateway.store.spans(row["trace_id"]) if span["parent_id"] is None)
    assert root["attributes"]["gen_ai.usage.cache_read.input_tokens"] == 5


async def test_a_picture_is_stored_once(start_gateway: StartGateway) -> None:
    """However long the conversation; the provider, and whoever reads a trace, get it whole each time."""
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}}
    first = {"role": "user", "content": [{"type": "text", "text": "look"}, picture]}
    async with raw_server() as raw:
        raw.replies = [stream(delta(content="Nice."))] * 5
        gateway = await started(start_gateway, raw)
        await asked(gateway, "/chat", {"messages": [first], "session_id": "s"})
        for _ in range(4):
            await asked(gateway, "/chat", {"message": "and?", "session_id": "s"})
        assert [body["messages"][0] for _, _, body in raw.seen] == [first] * 5
        turns = await asyncio.to_thread(request, "GET", f"{gateway.url}/sessions/s")
        assert turns.json["turns"][0]["message"] == first["content"]
        last = turns.json["turns"][-1]["trace_id"]
        url = f"{gateway.url}/api/3.0/mlflow/traces/get?trace_id={last}"
        trace = await asyncio.to_thread(request, "GET", url)
        assert trace.body.count(b"A" * 100_000) == 1
    rows = [json.dumps(row) for row in gateway.store.traces()]
    assert sum(row.count("A" * 100_000) for row in rows) == 0
    assert len(gateway.store.rows("SELECT digest FROM attachments")) == 1
