"""Streams at the edge: resumed while they run, stopped, left, and clients that take nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.support.chaos import ChaosProcess
from tests.support.http_client import (
    assert_native,
    assert_openai,
    call,
    dialled,
    hear,
    hear_end,
    say,
    shaken,
    socket_url,
    text_of,
)
from tests.support.servers import GatewayProcess
from tests.support.wires import fold
from tests.web.conftest import CONFIG, works

HI = [{"role": "user", "content": "hi"}]
STREAM = {"messages": HI, "stream": True}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, upstream: ChaosProcess) -> Iterator[GatewayProcess]:
    """Impatient: heartbeats and send timeouts come soon."""
    names = ("ok", "status-500", "status-429", "error-after-3", "stall-before", "endless-0ms")
    models = {name: {"targets": [f"chaos/{name}"], "retries": 0} for name in names}
    config = CONFIG | {
        "streaming": {
            "heartbeat_s": 0.1,
            "send_timeout_s": 0.5,
            "disconnect_grace_s": 0.1,
            "max_answer_bytes": 1 << 28,
        },
        "providers": {"chaos": {"kind": "openai", "base_url": upstream.url + "/v1", "api_key": "sk-secret"}},
        "models": CONFIG["models"] | models,
    }
    with GatewayProcess(tmp_path_factory.mktemp("streams"), config) as process:
        yield process


class Opened:
    """A response that is read bit by bit."""

    def __init__(
        self, connection: socket.socket, target: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        method = "GET" if body is None else "POST"
        head = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        connection.sendall(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        self._file = connection.makefile("rb")
        self.got = b""

    def until(self, wanted: bytes) -> bytes:
        """What has come, once `wanted` is in it."""
        while wanted not in self.got:
            piece = self._file.read1(4096)
            assert piece, self.got
            self.got += piece
        return self.got

    @property
    def trace_id(self) -> str:
        got = self.until(b"\r\n\r\n")
        return got[got.index(b"x-trace-id: tr-") + 12 :][:35].decode()


def asked(path: str, model: str) -> dict[str, Any]:
    """A body that asks for a stream."""
    return {"messages": HI, "model": model} | ({"stream": True} if path.startswith("/v1") else {})


def stop(gateway: GatewayProcess, trace_id: str) -> None:
    assert call(gateway, "POST", f"/chat/stream/{trace_id}/stop").json == {
        "status": "success",
        "trace_id": trace_id,
        "outcome": "stopped",
    }


def test_a_stream_is_resumed_while_it_runs(gateway: GatewayProcess) -> None:
    """By a second reader, from the start; both see the same end."""
    with dialled(gateway) as one, dialled(gateway) as two:
        first = Opened(one, "/chat/stream", {"message": "hi", "model": "slow"})
        first.until(b'"token"')
        second = Opened(two, f"/chat/stream/{first.trace_id}")
        second.until(b'"token"')
        stop(gateway, first.trace_id)
        for reader in (first, second):
            reader.until(b'"finish_reason":"stopped"')
            reader.until(b"0\r\n\r\n")


def test_a_resume_from_far_ahead(gateway: GatewayProcess) -> None:
    """Of a running stream: it goes on live, and has its end."""
    with dialled(gateway) as one, dialled(gateway) as two:
        first = Opened(one, "/chat/stream", {"message": "hi", "model": "slow"})
        first.until(b'"token"')
        second = Opened(two, f"/chat/stream/{first.trace_id}?after=999999999999999")
        second.until(b": connected")
        stop(gateway, first.trace_id)
        assert b'"finish_reason":"stopped"' in second.until(b"0\r\n\r\n")


def test_openai_streams(gateway: GatewayProcess) -> None:
    """To the end, with the trace's ID where it was asked for."""
    headers = {"x-mlflow-return-trace-id": "TRUE"}
    reply = call(gateway, "POST", "/v1/chat/completions", STREAM | {"model": "ok"}, headers)
    assert fold(reply.events[:-1])[0]["content"] == "Grüße, Welt 🌍! It still works."
    assert reply.payloads[-2:] == [
        json.dumps({"trace_id": reply.headers["x-trace-id"]}, separators=(",", ":")).encode(),
        b"[DONE]",
    ]


