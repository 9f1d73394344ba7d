"""Lone texts are pushed to a client that has had all before them, without waking its task.

Whatever comes, and whatever the client does, it gets the same as without pushes.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.schema import Model
from gateway.domain.messages import ChatRequest
from gateway.domain.trace import Attempt
from gateway.providers.reply import Reply
from gateway.streaming.run import Run
from gateway.web.http_protocol import Gone
from gateway.web.pump import stream
from gateway.web.request import ClientGone
from gateway.wire.native import EventStream, event_json
from gateway.wire.openai import ChunkStream
from tests.support.asgi import Client, services
from tests.support.clock import ticks
from tests.support.runs import RunHarness, ScriptedAnswer, text

TEXTS = st.sampled_from(["a", "word ", "Grüße", "🌍", '"', "\\", "\n", "", "e\u0301", "x" * 50])
PLAIN = st.builds(lambda text, ascii: frame({"content": text}, ascii=ascii), TEXTS, st.booleans())
FRAMES = st.one_of(
    PLAIN,
    PLAIN,
    PLAIN,
    st.builds(lambda text: frame({"content": text}, name="other"), TEXTS),
    st.builds(lambda text: frame({"reasoning_content": text}), TEXTS),
    st.just(b': a comment\n\ndata: {"choices":[]}\n\n'),
    st.just(b'data: {"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}\n\n'),
    st.just(b'data: {"choices":[{"index":1,"delta":{"content":"b"}}]}\n\n'),
    st.just(b'data: {"id":"chunk","choices":[{"index":0,"delta":{"content":"\xff"}}]}\n\n'),
)
END = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
MOVES = st.lists(st.sampled_from(["go on", "turn", "pause", "resume", "heartbeat"]), min_size=1)
PIECES = st.tuples(st.lists(FRAMES, max_size=25), st.lists(st.integers(1, 1500), max_size=12))


def frame(delta: dict[str, str], *, name: str = "chunk", ascii: bool = False) -> bytes:
    """As most servers write it."""
    value = {"id": name, "choices": [{"index": 0, "delta": delta}]}
    return b"data: " + json.dumps(value, ensure_ascii=ascii, separators=(",", ":")).encode() + b"\n\n"


def cut(frames: list[bytes], at: list[int]) -> list[bytes]:
    """The frames, cut anew at these places, or else between them; the answer's end follows."""
    if not at:
        return [*frames, END]
    whole = b"".join(frames)
    places = [0, *sorted({place for place in at if place < len(whole)}), len(whole)]
    return [piece for a, b in itertools.pairwise(places) if (piece := whole[a:b])] + [END]


class Pushed(Client):
    """A client of a server that can push; not while it is `paused`, nor before the head."""

    def __init__(self, harness: RunHarness, path: str = "/chat/stream") -> None:
        super().__init__(services(None), path=path)
        self.harness = harness
        self.paused = False
        self.pushes = 0
        self.request.scope["extensions"] |= {"gateway.push": self.push, "gateway.gone": Gone()}

    def push(self, data: bytes) -> bool:
        if self.paused or not self.sent:
            return False
        self.pushes += 1
        self.sent.append({"type": "http.response.body", "body": data, "more_body": True})
        return True


async def answer(run: Run, pieces: list[bytes], moves: list[str], client: Pushed, *, raw: bool) -> None:
    """Feed what a provider says, while the client pauses, is nudged, or gets its turn."""
    request = ChatRequest(route="/", model=None, fields={}, preview="", stream=True, raw=raw)
    attempt = Attempt(span_id="1" * 16, provider="p", model="m", start_ms=0)
    deadline = asyncio.get_running_loop().time() + 60
    reply = Reply(request, run, attempt, Model(targets=("p/m",)), asyncio.timeout(None), 1_000_000, deadline)
    reply.head(sse=True)
    for number, piece in enumerate(pieces):
        match moves[number % len(moves)]:
            case "turn":
                await ticks(5)
            case "pause":
                client.paused = True
            case "resume":
                client.paused = False
            case "heartbeat":
                for reader in client.harness.runs.readers:
                    reader.wake_for_heartbeat()
        if not reply.done:
            reply.feed(piece)
    reply.close()


def events(data: bytes) -> list[tuple[int, Any]]:
    """Position and event of each."""
    found = []
    for block in data.split(b"\n\n"):
        lines = dict(line.split(b": ", 1) for line in block.split(b"\n") if not line.startswith(b":") and line)
        if lines:
            found.append((int(lines[b"id"]), json.loads(lines[b"data"])))
    return found


