"""The short cut: plain frames are pushed to a client that has had all before them, without waking its task.

Whatever comes, and whatever the client does, it gets the same as by the long way.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.schema import Model
from gateway.domain.messages import ChatRequest
from gateway.domain.trace import Attempt
from gateway.providers.reply import Reply
from gateway.streaming.run import Run
from gateway.web.http_protocol import Gone
from gateway.web.stream import send_events, send_raw
from gateway.wire.native import event_json
from gateway.wire.upstream import StreamDecoder
from tests.support.asgi import Client, services
from tests.support.clock import ticks
from tests.support.runs import Rig

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
MOVES = st.lists(st.sampled_from(["go on", "turn", "pause", "resume", "nudge"]), min_size=1)
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

    def __init__(self, path: str = "/chat/stream") -> None:
        super().__init__(services(None), path=path)
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
            case "nudge":
                for reader in run.log.readers:
                    reader.nudge()
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
        rig, pushed, plain = Rig(), Pushed(), Client(services(None))
        run = rig.run(lambda run: answer(run, cut(*said), moves, pushed, raw=False))
        readers = [run.attach(), run.attach()]
        sending = [
            send_events(client.request, run.log, reader)
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
        rig, client = Rig(), Pushed("/v1/chat/completions")
        if not push:
            del client.request.scope["extensions"]["gateway.push"]
        run = rig.run(lambda run: answer(run, cut(*said), moves, client, raw=True))
        await send_raw(client.request, run.log, run.attach(raw=True), lambda _: b"data: end\n\n")
        return client.data.replace(b": heartbeat\n\n", b"").replace(run.trace_id.encode(), b"ID")

    assert asyncio.run(talk(push=True)) == asyncio.run(talk(push=False))


@settings(max_examples=300, deadline=None)
@given(PIECES)
def test_the_decoder_says_the_same_by_either_way(said: tuple[list[bytes], list[int]]) -> None:
    """Text, characters, frames and raw bytes of each read."""
    short, long = StreamDecoder("tr-1", keep_raw=True), StreamDecoder("tr-1", keep_raw=True)
    for piece in cut(*said):
        plain = short.plain(piece)
        events = long.feed(piece)
        if plain is None:
            assert (short.feed(piece), short.raw) == (events, long.raw)
        else:
            [event] = events
            assert (plain, piece) == ((event.text, event.chars, event.count), b"".join(long.raw))  # type: ignore[union-attr]
        short.raw, long.raw = [], []


async def test_most_frames_are_pushed() -> None:
    """So the tests above look at what they mean to; a pause leaves them to the task."""
    rig, client = Rig(), Pushed()
    pieces = [frame({"content": f"word{number} "}) for number in range(20)]
    run = rig.run(lambda run: answer(run, [*pieces, END], ["turn"], client, raw=False))
    await send_events(client.request, run.log, run.attach())
    assert client.pushes >= 17
    assert run.end is not None
    assert run.end.usage is not None
    assert run.end.usage.completion_tokens == 20
