"""Clients of the five wires, on aiohttp: each asks one chat and reads what comes, to its end or for as long as wanted.

They take the gateway's word for nothing: events are cut by the rules of server-sent events, not by how they look.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp

from tests.support.wires import fold

Event = dict[str, Any]
CLIENT_ID = "X-Client-Request-Id"
LONG = aiohttp.ClientTimeout(total=60)


class Seen:
    """What one reader got. `terminals` are the events that end a stream, or the one plain body."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.raw = b""
        self.trace_id = ""
        self.ids: list[int] = []
        self.events: list[Event] = []
        self.terminals: list[Event] = []
        self.after_terminal = 0  # events that came after the first terminal one
        self.text = self.reasoning = ""
        self.others: tuple[str, ...] = ()
        self.finish: str | None = None
        self.usage: Any = None
        self.error: str | None = None  # its code
        self.frames = Frames()

    def fill(self, choices: dict[int, dict[str, Any]]) -> None:
        first = choices.get(0, {})
        self.text, self.reasoning = whole(first.get("content", "")), first.get("reasoning", "")
        self.finish = first.get("finish_reason")
        self.others = tuple(choices[i]["content"] for i in sorted(choices) if i)

    def native(self, event: Event) -> None:
        """One event of the native wire."""
        self.events.append(event)
        self.after_terminal += bool(self.terminals)
        match event["type"]:
            case "start":
                self.trace_id = event["trace_id"]
            case "token":
                self.text = whole(self.text + event["content"])
            case "reasoning":
                self.reasoning += event["content"]
            case "done" | "error":
                self.terminals.append(event)
                self.finish, self.usage = event.get("finish_reason"), event.get("usage")
                self.error = event.get("code")


class Frames:
    """Server-sent events from bytes cut anywhere."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[str, int | None, str]]:
        """The whole events as (event, id, data)."""
        *blocks, self._rest = (self._rest + data).split(b"\n\n")
        found = []
        for block in blocks:
            fields: dict[str, list[str]] = {}
            for line in block.decode().split("\n"):
                name, _, value = line.partition(":")
                fields.setdefault(name, []).append(value.removeprefix(" "))
            if "data" in fields:
                number = fields.get("id")
                name = fields.get("event", [""])[0]
                found.append((name, int(number[0]) if number else None, "\n".join(fields["data"])))
        return found


def whole(text: str) -> str:
    """The text with halves of a character joined, as browsers do."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


@asynccontextmanager
async def clients() -> AsyncIterator[aiohttp.ClientSession]:
    """A session that keeps no connection, so that what a case leaves open shows."""
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector, timeout=LONG) as session:
        yield session


Stop = Callable[[Seen], bool]


async def read_native(response: aiohttp.ClientResponse, seen: Seen, enough: Stop | None = None) -> Seen:
    """The native stream; to its end, or until `enough` says so."""
    seen.status, seen.headers = response.status, {k.lower(): v for k, v in response.headers.items()}
    with suppress(aiohttp.ClientPayloadError):
        async for data in response.content.iter_any():
            seen.raw += data
            for name, number, text in seen.frames.feed(data):
                assert number is not None
                assert name == {"done": "done", "error": "error"}.get(json.loads(text)["type"], "")
                seen.ids.append(number)
                seen.native(json.loads(text))
            if enough is not None and enough(seen):
                break
    return seen


async def read_openai(response: aiohttp.ClientResponse, seen: Seen, enough: Stop | None = None) -> Seen:
    """OpenAI's stream, or the error that came in its place."""
    seen.status, seen.headers = response.status, {k.lower(): v for k, v in response.headers.items()}
    seen.trace_id = seen.headers.get("x-trace-id", "")
    if response.status != 200:
        return _failed(seen, await response.read())
    async for data in response.content.iter_any():
        seen.raw += data
        for _, _, text in seen.frames.feed(data):
            seen.after_terminal += bool(seen.terminals)
            event: Event = {"done": True} if text == "[DONE]" else json.loads(text)
            (seen.terminals if "done" in event or event.get("error") else seen.events).append(event)
            seen.usage = event.get("usage") or seen.usage
            seen.error = event["error"]["code"] if event.get("error") else seen.error
        seen.fill(fold(seen.events))
        if enough is not None and enough(seen):
            break
    return seen


