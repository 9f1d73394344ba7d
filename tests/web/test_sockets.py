"""Bad frames and refused sockets on /chat/ws."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.conftest import StartGateway
from tests.support.http_client import (
    INSIDE,
    NO_TRACE,
    ask,
    close_code,
    first_close,
    hear,
    hear_end,
    say,
    shaken,
    socket_url,
    text_of,
)
from tests.support.servers import GatewayProcess
from tests.web.conftest import CONFIG, MAX_BODY, ORIGIN, Locked, make_key


@pytest.fixture
async def ws(edge: GatewayProcess) -> AsyncIterator[ClientConnection]:
    """A connected socket, whose client never stops reading."""
    async with connect(socket_url(edge), compression=None, max_queue=None) as connection:
        yield connection


BAD: dict[str, tuple[str | bytes, str, str | int | None]] = {
    "binary": (b"\x00\xff", "not_json", None),
    "binary-json": (b'{"type": "ping"}', "not_json", None),
    "empty": ("", "not_json", None),
    "not-json": ("hello", "not_json", None),
    "deep": ('{"type": ' + "[" * 50_000 + "]" * 50_000 + "}", "not_json", None),
    "surrogate": ('{"type": "chat", "id": "x", "message": "\\ud800"}', "invalid_value", "x"),
    "surrogate-id": ('{"type": "ping", "id": "\\ud800"}', "invalid_value", None),
    "array": ("[]", "invalid_value", None),
    "no-type": ('{"id": "x"}', "invalid_value", "x"),
    "type-number": ('{"type": 3, "id": "x"}', "invalid_value", "x"),
    "type-unknown": ('{"type": "dance", "id": "x"}', "invalid_value", "x"),
    "id-number": ('{"type": "ping", "id": 5}', "invalid_value", 5),
    "id-empty": ('{"type": "chat", "id": "", "message": "hi"}', "invalid_value", ""),
    "id-long": (json.dumps({"type": "chat", "id": "i" * 251, "message": "hi"}), "invalid_value", "i" * 251),
    "no-id": ('{"type": "chat", "message": "hi"}', "invalid_value", None),
    "no-message": ('{"type": "chat", "id": "x"}', "invalid_value", "x"),
    "empty-message": ('{"type": "chat", "id": "x", "message": ""}', "invalid_value", "x"),
    "role": ('{"type": "chat", "id": "x", "messages": [{"role": "robot"}]}', "invalid_value", "x"),
    "model": ('{"type": "chat", "id": "x", "message": "hi", "model": "nowhere"}', "model_not_found", "x"),
    "stop-no-id": ('{"type": "stop"}', "invalid_value", None),
    "stop": ('{"type": "stop", "id": "x"}', "unknown_chat", "x"),
    "resume-no-trace": ('{"type": "resume", "id": "x"}', "invalid_value", "x"),
    "resume-form": ('{"type": "resume", "id": "x", "trace_id": "tr-1"}', "invalid_value", "x"),
    "resume-number": ('{"type": "resume", "id": "x", "trace_id": 5}', "invalid_value", "x"),
    "resume-unknown": (json.dumps({"type": "resume", "id": "x", "trace_id": NO_TRACE}), "not_found", "x"),
    "resume-after": (json.dumps({"type": "resume", "trace_id": NO_TRACE, "after": "1"}), "invalid_value", None),
    "rating": ('{"type": "feedback", "id": "x"}', "invalid_value", "x"),
    "rating-unknown": (
        json.dumps({"type": "feedback", "id": "x", "trace_id": NO_TRACE, "is_correct": True}),
        "not_found",
        "x",
    ),
}


@pytest.mark.parametrize(("data", "code", "frame_id"), BAD.values(), ids=BAD.keys())
async def test_bad_frames(
    ws: ClientConnection, edge: GatewayProcess, data: str | bytes, code: str, frame_id: str | int | None
) -> None:
    """An error frame, with the frame's id if it had one; nothing is stored, and the socket still works."""
    before = len(edge.store.traces())
    await ws.send(data)
    frame = await hear(ws)
    assert (frame["type"], frame["code"], frame.get("id")) == ("error", code, frame_id)
    assert set(frame) <= {"type", "error", "code", "details", "retryable", "id"}
    assert frame["error"]
    assert not [word for word in INSIDE if word.decode() in frame["error"]]
    assert len(edge.store.traces()) == before
    await say(ws, type="chat", id="good", message="hi")
    frames = await hear_end(ws)
    assert (text_of(frames), frames[-1]["finish_reason"]) == ("lorem ipsum dolor", "stop")