def merged(found: list[tuple[int, Any]]) -> list[Any]:
    """Adjacent text of one kind as one, with the last one's position."""
    out: list[Any] = []
    for position, event in found:
        event = {name: value for name, value in event.items() if name != "timing"}
        if out and event["type"] == out[-1][1]["type"] in ("token", "reasoning"):
            out[-1] = (position, event | {"content": out[-1][1]["content"] + event["content"]})
        else:
            out.append((position, event))
    return out


@settings(max_examples=150, deadline=None)
@given(PIECES, MOVES)
def test_events_are_the_same_by_either_way(said: tuple[list[bytes], list[int]], moves: list[str]) -> None:
    """Two clients of one answer, one of them pushed to; and any event's id can be resumed from."""

    async def talk() -> tuple[bytes, bytes, Run]:
        harness = RunHarness()
        pushed, plain = Pushed(harness), Client(services(None))
        run = harness.run(lambda run: answer(run, cut(*said), moves, pushed, raw=False))
        readers = [harness.attach(run), harness.attach(run)]
        sending = [
            stream(client.request, reader, EventStream())
            for client, reader in zip((pushed, plain), readers, strict=True)
        ]
        await asyncio.gather(*sending)
        return pushed.data, plain.data, run

    one, other, run = asyncio.run(talk())
    found = events(one)
    assert merged(found) == merged(events(other))
    ids = [position for position, _ in found]
    assert ids == sorted(set(ids))
    whole = merged(found)
    for at, position in enumerate(ids):
        rest = [(after, json.loads(native_json)) for after, native_json in rest_of(run, position)]
        assert merged(found[: at + 1] + rest) == whole


def rest_of(run: Run, position: int) -> list[tuple[int, bytes]]:
    """What a resume after this position brings."""
    return [(after, event_json(event)) for after, event in run.log.read(run.log.seek(position))]


@settings(max_examples=150, deadline=None)
@given(PIECES, MOVES)
def test_raw_bytes_are_the_same_by_either_way(said: tuple[list[bytes], list[int]], moves: list[str]) -> None:
    """Heartbeats apart, which a nudge brings; they are not counted."""

    async def talk(*, push: bool) -> bytes:
        harness = RunHarness()
        client = Pushed(harness, "/v1/chat/completions")
        if not push:
            del client.request.scope["extensions"]["gateway.push"]
        run = harness.run(lambda run: answer(run, cut(*said), moves, client, raw=True))
        await stream(client.request, harness.attach(run, raw=True), ChunkStream("m", 5))
        return client.data.replace(b": heartbeat\n", b"").replace(run.trace_id.encode(), b"ID")

    assert asyncio.run(talk(push=True)) == asyncio.run(talk(push=False))


async def test_most_frames_are_pushed() -> None:
    """So the tests above look at what they mean to; a pause leaves them to the task."""
    harness = RunHarness()
    client = Pushed(harness)
    pieces = [frame({"content": f"word{number} "}) for number in range(20)]
    run = harness.run(lambda run: answer(run, [*pieces, END], ["turn"], client, raw=False))
    await stream(client.request, harness.attach(run), EventStream())
    assert client.pushes >= 17
    assert run.end is not None
    assert run.end.usage is not None
    assert run.end.usage.completion_tokens == 20


async def test_a_client_that_stops_taking_pushes_holds_the_provider_up() -> None:
    """What it was pushed isn't counted, what it refused is; its time runs from the first send that waits."""
    harness = RunHarness(max_buffer_bytes=10, send_timeout_s=30)
    client = Pushed(harness)
    run = harness.run(ScriptedAnswer(ScriptedAnswer.hold))
    reader = harness.attach(run)
    task = asyncio.ensure_future(stream(client.request, reader, EventStream()))
    await ticks()
    assert not any(run.emit([text("pushed " * 10)]) for _ in range(10))
    assert (client.pushes, reader.unsent, reader.sending_since) == (10, 0, None)
    client.paused, client.stuck = True, asyncio.Event()
    assert not run.emit([text("one")])
    await ticks()
    assert reader.sending_since is not None
    assert run.emit([text("and eight")])
    assert (client.pushes, reader.unsent) == (10, 12)
    harness.runs.sweep(asyncio.get_running_loop().time() + 31)
    with pytest.raises(ClientGone):
        await task
    assert client.aborted
    harness.detach(reader)
    await run.wait()
    assert harness.store.outcomes == ["disconnected"]
