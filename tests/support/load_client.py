"""A light HTTP client on raw sockets, for tests with very many streams: it keeps what came and when, and takes it
apart afterwards. It reuses no connection. Used by the stress, crash and soak tests.
"""

from __future__ import annotations

import asyncio
import json
import resource
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any, cast

from gateway.chaos import expected_text

Frames = list[tuple[int, dict[str, Any]]]  # native events with their ids

TERMINAL = ("done", "error")
_HURRY_S = 60.0


class Reply:
    """A reply as far as it came: `status`, `headers`, `body`, and whether it is `whole`."""

    def __init__(self, data: bytes) -> None:
        head, end, rest = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n") if end else [""]
        self.status = int(first.split()[1]) if first else 0  # 0: the head has not come, or not whole
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if self.headers.get("transfer-encoding") == "chunked":
            self.body, self.whole = _joined_chunks(rest)
        else:
            self.body = rest
            self.whole = bool(end) and len(rest) >= int(self.headers.get("content-length", "0"))

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def payloads(self) -> list[bytes]:
        """What follows `data:` in each event that came whole."""
        return [line[6:] for event in self._events() for line in event.split(b"\n") if line.startswith(b"data: ")]

    @property
    def frames(self) -> Frames:
        """The native events that came whole, with their ids."""
        found = []
        for event in self._events():
            fields = dict(line.split(b": ", 1) for line in event.split(b"\n") if not line.startswith(b":"))
            if b"data" in fields:
                found.append((int(fields[b"id"]), json.loads(fields[b"data"])))
        return found

    def _events(self) -> list[bytes]:
        return self.body.split(b"\n\n")[:-1]


def _joined_chunks(data: bytes) -> tuple[bytes, bool]:
    body: list[bytes] = []
    at = 0
    while (end := data.find(b"\r\n", at)) >= 0:
        size = int(data[at:end], 16)
        if size == 0:
            return b"".join(body), True
        body.append(data[end + 2 : end + 2 + size])
        at = end + 2 + size + 2
    return b"".join(body), False


def text_of(frames: Frames) -> str:
    """The answer's text."""
    return "".join(event["content"] for _, event in frames if event["type"] == "token")


def endings(frames: Frames) -> list[str]:
    """Each terminal event: `done`, or an error's code."""
    return [event.get("code", "done") for _, event in frames if event["type"] in TERMINAL]


class Exchange(asyncio.Protocol):
    """One request, and its reply as it comes: `pieces` are what came, each with its monotonic time."""

    def __init__(self, request: bytes) -> None:
        self.pieces: list[tuple[float, bytes]] = []
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport
        self._request = request
        self._came = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self.pieces.append((time.monotonic(), data))
        self._came.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._came.set()
        if not self.closed.done():
            self.closed.set_result(None)

    async def more(self) -> None:
        """Until more has come than when this was awaited last, or nothing will."""
        async with asyncio.timeout(_HURRY_S):
            await self._came.wait()
        self._came.clear()
        assert not self.closed.done(), f"the connection is closed; it brought {self.pieces!r}"

    async def end(self, timeout: float = _HURRY_S) -> Reply:
        """The reply, once the connection is over."""
        async with asyncio.timeout(timeout):
            await asyncio.shield(self.closed)
        return self.reply()

    def reply(self) -> Reply:
        """What has come so far."""
        return Reply(b"".join(data for _, data in self.pieces))


async def send(
    port: int,
    method: str,
    path: str,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    *,
    small: bool = False,
) -> Exchange:
    """Connect and send. `small`: with buffers as small as the kernel allows, here and, by small segments, there."""
    sock = socket.socket()
    sock.setblocking(False)
    if small:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)  # the peer's send buffer begins with this
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_connect(sock, ("127.0.0.1", port))
    except BaseException:
        sock.close()
        raise
    data = b"" if body is None else json.dumps(body).encode()
    fields = {"Host": "127.0.0.1", "Connection": "close", **(headers or {})}
    if body is not None:
        fields |= {"Content-Type": "application/json", "Content-Length": str(len(data))}
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    _, exchange = await loop.create_connection(lambda: Exchange(head.encode() + b"\r\n" + data), sock=sock)
    return exchange


async def fetch(port: int, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Reply:
    """The whole reply."""
    return await (await send(port, method, path, body, headers)).end()


async def metrics(port: int) -> dict[str, float]:
    """/metrics, by name and labels as they are written there."""
    reply = await fetch(port, "GET", "/metrics")
    lines = [line.rsplit(" ", 1) for line in reply.body.decode().splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, value in lines}


async def until(port: int, name: str, holds: Callable[[float], bool], timeout: float = _HURRY_S) -> None:
    """Wait for one of the gateway's metrics to be as wanted."""
    deadline = time.monotonic() + timeout
    while not holds(value := (await metrics(port))[name]):
        assert time.monotonic() < deadline, f"{name} is {value} after {timeout} s"
        await asyncio.sleep(0.05)


def answer_of(model: str) -> str:
    """The text that the demo provider and the chaos upstream send for a model of this name."""
    text = expected_text(model)
    assert text is not None
    return text


def allow_many_files() -> None:
    """Thousands of sockets need more descriptors than most shells allow; servers started from here inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
