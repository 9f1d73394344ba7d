"""The one loop, with a client and a wire made by hand; test_asgi.py has HTTP clients, and test_push.py the pushes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from gateway.domain.events import Done, TextDelta
from gateway.errors import GatewayError, ProviderError
from gateway.observability.metrics import Metrics
from gateway.streaming.reader import Reader
from gateway.web.pump import pump, stream
from gateway.wire.ai_sdk import UIMessageStream
from gateway.wire.encoder import Encoder
from gateway.wire.native import SocketFrames
from tests.support.asgi import Client, services
from tests.support.clock import ticks
from tests.support.runs import RunHarness, ScriptedAnswer, text


class Names(Encoder):
    """A wire that can only encode: the names of the events."""

    def encode(self, events: Sequence[tuple[int, Any]]) -> list[bytes]:
        return [type(event).__name__.encode() + b" " for _, event in events]


class Socket:
    """A client whose pieces are frames. `full` has sends wait, and refuses pushes."""

    started = True

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.pushed = 0
        self.free = asyncio.Event()
        self.free.set()
        self.sending = asyncio.Event()

    async def start(self, encoder: Encoder) -> None: ...

    def cut(self, pieces: list[bytes]) -> Iterable[bytes]:
        return pieces

    async def send(self, data: bytes) -> None:
        self.sending.set()
        await self.free.wait()
        self.frames.append(data)

    async def end(self) -> None: ...

    def push(self, data: bytes) -> bool:
        if self.free.is_set():
            self.pushed += 1
            self.frames.append(data)
        return self.free.is_set()

    async def take(self, reader: Reader) -> list[Any]:
        await pump(self, reader, SocketFrames("c1"), Metrics())
        return [json.loads(frame) for frame in self.frames]


async def test_a_wire_that_does_not_push_gets_everything() -> None:
    """Text alone is None by default, so that each event is encoded; without a greeting the head waits for the first."""
    harness, says = RunHarness(), ScriptedAnswer(ScriptedAnswer.hold, "a", ScriptedAnswer.hold)
    client = Client(services(None))
    client.request.scope["extensions"]["gateway.push"] = lambda data: False
    run = harness.run(says)
    task = asyncio.ensure_future(stream(client.request, harness.attach(run), Names()))
    await client.until(lambda data: b"Started" in data)
    says.go.set()
    await task
    assert client.data == b"Started TextDelta Done "
    assert dict(client.head["headers"])[b"content-type"] == Names.content_type


async def test_frames_are_pushed_and_sent_alike() -> None:
    """One event a frame, with the chat's id and the event's position."""
    harness, says = RunHarness(), ScriptedAnswer("a", ScriptedAnswer.hold)
    run, socket = harness.run(says), Socket()
    task = asyncio.ensure_future(socket.take(harness.attach(run)))
    await ticks()
    run.emit([text("b")])
    run.emit([text("c"), TextDelta(b"d", 1)])
    says.go.set()
    frames = await task
    assert [(frame["seq"], frame["type"], frame.get("content")) for frame in frames] == [
        (1, "start", None), (2, "token", "a"), (3, "token", "b"), (5, "token", "cd"), (6, "done", None),
    ]  # fmt: skip
    assert {frame["id"] for frame in frames} == {"c1"}
    assert socket.pushed == 1


async def test_nothing_is_missed_while_a_send_waits() -> None:
    """What came meanwhile, the end too, is read before the next wait."""
    harness, says = RunHarness(), ScriptedAnswer("a", ScriptedAnswer.hold, "b")
    run, socket = harness.run(says), Socket()
    await says.reached.wait()
    socket.free.clear()
    task = asyncio.ensure_future(socket.take(harness.attach(run, after=1)))
    await socket.sending.wait()
    says.go.set()
    await run.wait()
    socket.free.set()
    async with asyncio.timeout(3):
        frames = await task
    assert [frame.get("content") for frame in frames] == ["a", "b", None]


async def test_chunks_are_pushed_while_a_text_is_open() -> None:
    """The AI SDK's text must have its start; after that it is pushed as it would be sent."""
    harness, says = RunHarness(), ScriptedAnswer(ScriptedAnswer.hold, "a", "b")
    client, pushed = Client(services(None)), []

    def push(data: bytes) -> bool:
        pushed.append(data)
        client.sent.append({"type": "http.response.body", "body": data})
        return True

    client.request.scope["extensions"]["gateway.push"] = push
    run = harness.run(says)
    task = asyncio.ensure_future(stream(client.request, harness.attach(run), UIMessageStream()))
    await ticks()
    run.emit([text("x")])
    await ticks()
    run.emit([text("y")])
    says.go.set()
    await task
    chunks = [json.loads(line[6:]) for line in client.data.split(b"\n\n") if line.startswith(b"data: {")]
    assert "".join(chunk.get("delta", "") for chunk in chunks) == "xyab"
    assert b'"y"' in pushed[0]
    assert [chunk["type"] for chunk in chunks].count("text-start") == 1


async def test_a_resumed_stream_bears_its_own_token() -> None:
    """In its first and its last event; others keep the one that they have."""
    harness = RunHarness()
    run = harness.run(ScriptedAnswer("a"))
    await run.wait()
    with harness.runs.reading(run.log, token="mine") as reader:
        [(_, started), (_, delta), (_, done)] = reader.read()
    assert (started.feedback_token, delta, done.feedback_token) == ("mine", TextDelta(b"a", 1), "mine")
    assert isinstance(run.log.closed, Done)
    assert run.log.closed.feedback_token == ""


class Numbered(Encoder):
    """A wire with a state, and without a greeting: each event has its number."""

    def __init__(self) -> None:
        self._number = 0

    def encode(self, events: Sequence[tuple[int, Any]]) -> list[bytes]:
        pieces = []
        for _, event in events:
            self._number += 1
            pieces.append(b"%d:%b " % (self._number, type(event).__name__.encode()))
        return pieces


async def test_each_event_is_encoded_once() -> None:
    """Also where the failure comes together with what is sent before it, since an encoder has a state."""
    harness = RunHarness()
    client = Client(services(None))
    run = harness.run(ScriptedAnswer("a", ProviderError("down")))
    await run.wait()
    await stream(client.request, harness.attach(run), Numbered())
    assert client.data == b"1:Started 2:TextDelta 3:Failed "


class Texts(Encoder):
    """A wire that shows nothing but text."""

    def encode(self, events: Sequence[tuple[int, Any]]) -> list[bytes]:
        return [event.text for _, event in events if isinstance(event, TextDelta)]


@pytest.mark.parametrize("early", [False, True])
async def test_an_answer_that_fails_before_a_wire_shows_anything_is_an_error(early: bool) -> None:
    """The response must not have begun, whether the failure comes with `start` or after it."""
    harness, says = RunHarness(), ScriptedAnswer(ScriptedAnswer.hold, ProviderError("down"))
    client = Client(services(None))
    run = harness.run(says)
    reader = harness.attach(run)
    if not early:
        task = asyncio.ensure_future(stream(client.request, reader, Texts()))
        await ticks()
    says.go.set()
    await run.wait()
    if early:
        task = asyncio.ensure_future(stream(client.request, reader, Texts()))
    with pytest.raises(GatewayError, match="down"):
        await task
    assert not client.request.started