@pytest.mark.parametrize(("model", "status"), [("status-500", 502), ("status-429", 429)])
@pytest.mark.parametrize("stream", [True, False])
def test_a_failure_before_the_first_token(gateway: GatewayProcess, model: str, status: int, stream: bool) -> None:
    """An HTTP error on /v1, in-band on the native stream; either names the trace."""
    reply = call(gateway, "POST", "/v1/chat/completions", {"messages": HI, "model": model, "stream": stream})
    assert_openai(reply, status, "upstream_rate_limited" if status == 429 else "upstream_error")
    assert gateway.store.ended(reply.headers["x-trace-id"])["outcome"] == "upstream_error"
    native = call(gateway, "POST", "/chat/stream" if stream else "/chat", {"messages": HI, "model": model})
    if stream:
        assert (native.status, native.events[-1]["type"]) == (200, "error")
    else:
        assert native.status == status
        assert native.json["trace_id"] == native.headers["x-trace-id"]


def test_a_failure_amid_an_openai_stream(gateway: GatewayProcess) -> None:
    """An error object, and no [DONE]."""
    reply = call(gateway, "POST", "/v1/chat/completions", STREAM | {"model": "error-after-3"})
    assert reply.status == 200
    assert set(reply.events[-1]["error"]) == {"message", "type", "code", "param"}
    assert b"[DONE]" not in reply.body


@pytest.mark.parametrize("path", ["/chat/stream", "/v1/chat/completions"])
def test_heartbeats_before_the_first_token(gateway: GatewayProcess, path: str) -> None:
    """They come while the provider thinks, and end nothing."""
    with dialled(gateway) as connection:
        reply = Opened(connection, path, asked(path, "stall-before"))
        got = reply.until(b": heartbeat\n")
        assert got.startswith(b"HTTP/1.1 200 ")
        stop(gateway, reply.trace_id)
        end = reply.until(b"0\r\n\r\n")
    assert (b"data: [DONE]" if "v1" in path else b'"finish_reason":"stopped"') in end


def test_a_plain_answer_that_is_stopped(gateway: GatewayProcess) -> None:
    """Its client gets what there was, in either wire."""
    for path in ("/v1/chat/completions", "/chat"):
        known = traces(gateway)
        with dialled(gateway) as connection:
            reply = Opened(connection, path, {"messages": HI, "model": "slow"})
            (trace_id,) = new_traces(gateway, known)
            stop(gateway, trace_id)
            got = reply.until(b'"finish_reason":')
            assert got.startswith(b"HTTP/1.1 200 ")
            assert trace_id.encode() in got


@pytest.mark.parametrize("path", ["/chat/stream", "/v1/chat/completions", "/chat"])
def test_a_client_that_leaves(gateway: GatewayProcess, path: str) -> None:
    """Its trace ends as `disconnected`."""
    known = traces(gateway)
    with dialled(gateway) as connection:
        Opened(connection, path, asked(path, "slow"))
        (trace_id,) = new_traces(gateway, known)
    assert gateway.store.ended(trace_id)["outcome"] == "disconnected"


def traces(gateway: GatewayProcess) -> set[str]:
    return {row["trace_id"] for row in gateway.store.traces()}


def new_traces(gateway: GatewayProcess, known: set[str]) -> set[str]:
    return until(lambda: traces(gateway) - known)


def until(found: Callable[[], set[str]]) -> set[str]:
    deadline = time.monotonic() + 15
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return value


def open_connections(gateway: GatewayProcess) -> float:
    """HTTP and WebSockets, without this question's own."""
    text = call(gateway, "GET", "/metrics").body.decode()
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith("gateway_open_conn")) - 1