def _failed(seen: Seen, body: bytes) -> Seen:
    seen.raw = body
    error = json.loads(body)
    seen.terminals = [error]
    seen.error = error["code"] if "code" in error else error["error"]["code"]
    return seen


def ask(name: str, **more: Any) -> dict[str, Any]:
    """A body; on the native wire the model's name is the client's own ID of the request, too."""
    return {"model": name, "messages": [{"role": "user", "content": "hi"}], **more}


def native_ask(name: str) -> dict[str, Any]:
    return ask(name, client_request_id=name)


async def chat_stream(session: aiohttp.ClientSession, url: str, name: str, enough: Stop | None = None) -> Seen:
    async with session.post(f"{url}/chat/stream", json=native_ask(name)) as response:
        return await read_native(response, Seen(), enough)


async def chat(session: aiohttp.ClientSession, url: str, name: str, _: Stop | None = None) -> Seen:
    seen = Seen()
    async with session.post(f"{url}/chat", json=native_ask(name)) as response:
        seen.status, seen.headers = response.status, {k.lower(): v for k, v in response.headers.items()}
        seen.raw = await response.read()
    seen.trace_id = seen.headers["x-trace-id"]
    if seen.status != 200:
        return _failed(seen, seen.raw)
    body = json.loads(seen.raw)
    seen.terminals = [body]
    seen.text, seen.finish, seen.usage = body["response"], body["finish_reason"], body["usage"]
    return seen


async def v1_stream(session: aiohttp.ClientSession, url: str, name: str, enough: Stop | None = None) -> Seen:
    body = ask(name, stream=True, stream_options={"include_usage": True})
    async with session.post(f"{url}/v1/chat/completions", json=body, headers={CLIENT_ID: name}) as response:
        return await read_openai(response, Seen(), enough)


async def v1_plain(session: aiohttp.ClientSession, url: str, name: str, _: Stop | None = None) -> Seen:
    seen = Seen()
    async with session.post(f"{url}/v1/chat/completions", json=ask(name), headers={CLIENT_ID: name}) as response:
        seen.status, seen.headers = response.status, {k.lower(): v for k, v in response.headers.items()}
        seen.raw = await response.read()
    seen.trace_id = seen.headers["x-trace-id"]
    if seen.status != 200:
        return _failed(seen, seen.raw)
    body = json.loads(seen.raw)
    seen.terminals = [body]
    seen.usage = body.get("usage")
    chunks = [{"choices": [{**choice, "delta": choice["message"]} for choice in body["choices"]]}]
    for choice in chunks[0]["choices"]:
        for i, call in enumerate(choice["delta"].get("tool_calls") or ()):
            call.setdefault("index", i)
    seen.fill(fold(chunks))
    return seen


async def websocket(session: aiohttp.ClientSession, url: str, name: str, enough: Stop | None = None) -> Seen:
    async with session.ws_connect(f"{url}/chat/ws", max_msg_size=0) as socket:
        await socket.send_json({"type": "chat", "id": "c1", **native_ask(name)})
        return await read_socket(socket, Seen(), enough)


async def read_socket(socket: aiohttp.ClientWebSocketResponse, seen: Seen, enough: Stop | None = None) -> Seen:
    """The frames of chat c1; to its end, and then to the answer of a ping, so that nothing may follow."""
    seen.status = 200
    pinged = False
    while not (enough is not None and enough(seen)):
        event = await socket.receive_json()
        if event["type"] == "pong":
            break
        assert event["id"] == "c1"
        seen.raw += json.dumps(event).encode()
        seen.ids.append(event["seq"])
        seen.native(event)
        if seen.terminals and not pinged:
            pinged = True
            await socket.send_json({"type": "ping"})
    return seen


WIRES: dict[str, Callable[..., Any]] = {
    "native-stream": chat_stream,
    "native-plain": chat,
    "v1-stream": v1_stream,
    "v1-plain": v1_plain,
    "websocket": websocket,
}


async def rate(session: aiohttp.ClientSession, url: str, trace_id: str) -> int:
    """The status of a thumbs up."""
    body = {"is_correct": True, "comment": None}
    async with session.post(f"{url}/feedback?trace_id={trace_id}", json=body) as response:
        return response.status
