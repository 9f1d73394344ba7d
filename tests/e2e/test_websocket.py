"""The `websockets` client on /chat/ws."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.support.servers import GatewayProcess
from tests.support.wires import text_of

Frame = dict[str, Any]


@pytest.fixture
async def ws(front: GatewayProcess) -> AsyncIterator[ClientConnection]:
    """A connected socket."""
    async with connect(front.url.replace("http", "ws", 1) + "/chat/ws") as connection:
        yield connection


async def send(ws: ClientConnection, **frame: Any) -> None:
    await ws.send(json.dumps(frame))


async def receive(ws: ClientConnection) -> Frame:
    async with asyncio.timeout(15):
        data = await ws.recv()
    assert isinstance(data, str)
    frame: Frame = json.loads(data)
    return frame


async def until_end(ws: ClientConnection) -> list[Frame]:
    """Frames up to the first terminal one."""
    frames = [await receive(ws)]
    while frames[-1]["type"] not in ("done", "error"):
        frames.append(await receive(ws))
    return frames


async def test_a_chat(ws: ClientConnection, front: GatewayProcess) -> None:
    """The frames are the stream's events, with the chat's id and rising numbers."""
    await send(ws, type="chat", id="c1", message="say hello", model="gpt-4o")
    frames = await until_end(ws)
    assert frames[0]["type"] == "start"
    assert {f["id"] for f in frames} == {"c1"}
    numbers = [f["seq"] for f in frames]
    assert numbers == sorted(set(numbers))
    assert text_of(frames) == "Hello! How can I help you today?"
    assert (frames[-1]["type"], frames[-1]["finish_reason"]) == ("done", "stop")
    row = front.store.trace(frames[0]["trace_id"])
    assert (row["outcome"], row["route"]) == ("complete", "/chat/ws")


async def test_several_chats_at_once(ws: ClientConnection) -> None:
    """Chats on one socket don't wait for each other, and each is whole."""
    asked = {"slow": ("talk for long", "gpt-4o"), "a": ("say hello", "gpt-4o"), "b": ("think first", "o3")}
    for chat, (text, model) in asked.items():
        await send(ws, type="chat", id=chat, message=text, model=model)
    frames: dict[str, list[Frame]] = {chat: [] for chat in asked}
    ended: list[str] = []
    while len(ended) < 3:
        frame = await receive(ws)
        frames[frame["id"]].append(frame)
        if frame["type"] == "done":
            ended.append(frame["id"])
    assert ended[-1] == "slow"
    assert text_of(frames["a"]) == "Hello! How can I help you today?"
    assert (text_of(frames["b"]), text_of(frames["b"], "reasoning")) == ("42", "six by seven is forty-two 😀")
    assert text_of(frames["slow"]).endswith("sixteen")
    assert len({fs[0]["trace_id"] for fs in frames.values()}) == 3


async def test_stop(ws: ClientConnection, front: GatewayProcess) -> None:
    """A stopped chat ends with `done`, reason `stopped`, and keeps its text."""
    await send(ws, type="chat", id="c1", message="talk for long", model="gpt-4o")
    frames = [await receive(ws), await receive(ws)]
    await send(ws, type="stop", id="c1")
    frames += await until_end(ws)
    assert (frames[-1]["type"], frames[-1]["finish_reason"]) == ("done", "stopped")
    row = front.store.trace(frames[0]["trace_id"])
    assert (row["outcome"], row["response"][0]["content"]) == ("stopped", text_of(frames))


async def test_resume_on_another_socket(ws: ClientConnection, front: GatewayProcess) -> None:
    """A stream whose socket broke goes on from the last frame that was seen, and ends complete."""
    async with connect(front.url.replace("http", "ws", 1) + "/chat/ws") as lost:
        await send(lost, type="chat", id="c1", message="talk for long", model="gpt-4o")
        frames = [await receive(lost), await receive(lost), await receive(lost)]
        trace_id, seen = frames[0]["trace_id"], frames[-1]["seq"]
        await send(ws, type="resume", id="r1", trace_id=trace_id, after=seen)
        rest = [await receive(ws)]
    rest += await until_end(ws)
    assert (text_of(frames) + text_of(rest)).startswith("one two three four")
    assert (text_of(frames) + text_of(rest)).endswith("fifteen sixteen")
    assert rest[0]["seq"] > seen
    assert (rest[-1]["type"], rest[-1]["trace_id"]) == ("done", trace_id)
    assert front.store.trace(trace_id)["outcome"] == "complete"


