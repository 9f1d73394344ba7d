"""SIGTERM with many open streams of every kind. Called by the drain tests and by the soak runner."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.support.load_client import (
    TERMINAL,
    Exchange,
    allow_many_files,
    answer_of,
    endings,
    fetch,
    send,
    text_of,
    until,
)
from tests.support.servers import GatewayProcess

GOING_AWAY = 1001
_CHATS = 5  # on each socket


class Sockets:
    """Chats over WebSockets, several on each; `ended` are the terminal frames by chat."""

    def __init__(self) -> None:
        self.ended: dict[str, list[str]] = {}
        self.text: dict[str, str] = {}
        self.trace_ids: dict[str, str] = {}
        self.codes: list[int | None] = []

    async def talk(self, port: int, name: str, model: str) -> None:
        """From the first chat to the close."""
        async with connect(f"ws://127.0.0.1:{port}/chat/ws", max_size=None) as socket:
            for number in range(_CHATS):
                chat = f"{name}.{number}"
                self.ended[chat], self.text[chat] = [], ""
                await socket.send(json.dumps({"type": "chat", "id": chat, "message": "go on", "model": model}))
            with contextlib.suppress(ConnectionClosed):
                while True:
                    self._take(json.loads(await socket.recv()))
            self.codes.append(socket.close_code)

    def _take(self, frame: dict[str, Any]) -> None:
        chat = frame["id"]
        if frame["type"] == "start":
            self.trace_ids[chat] = frame["trace_id"]
        elif frame["type"] == "token":
            self.text[chat] += frame["content"]
        elif frame["type"] in TERMINAL:
            self.ended[chat].append(frame.get("code", "done"))


async def drain(directory: Path, model: str, drain_s: float, *, streams: int = 200) -> dict[str, float]:
    """SIGTERM once all run; checks what every client, a newcomer and the store see. Returns the figures.

    Whether the streams can end by themselves within `drain_s` is up to `model`; they all must end the same way.
    """
    allow_many_files()
    config = {
        "server": {"drain_s": drain_s},
        "providers": {"demo": {"kind": "demo"}},
        "models": {model: {"targets": [f"demo/{model}"]}},
    }
    with GatewayProcess(directory, config) as gateway:
        port, sockets = gateway.port, Sockets()
        over_sockets, over_openai = streams // 10, streams // 5
        tasks = [
            asyncio.create_task(sockets.talk(port, f"s{number}", model)) for number in range(over_sockets // _CHATS)
        ]
        question = {"model": model, "stream": True, "messages": [{"role": "user", "content": "go on"}]}
        openai = [await send(port, "POST", "/v1/chat/completions", question) for _ in range(over_openai)]
        body = {"message": "go on", "model": model}
        native = [await send(port, "POST", "/chat/stream", body) for _ in range(streams - over_openai - over_sockets)]
        await until(port, "gateway_running_streams", lambda running: running == streams)

        gateway.signal(signal.SIGTERM)
        began = time.monotonic()
        await _newcomers_are_refused(gateway)
        ends = await asyncio.gather(*(exchange.end() for exchange in native + openai))
        await asyncio.gather(*tasks)
        assert await asyncio.to_thread(gateway.wait) == 0
        seconds = time.monotonic() - began
        assert sockets.codes == [GOING_AWAY] * len(tasks)
        assert all(reply.whole for reply in ends)
        ended = _endings(native, openai, sockets)
        heard = {
            **{one.reply().headers["x-trace-id"]: text_of(one.reply().frames) for one in native},
            **{one.reply().headers["x-trace-id"]: _openai_text(one) for one in openai},
            **{sockets.trace_ids[chat]: text for chat, text in sockets.text.items()},
        }
        assert len(heard) == streams
        outcomes = _stored_outcomes(gateway, model, heard)
    assert len(ended) == 1, f"streams ended in several ways: {ended}"
    assert len(outcomes) == 1, f"they are stored in several ways: {outcomes}"
    return {"streams": streams, "seconds": seconds, f"ended with {ended.pop()}, {outcomes.pop()}": streams}


async def _newcomers_are_refused(gateway: GatewayProcess) -> None:
    """It listens, is alive and not ready, and takes no chat by any route."""
    port = gateway.port
    while (ready := await fetch(port, "GET", "/readyz")).status != 503:
        assert ready.status == 200
        await asyncio.sleep(0.01)
    assert (await fetch(port, "GET", "/healthz")).status == 200
    message, messages = {"message": "hi"}, {"messages": [{"role": "user", "content": "hi"}]}
    for path, body in (("/chat", message), ("/chat/stream", message), ("/v1/chat/completions", messages)):
        reply = await fetch(port, "POST", path, body)
        assert (reply.status, "retry-after" in reply.headers) == (503, True), f"{path}: {reply.status}"
    async with connect(f"ws://127.0.0.1:{port}/chat/ws") as socket:
        with contextlib.suppress(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == GOING_AWAY


def _endings(native: list[Exchange], openai: list[Exchange], sockets: Sockets) -> set[str]:
    """The ways in which streams ended; a stream that had not exactly one terminal event fails."""
    found = [endings(exchange.reply().frames) for exchange in native]
    found += list(sockets.ended.values())
    for exchange in openai:
        payloads = exchange.reply().payloads
        codes = [json.loads(payload).get("error", {}).get("code") for payload in payloads if payload != b"[DONE]"]
        found.append(["done"] * payloads.count(b"[DONE]") + [code for code in codes if code])
    assert all(len(one) == 1 for one in found), [one for one in found if len(one) != 1]
    return {one[0] for one in found}


def _openai_text(exchange: Exchange) -> str:
    chunks = [json.loads(payload) for payload in exchange.reply().payloads if payload != b"[DONE]"]
    deltas = [choice["delta"] for chunk in chunks for choice in chunk.get("choices", ())]
    return "".join(delta.get("content") or "" for delta in deltas)


def _stored_outcomes(gateway: GatewayProcess, model: str, heard: dict[str, str]) -> set[tuple[str, str]]:
    """How they are stored. All that a client has is there."""
    found = set()
    for row in gateway.store.traces():
        text = row["response"][0]["content"]
        assert answer_of(model).startswith(text)
        assert text == heard.pop(row["trace_id"])
        found.add((row["outcome"], row["state"]))
    assert not heard, f"not in the store: {list(heard)}"
    return found