@pytest.mark.parametrize("path", ["/chat/stream", "/v1/chat/completions"])
def test_a_client_that_takes_nothing(gateway: GatewayProcess, path: str) -> None:
    """It is dropped after send_timeout_s, and the answer, which would never end, ends with it."""
    with contextlib.closing(socket.socket()) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        connection.connect(("127.0.0.1", gateway.port))
        Opened(connection, path, asked(path, "endless-0ms"))
        until(lambda: {"gone"} if open_connections(gateway) == 0 else set())
    newest = gateway.store.traces()[-1]
    assert (newest["model"], gateway.store.ended(newest["trace_id"])["outcome"]) == ("endless-0ms", "disconnected")
    assert works(gateway)


def test_a_socket_that_takes_nothing(gateway: GatewayProcess) -> None:
    """The same by frames."""
    chat = json.dumps({"type": "chat", "id": "c", "message": "hi", "model": "endless-0ms"}).encode()
    with shaken(gateway) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        connection.sendall(bytes([0x81, 0x80 | len(chat)]) + bytes(4) + chat)
        until(lambda: {"gone"} if open_connections(gateway) == 0 else set())
    assert works(gateway)


@pytest.fixture
async def ws(gateway: GatewayProcess) -> AsyncIterator[ClientConnection]:
    async with connect(socket_url(gateway) + "?secret=not-to-be-logged", max_queue=None) as connection:
        yield connection


async def test_frames_of_all_kinds(ws: ClientConnection, gateway: GatewayProcess) -> None:
    """A chat, a taken id, a resume on another socket, a rating and a stop."""
    await say(ws, type="chat", id="c", message="hi", model="slow")
    trace_id = (await hear(ws))["trace_id"]
    await say(ws, type="chat", id="c", message="hi")
    while (frame := await hear(ws))["type"] != "error":
        assert frame["type"] == "token"
    assert (frame["id"], frame["code"]) == ("c", "duplicate_id")
    await say(ws, type="feedback", id="f", trace_id=trace_id, is_correct=True)
    while (frame := await hear(ws))["type"] != "feedback_recorded":
        assert frame["type"] == "token"
    assert (frame["id"], frame["trace_id"]) == ("f", trace_id)
    async with connect(socket_url(gateway)) as other:
        await say(other, type="resume", trace_id=trace_id, after=0)
        assert (await hear(other))["id"] == trace_id
        await say(ws, type="stop", id="c")
        ends = [(await hear_end(socket))[-1]["finish_reason"] for socket in (ws, other)]
    assert ends == ["stopped", "stopped"]
    assert "not-to-be-logged" not in gateway.output()


async def test_somebody_elses_session_by_frame(ws: ClientConnection, gateway: GatewayProcess) -> None:
    """404's code, with the frame's id, also where only the store knows whose it is."""
    # In threads: this server soon drops a socket whose client doesn't answer its pings.
    anns = {"message": "hi", "session_id": "anns", "user_id": "ann"}
    await asyncio.to_thread(call, gateway, "POST", "/chat", anns)
    before = len(await asyncio.to_thread(gateway.store.traces))
    for body in ({"message": "hi"}, {"messages": HI}):
        await say(ws, type="chat", id="c", session_id="anns", user_id="bob", **body)
        frame = await hear(ws)
        assert (frame["type"], frame["id"], frame["code"]) == ("error", "c", "not_found")
    assert len(await asyncio.to_thread(gateway.store.traces)) == before


async def test_a_failed_chat_by_frame(ws: ClientConnection) -> None:
    """It ends in an error frame, and the text so far came before."""
    await say(ws, type="chat", id="c", message="hi", model="error-after-3")
    frames = await hear_end(ws)
    assert (text_of(frames), frames[-1]["type"]) == ("lorem ipsum dolor", "error")


def test_a_parameter_that_comes_twice(gateway: GatewayProcess) -> None:
    """Nobody knows which is meant."""
    reply = call(gateway, "GET", "/sessions/s?user_id=a&user_id=b")
    assert_native(reply, 422, "invalid_value", "user_id")