async def test_a_socket_that_leaves(front: GatewayProcess) -> None:
    """A chat whose only socket is gone ends as `disconnected` after the grace, with the text so far."""
    async with connect(front.url.replace("http", "ws", 1) + "/chat/ws") as leaving:
        await send(leaving, type="chat", id="c1", message="talk for long", model="gpt-4o")
        frames = [await receive(leaving), await receive(leaving)]
    row = await asyncio.to_thread(front.store.ended, frames[0]["trace_id"])
    assert (row["outcome"], row["state"]) == ("disconnected", "OK")
    assert row["response"][0]["content"].startswith(text_of(frames))


async def test_feedback(ws: ClientConnection, front: GatewayProcess) -> None:
    """A rating by frame is committed when its reply comes, and may come while the chat still runs."""
    await send(ws, type="chat", id="c1", message="talk for long", model="gpt-4o")
    trace_id = (await receive(ws))["trace_id"]
    await send(ws, type="feedback", id="f1", trace_id=trace_id, is_correct=True, comment="go on", user_id="ann")
    frame = await receive(ws)
    while frame["type"] != "feedback_recorded":
        assert frame["type"] == "token", frame
        frame = await receive(ws)
    assert (frame["id"], frame["trace_id"]) == ("f1", trace_id)
    (row,) = front.store.assessments(trace_id, valid=True)
    assert row["assessment_id"] == frame["assessment_id"]
    assert (row["value"], row["rationale"], row["source_id"]) == (True, "go on", "ann")


async def test_feedback_on_an_unknown_trace(ws: ClientConnection) -> None:
    """It is an error frame with the rating's id."""
    await send(ws, type="feedback", id="f1", trace_id="tr-" + "0" * 32, is_correct=True)
    frame = await receive(ws)
    assert (frame["type"], frame["id"], frame["code"]) == ("error", "f1", "not_found")


async def test_ping(ws: ClientConnection) -> None:
    """`ping` gets `pong`."""
    await send(ws, type="ping")
    assert (await receive(ws))["type"] == "pong"


BAD: list[tuple[str | bytes, str | None]] = [
    ("not json", None),
    ("[]", None),
    ("{}", None),
    ('{"type": 7, "id": "x"}', "x"),
    ('{"type": "dance", "id": "x"}', "x"),
    ('{"type": "chat", "id": "x"}', "x"),
    ('{"type": "chat", "id": "x", "message": ""}', "x"),
    ('{"type": "chat", "message": "no id"}', None),
    ('{"type": "chat", "id": "x", "message": "hi", "model": "gpt-nowhere"}', "x"),
    ('{"type": "chat", "id": "x", "messages": [{"role": "robot", "content": "hi"}]}', "x"),
    ('{"type": "stop", "id": "unknown"}', "unknown"),
    ('{"type": "resume", "id": "x", "trace_id": "tr-nonsense", "after": 0}', "x"),
    ('{"type": "feedback", "id": "x"}', "x"),
    (b"\x00\x01binary", None),
    (b'{"type": "ping"}', None),
]


@pytest.mark.parametrize(("data", "chat_id"), BAD, ids=[str(i) for i in range(len(BAD))])
async def test_bad_frames(ws: ClientConnection, data: str | bytes, chat_id: str | None) -> None:
    """A frame that isn't understood gets an error frame, with its id if it had one, and the socket stays open."""
    await ws.send(data)
    frame = await receive(ws)
    assert frame["type"] == "error"
    assert frame["error"]
    assert frame["code"]
    if chat_id is not None:
        assert frame["id"] == chat_id
    await send(ws, type="ping")
    assert (await receive(ws))["type"] == "pong"


async def test_an_id_that_is_taken(ws: ClientConnection) -> None:
    """Two running chats can't have one id: the second is refused, the first goes on."""
    await send(ws, type="chat", id="c1", message="talk for long", model="gpt-4o")
    assert (await receive(ws))["type"] == "start"
    await send(ws, type="chat", id="c1", message="say hello", model="gpt-4o")
    frame = await receive(ws)
    while frame["type"] == "token":
        frame = await receive(ws)
    assert (frame["type"], frame["id"]) == ("error", "c1")
    await send(ws, type="stop", id="c1")
    assert (await until_end(ws))[-1]["finish_reason"] == "stopped"
