"""A client that sends exactly what a test says: any bytes as a body, any header, or a whole request by hand."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from tests.support.servers import ServerProcess
from tests.support.wires import Reply as Reply
from tests.support.wires import text_of as text_of

JSON = {"Content-Type": "application/json"}
NO_TRACE = "tr-" + "0" * 32
# What would tell of the inside, in any body.
INSIDE = (b"Traceback", b'File "', b".py", b"sqlite", b"SELECT", b"INSERT", b"/tmp/", b"sk-secret")


def call(
    server: ServerProcess,
    method: str,
    target: str,
    body: Any = None,
    headers: dict[str, str] | None = None,
    key: str | None = None,
) -> Reply:
    """One request; a body that isn't bytes goes as JSON. Whatever comes back must not tell of the inside."""
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    sent = {} if body is None else dict(JSON)
    sent |= {"Authorization": f"Bearer {key}"} if key else {}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request(method, target, data, sent | (headers or {}))
        answer = connection.getresponse()
        reply = Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    finally:
        connection.close()
    assert reply.headers["x-request-id"]
    if reply.status >= 400:
        assert not [word for word in INSIDE if word in reply.body], reply.body
        assert not key or key.encode() not in reply.body
    return reply


def ask(server: ServerProcess, key: str | None = None, **body: Any) -> Any:
    """A whole answer by POST /chat, which must succeed."""
    reply = call(server, "POST", "/chat", {"message": "hi", **body}, key=key)
    assert reply.status == 200, reply.body
    return reply.json


def by_token(server: ServerProcess, method: str, target: str, body: Any, token: str, **headers: str) -> Reply:
    """A request with a feedback token."""
    return call(server, method, target, body, {"X-Feedback-Token": token, **headers})


def assert_native(reply: Reply, status: int, code: str, *fields: str) -> None:
    """An error in the native shape, with these fields named."""
    assert (reply.status, reply.json.get("code")) == (status, code), reply.body
    assert set(reply.json) <= {"error", "code", "details", "trace_id"}
    assert isinstance(reply.json["error"], str)
    assert 3 < len(reply.json["error"]) < 2000
    details = reply.json.get("details", [])
    assert all(set(detail) == {"field", "problem"} for detail in details)
    if fields:
        assert {detail["field"] for detail in details} == set(fields)
    assert reply.headers["content-type"] == "application/json"


def assert_openai(reply: Reply, status: int, code: str) -> None:
    """An error in OpenAI's shape."""
    assert reply.status == status, reply.body
    assert set(reply.json) == {"error"}
    error = reply.json["error"]
    assert set(error) == {"message", "type", "code", "param"}
    assert error["message"]
    assert error["code"] == code
    assert error["type"]


@contextlib.contextmanager
def dialled(server: ServerProcess, timeout: float = 20) -> Iterator[socket.socket]:
    """A bare connection."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=timeout) as connection:
        yield connection


def read_reply(connection: socket.socket, method: str = "GET") -> Reply:
    """The next response on a bare connection."""
    answer = http.client.HTTPResponse(connection, method=method)
    answer.begin()
    return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())


def by_hand(server: ServerProcess, request: bytes) -> Reply:
    """Send these bytes and read one response."""
    with dialled(server) as connection:
        connection.sendall(request)
        return read_reply(connection)


# WebSockets


def socket_url(server: ServerProcess) -> str:
    return f"ws://127.0.0.1:{server.port}/chat/ws"


async def say(ws: ClientConnection, **frame: Any) -> None:
    """Send a frame; where the server has closed already, the test hears of it when it reads."""
    with contextlib.suppress(ConnectionClosed):
        await ws.send(json.dumps(frame))


async def hear(ws: ClientConnection) -> dict[str, Any]:
    """The next frame."""
    async with asyncio.timeout(20):
        data = await ws.recv()
    assert isinstance(data, str)
    frame: dict[str, Any] = json.loads(data)
    return frame


async def hear_end(ws: ClientConnection) -> list[dict[str, Any]]:
    """Frames up to the first terminal one."""
    frames = [await hear(ws)]
    while frames[-1]["type"] not in ("done", "error"):
        frames.append(await hear(ws))
    return frames


async def close_code(ws: ClientConnection) -> tuple[int | None, str]:
    """How the server closes, after whatever frames come before."""
    try:
        async with asyncio.timeout(20):
            while True:
                await ws.recv()
    except ConnectionClosed:
        return ws.close_code, ws.close_reason or ""


@contextlib.contextmanager
def shaken(server: ServerProcess, **headers: str) -> Iterator[socket.socket]:
    """A bare connection after its WebSocket handshake."""
    sent = {"Host": "localhost"} | headers
    lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    with dialled(server) as connection:
        key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
        connection.sendall(f"GET /chat/ws HTTP/1.1\r\n{lines}{upgrade}{key}\r\n\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(1)
        assert head.startswith(b"HTTP/1.1 101"), head
        yield connection


def first_close(connection: socket.socket) -> int:
    """The code of the close frame, which must be what comes next."""
    frame = b""
    while len(frame) < 4:
        frame += connection.recv(4 - len(frame))
    assert frame[0] == 0x88, frame
    return int.from_bytes(frame[2:4], "big")