@pytest.mark.parametrize("after", [-1, 0, 2**53, 2**63, 2**64 - 1, 10**400, 1.5, True, None])
async def test_resumes_from_absurd_positions(ws: ClientConnection, edge: GatewayProcess, after: Any) -> None:
    """A number before the start is the start; one beyond the end, or none at all, is an error frame."""
    await say(ws, type="chat", id="c", message="hi")
    trace_id = (await hear_end(ws))[-1]["trace_id"]
    await say(ws, type="resume", id="r", trace_id=trace_id, after=after)
    frame = await hear(ws)
    if type(after) is int and after < 1:
        assert (frame["type"], frame["id"], frame["seq"]) == ("start", "r", 1)
        assert (await hear_end(ws))[-1]["type"] == "done"
    else:
        assert (frame["type"], frame["id"]) == ("error", "r")
        assert frame["code"] in ("nothing_to_resume", "invalid_value", "not_json")
    await say(ws, type="ping", id="p")
    assert await hear(ws) == {"type": "pong", "id": "p"}


async def test_a_frame_that_is_too_large(ws: ClientConnection, edge: GatewayProcess) -> None:
    """The socket closes with 1009, and others go on."""
    await ws.send(json.dumps({"type": "chat", "id": "x", "message": "x" * MAX_BODY}))
    assert (await close_code(ws))[0] == 1009
    assert ask(edge)["response"]


def test_a_frame_that_is_far_too_large(edge: GatewayProcess) -> None:
    """A client that sends all of it before it reads still gets the close."""
    with shaken(edge) as connection:
        connection.sendall(b"\x81\xff" + (MAX_BODY * 50).to_bytes(8, "big") + bytes(4 + MAX_BODY * 50))
        assert first_close(connection) == 1009


async def test_a_frame_in_endless_pieces(ws: ClientConnection) -> None:
    """Pieces count together."""

    async def pieces() -> AsyncIterator[str]:
        for _ in range(100):
            yield "x" * 10_000

    sending = asyncio.create_task(ws.send(pieces()))
    assert (await close_code(ws))[0] == 1009
    await asyncio.gather(sending, return_exceptions=True)


async def test_text_that_is_not_utf_8(ws: ClientConnection) -> None:
    """The WebSocket protocol's own error: 1007."""
    await ws.send(b"\xff\xfe", text=True)
    assert (await close_code(ws))[0] == 1007


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x81\x02{}", 1002),  # not masked
        (b"\x83\x80" + bytes(4), 1002),  # a reserved opcode
        (b"\xc1\x80" + bytes(4), 1002),  # compressed, which was not agreed on
        (b"\x89\xfe\x01\x00" + bytes(4 + 256), 1002),  # a ping that is too long
        (b"\x80\x80" + bytes(4), 1002),  # a continuation of nothing
        (b"\x81\xff" + b"\xff" * 8 + bytes(4), 1009),  # a length that can't be
        (b"\x81\xff" + (2**62).to_bytes(8, "big") + bytes(4), 1009),
    ],
)
def test_frames_against_the_protocol(edge: GatewayProcess, data: bytes, code: int) -> None:
    """Each closes the socket with the protocol's own code."""
    with shaken(edge) as connection:
        connection.sendall(data)
        assert first_close(connection) == code
    assert ask(edge)["response"]


async def test_many_small_frames(ws: ClientConnection) -> None:
    """Thousands of them are each answered, in their order."""
    for i in range(3000):
        await say(ws, type="ping", id=str(i))
        if i % 100 == 99:
            assert [(await hear(ws))["id"] for _ in range(100)] == [str(n) for n in range(i - 99, i + 1)]


async def test_too_many_chats(ws: ClientConnection) -> None:
    """A hundred at once is what one socket takes; the next is refused, and those that run go on."""
    for i in range(101):
        await say(ws, type="chat", id=f"c{i}", message="hi", model="slow")
    while (frame := await hear(ws))["type"] != "error":
        assert frame["type"] in ("start", "token")
    assert (frame["id"], frame["code"]) == ("c100", "too_many_chats")
    await say(ws, type="stop", id="c0")
    while (frame := await hear(ws))["type"] != "done":
        assert frame["type"] in ("start", "token")
    assert (frame["id"], frame["finish_reason"]) == ("c0", "stopped")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", f"{ORIGIN}.evil.example"])
async def test_a_foreign_page(edge: GatewayProcess, origin: str) -> None:
    """It is accepted and closed with 1008, so that a browser can see why, before a frame of it is read."""
    before = len(edge.store.traces())
    async with connect(socket_url(edge), additional_headers={"Origin": origin}) as ws:
        await say(ws, type="chat", id="x", message="hi")
        code, reason = await close_code(ws)
    assert code == 1008
    assert "origin" in reason
    assert len(edge.store.traces()) == before


@pytest.mark.parametrize("own", [True, False])
async def test_an_allowed_page(edge: GatewayProcess, own: bool) -> None:
    """The gateway's own, or one of a configured origin."""
    async with connect(socket_url(edge), additional_headers={"Origin": edge.url if own else ORIGIN}) as ws:
        await say(ws, type="ping")
        assert (await hear(ws))["type"] == "pong"


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"X-Forwarded-For": "8.8.8.8"}, {"Authorization": "Bearer gw-sk-no"}]
)
def test_sockets_that_want_a_key(edge: GatewayProcess, headers: dict[str, str]) -> None:
    """Callers without a key are let in as for requests."""
    with shaken(edge, **headers) as connection:
        assert first_close(connection) == 1008


@pytest.mark.parametrize(("role", "code"), [("", 1008), ("review", 1008), ("chat", None), ("admin", None)])
async def test_roles_on_sockets(locked: Locked, role: str, code: int | None) -> None:
    """Those that may chat."""
    headers = {"Authorization": f"Bearer {locked.keys[role]}"} if role else {}
    async with connect(socket_url(locked.gateway), additional_headers=headers) as ws:
        await say(ws, type="ping")
        if code is None:
            assert (await hear(ws))["type"] == "pong"
        else:
            assert (await close_code(ws))[0] == code


async def test_another_path(edge: GatewayProcess) -> None:
    """There is one socket; elsewhere it is accepted and closed, which a browser can see."""
    async with connect(edge.url.replace("http", "ws", 1) + "/chat") as ws:
        assert (await close_code(ws))[0] == 1008


async def test_another_keys_stream(locked: Locked) -> None:
    """Neither resumed nor told apart from an unknown one."""
    asked = ask(locked.gateway, key=locked.keys["admin"])["trace_id"]
    headers = {"Authorization": f"Bearer {locked.keys['chat']}"}
    async with connect(socket_url(locked.gateway), additional_headers=headers) as ws:
        await say(ws, type="resume", id="r", trace_id=asked)
        assert (await hear(ws))["code"] == "not_found"


async def test_shutdown(start_gateway: StartGateway) -> None:
    """A running chat ends in its error frame, the socket with 1001, and a new one gets 1001 at once."""
    gateway = start_gateway(CONFIG | {"server": {"drain_s": 1}})
    async with connect(socket_url(gateway)) as ws, connect(socket_url(gateway)) as idle:
        await say(ws, type="chat", id="c", message="hi", model="slow")
        assert (await hear(ws))["type"] == "start"
        gateway.signal(signal.SIGTERM)
        await say(ws, type="ping")
        while (frame := await hear(ws))["type"] != "pong":
            assert frame["type"] == "token"
        async with connect(socket_url(gateway)) as late:
            assert (await close_code(late))[0] == 1001
        await say(idle, type="chat", id="n", message="hi")
        refused = await hear(idle)
        assert (refused["type"], refused["id"], refused["code"]) == ("error", "n", "server_shutdown")
        last = (await hear_end(ws))[-1]
        assert (last["type"], last["code"], last["retryable"]) == ("error", "server_shutdown", True)
        assert [(await close_code(socket))[0] for socket in (ws, idle)] == [1001, 1001]
    assert await asyncio.to_thread(gateway.wait) == 0


async def test_a_revoked_key_of_an_open_socket(locked: Locked) -> None:
    """A new socket is refused; before, it was let in, though the key was new."""
    key = make_key(locked.gateway, "chat", name="short-lived")
    async with connect(socket_url(locked.gateway), additional_headers={"Authorization": f"Bearer {key}"}) as ws:
        await say(ws, type="ping")
        assert json.loads(await ws.recv())["type"] == "pong"
    async with connect(socket_url(locked.gateway)) as ws:
        assert (await close_code(ws))[0] == 1008
    assert locked.gateway.run("keys", "revoke", "short-lived").returncode == 0
    async with asyncio.timeout(3):
        while True:
            async with connect(socket_url(locked.gateway), additional_headers={"Authorization": f"Bearer {key}"}) as ws:
                with contextlib.suppress(ConnectionClosed):
                    await say(ws, type="ping")
                    await ws.recv()
            if ws.close_code == 1008:
                return
