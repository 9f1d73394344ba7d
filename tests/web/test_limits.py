"""What callers may ask for, at a real server: requests, streams, sockets, frames, and the reload of all that."""

from __future__ import annotations

import contextlib
import json
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from websockets.asyncio.client import connect

from tests.conftest import StartGateway
from tests.support.http_client import (
    Reply,
    assert_native,
    assert_openai,
    call,
    close_code,
    dialled,
    first_close,
    hear,
    hear_end,
    say,
    shaken,
    socket_url,
)
from tests.support.servers import GatewayProcess
from tests.web.conftest import CONFIG, MAX_BODY, make_key

MESSAGES = [{"role": "user", "content": "hi"}]
OPEN = {"auth": {"require_keys": "never"}}


def limited(start_gateway: StartGateway, config: dict[str, Any] | None = None, **limits: int) -> GatewayProcess:
    return start_gateway(CONFIG | (config or {}) | {"limits": limits})


def chat(gateway: GatewayProcess, key: str | None = None, **headers: str) -> Reply:
    return call(gateway, "POST", "/chat", {"message": "hi"}, headers, key=key)


def openai(gateway: GatewayProcess, key: str | None = None) -> Reply:
    return call(gateway, "POST", "/v1/chat/completions", {"messages": MESSAGES}, key=key)


def seconds_to_wait(reply: Reply) -> int:
    return int(reply.headers["retry-after"])


@contextlib.contextmanager
def streaming(gateway: GatewayProcess, path: str = "/chat/stream", key: str | None = None) -> Iterator[socket.socket]:
    """A stream that has begun and goes on."""
    body = json.dumps({"messages": MESSAGES, "model": "slow", "stream": True}).encode()
    bearer = f"Authorization: Bearer {key}\r\n" if key else ""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{bearer}Content-Type: application/json\r\n"
    with dialled(gateway) as connection:
        connection.sendall(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        got = b""
        while b"data: " not in got:
            got += connection.recv(65_536)
        assert got.startswith(b"HTTP/1.1 200")
        yield connection


def eventually(holds: Callable[[], bool]) -> None:
    """Wait for something that the server does by itself."""
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.03)


def test_requests_per_minute_of_a_key(start_gateway: StartGateway) -> None:
    """One too many is refused on every wire, in its shape, with the time to wait; other keys go on."""
    gateway = limited(start_gateway, requests_per_minute=3)
    key, other = make_key(gateway, "chat", name="a"), make_key(gateway, "chat", name="b")
    eventually(lambda: chat(gateway, other).status == 200)
    eventually(lambda: chat(gateway, key).status == 200)
    while (reply := chat(gateway, key)).status == 200:
        pass
    assert_native(reply, 429, "rate_limited")
    assert 1 <= seconds_to_wait(reply) <= 20
    reply = openai(gateway, key)
    assert_openai(reply, 429, "rate_limited")
    assert reply.json["error"]["type"] == "rate_limit_error"
    assert 1 <= seconds_to_wait(reply) <= 20
    for method, path in (("POST", "/chat/stream"), ("POST", "/feedback"), ("GET", "/feedback"), ("GET", "/nowhere")):
        assert_native(call(gateway, method, path, {"message": "hi"}, key=key), 429, "rate_limited")
    assert call(gateway, "GET", "/healthz", key=key).status == 200
    assert chat(gateway, other).status == 200
    assert 'gateway_refused_total{status="429"}' in call(gateway, "GET", "/metrics").body.decode()


def test_an_address_that_a_caller_makes_up(start_gateway: StartGateway) -> None:
    """X-Forwarded-For means nothing where no proxy is trusted."""
    gateway = limited(start_gateway, OPEN, requests_per_minute=2)
    statuses = [chat(gateway, **{"X-Forwarded-For": f"192.0.2.{number}"}).status for number in range(4)]
    assert statuses == [200, 200, 429, 429]


def test_addresses_behind_a_proxy(start_gateway: StartGateway) -> None:
    """Each has its own bucket, an IPv6 network one for all; what a client adds on the left changes nothing."""
    config = OPEN | {"server": {"trusted_proxies": ["127.0.0.1", "10.0.0.0/8"]}}
    gateway = limited(start_gateway, config, requests_per_minute=2)

    def statuses(*addresses: str) -> list[int]:
        return [chat(gateway, **{"X-Forwarded-For": address}).status for address in addresses]

    assert statuses("192.0.2.1", "6.6.6.6, 192.0.2.1", "7.7.7.7, 192.0.2.1, 10.1.1.1") == [200, 200, 429]
    assert statuses("192.0.2.2", "2001:db8::1", "2001:db8::2", "[2001:db8::3]:99") == [200, 200, 200, 429]
    assert chat(gateway).status == 200  # the proxy itself


def test_an_address_with_many_keys(start_gateway: StartGateway) -> None:
    """Its own limit counts before keys are looked at, and wrong ones count, too."""
    gateway = limited(start_gateway, OPEN, requests_per_minute_per_address=3)
    assert [chat(gateway, f"gw-sk-{number}").status for number in range(4)] == [401, 401, 401, 429]


@pytest.mark.parametrize("path", ["/chat/stream", "/v1/chat/completions"])
def test_streams_of_a_key(start_gateway: StartGateway, path: str) -> None:
    """One too many is refused in the wire's shape; as soon as one is over, another may begin."""
    gateway = limited(start_gateway, {"streaming": {"disconnect_grace_s": 0}}, streams_per_key=2)
    key = make_key(gateway, "chat", name="a")
    eventually(lambda: chat(gateway, key).status == 200)
    with streaming(gateway, path, key), streaming(gateway, path, key):
        native, other = chat(gateway, key), openai(gateway, key)
        assert_native(native, 429, "too_many_streams")
        assert_openai(other, 429, "too_many_streams")
        assert seconds_to_wait(native) == seconds_to_wait(other) == 1
        assert chat(gateway).status == 200  # keyless: another caller
    eventually(lambda: chat(gateway, key).status == 200)


def test_streams_of_all(start_gateway: StartGateway) -> None:
    """At the ceiling everybody gets 503 with Retry-After, and new sockets 1013; ratings go on."""
    gateway = limited(start_gateway, {"streaming": {"disconnect_grace_s": 0}}, max_streams=2)
    trace_id = chat(gateway).json["trace_id"]
    with streaming(gateway), streaming(gateway, "/v1/chat/completions"):
        native, other = chat(gateway), openai(gateway)
        assert_native(native, 503, "too_busy")
        assert_openai(other, 503, "too_busy")
        assert seconds_to_wait(native) == seconds_to_wait(other) == 1
        assert call(gateway, "POST", f"/feedback?trace_id={trace_id}", {"is_correct": True}).status == 200
        with shaken(gateway) as connection:
            assert first_close(connection) == 1013
    eventually(lambda: chat(gateway).status == 200)


def test_the_memory_of_all(start_gateway: StartGateway) -> None:
    """While the process takes more, nobody gets a new stream; a reload gives room at once."""
    gateway = limited(start_gateway, max_memory_mb=1)
    eventually(lambda: chat(gateway).status == 503)
    assert_native(chat(gateway), 503, "too_busy")
    gateway.write_config(CONFIG | {"limits": {"max_memory_mb": 100_000}})
    eventually(lambda: chat(gateway).status == 200)


def test_the_bodies_of_all(start_gateway: StartGateway) -> None:
    """What is still coming takes so much together; whole small bodies, and others once it is over, are taken."""
    gateway = limited(start_gateway, max_bodies_bytes=300_000)
    head = b"POST /chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 199000\r\n\r\n"
    large = {"message": "x" * 150_000}
    with dialled(gateway) as connection:
        connection.sendall(head + b" " * 190_000)
        eventually(lambda: call(gateway, "POST", "/chat", large).status == 503)
        assert_native(call(gateway, "POST", "/chat", large), 503, "too_busy")
        assert chat(gateway).status == 200
    eventually(lambda: call(gateway, "POST", "/chat", large).status == 200)


def test_the_long_messages_of_sockets(start_gateway: StartGateway) -> None:
    """What has come of one counts: of two that don't fit, one gets 1013; once it is whole there is room again."""
    gateway = limited(start_gateway, max_bodies_bytes=300_000)
    begun = b"\x81\xff" + (190_000).to_bytes(8, "big") + bytes(4) + b" " * 180_000
    with shaken(gateway) as first, shaken(gateway) as second:
        for connection in (first, second):
            connection.sendall(begun)
        (refused,) = select.select([first, second], [], [], 20)[0]
        assert first_close(refused) == 1013
        other = first if refused is second else second
        other.sendall(b" " * 10_000)
        assert other.recv(1)[0] == 0x81  # an error frame: blanks are no JSON
        assert call(gateway, "POST", "/chat", {"message": "x" * 150_000}).status == 200
        other.sendall(begun)
    eventually(lambda: call(gateway, "POST", "/chat", {"message": "x" * 150_000}).status == 200)


def test_large_bodies_and_replies_one_after_another(start_gateway: StartGateway) -> None:
    """Each is counted while it is there, and no longer: on every route, answered or refused."""
    gateway = limited(start_gateway, max_bodies_bytes=250_000)
    large = {"message": "x" * 100_000, "session_id": "one"}
    for _ in range(3):
        assert call(gateway, "POST", "/chat", large | {"session_id": "two"}).status in (200, 413)
        assert (
            call(gateway, "POST", "/chat/stream", {"messages": [{"role": "user", "content": "x" * 90_000}]}).status
            == 200
        )
        assert call(gateway, "POST", "/chat", large | {"model": "none"}).status == 404
        assert call(gateway, "POST", "/feedback", large).status == 422
        reply = call(gateway, "GET", "/sessions/two")
        assert (reply.status, len(reply.body) > 100_000) == (200, True)


def test_messages_of_a_chat(start_gateway: StartGateway) -> None:
    """Too many are refused by name: 422, or 400 on OpenAI's wire."""
    gateway = limited(start_gateway, max_messages=10)
    body = {"messages": MESSAGES * 10}
    assert call(gateway, "POST", "/chat", body).status == 200
    body = {"messages": MESSAGES * 11}
    assert_native(call(gateway, "POST", "/chat", body), 422, "invalid_value", "messages")
    assert_openai(call(gateway, "POST", "/v1/chat/completions", body), 400, "invalid_value")


def test_messages_of_a_conversation(start_gateway: StartGateway) -> None:
    """One that goes on turn by turn has no more of them than one that is sent whole, and is no longer."""
    gateway = limited(start_gateway, max_messages=10)
    messages = {"messages": MESSAGES * 8, "session_id": "many"}
    assert call(gateway, "POST", "/chat", messages).status == 200
    more = {"message": "x" * 100, "session_id": "many"}
    assert call(gateway, "POST", "/chat", more).status == 200
    assert_native(call(gateway, "POST", "/chat", more), 422, "invalid_value", "messages")
    long = {"message": "x" * (MAX_BODY - 1000), "session_id": "long"}
    assert [call(gateway, "POST", "/chat", long).status for _ in range(2)] == [200, 413]


async def test_the_rate_on_a_socket(start_gateway: StartGateway) -> None:
    """A chat too many is refused in a frame; a socket too many is closed with 4429."""
    gateway = limited(start_gateway, requests_per_minute=3)
    async with connect(socket_url(gateway)) as ws:
        for name in ("c1", "c2", "c3"):
            await say(ws, type="chat", id=name, message="hi")
            end = (await hear_end(ws))[-1]
        assert (end["type"], end["code"], end["id"]) == ("error", "rate_limited", "c3")
        await say(ws, type="ping")
        assert (await hear(ws))["type"] == "pong"
    async with connect(socket_url(gateway)) as ws:
        assert (await close_code(ws))[0] == 4429


async def test_the_rate_of_an_address_on_a_socket(start_gateway: StartGateway) -> None:
    """Frames that ask for something count as requests do, of the address that a trusted proxy names."""
    proxy = {"server": {"port": 0, "trusted_proxies": ["127.0.0.1"]}}
    gateway = limited(start_gateway, OPEN | proxy, requests_per_minute_per_address=3)
    from_there = {"X-Forwarded-For": "203.0.113.9"}
    async with connect(socket_url(gateway), additional_headers=from_there) as ws:  # the first
        for number in range(3):
            await say(ws, type="chat", id=f"c{number}", message="hi")
            kind = (await hear_end(ws))[-1]
        assert (kind["type"], kind["code"]) == ("error", "rate_limited")
        await say(ws, type="ping")
        assert (await hear(ws))["type"] == "pong"
    assert chat(gateway, **from_there).status == 429
    assert chat(gateway).status == 200


async def test_streams_on_a_socket(start_gateway: StartGateway) -> None:
    """They count like any others."""
    gateway = limited(start_gateway, streams_per_key=1)
    async with connect(socket_url(gateway)) as ws:
        await say(ws, type="chat", id="c1", message="hi", model="slow")
        assert (await hear(ws))["type"] == "start"
        await say(ws, type="chat", id="c2", message="hi")
        while (frame := await hear(ws))["id"] != "c2":
            pass
        assert (frame["type"], frame["code"]) == ("error", "too_many_streams")


async def test_a_flood_of_frames(start_gateway: StartGateway) -> None:
    """Good or bad ones: the socket is closed with 4429."""
    gateway = limited(start_gateway, socket_messages_per_s=5)
    for frame in ('{"type":"ping"}', "rubbish"):
        async with connect(socket_url(gateway)) as ws:
            with contextlib.suppress(OSError):
                for _ in range(60):
                    await ws.send(frame)
            assert (await close_code(ws))[0] == 4429


def test_a_flood_from_a_client_that_never_reads(start_gateway: StartGateway) -> None:
    """It can't hold its connection by not taking the close."""
    gateway = limited(start_gateway, {"streaming": {"send_timeout_s": 60}}, socket_messages_per_s=5)
    ping = json.dumps({"type": "ping", "id": "x" * 200}).encode()
    frame = b"\x81\xfe" + len(ping).to_bytes(2, "big") + bytes(4) + ping
    with shaken(gateway) as connection, contextlib.suppress(ConnectionError):
        while True:  # the socket's own timeout is the guard
            connection.sendall(frame * 100)
    assert chat(gateway).status == 200


async def test_the_largest_frame(start_gateway: StartGateway) -> None:
    """Another size than that of bodies; above it 1009."""
    gateway = limited(start_gateway, socket_frame_bytes=5_000)
    assert call(gateway, "POST", "/chat", {"message": "x" * 10_000}).status == 200
    async with connect(socket_url(gateway)) as ws:
        await say(ws, type="ping", id="x" * 200, more="y" * 4_000)
        assert (await hear(ws))["type"] == "pong"
        await say(ws, type="ping", more="y" * 6_000)
        assert (await close_code(ws))[0] == 1009


@pytest.mark.parametrize("how", ["signal", "file"])
def test_a_reload(start_gateway: StartGateway, how: str) -> None:
    """Limits change while the server runs, by SIGHUP or by the file alone, and what was used counts on."""
    gateway = limited(start_gateway, requests_per_minute=1)
    assert [chat(gateway).status for _ in range(2)] == [200, 429]
    gateway.write_config(CONFIG | {"limits": {"requests_per_minute": 0, "max_messages": 1}})
    if how == "signal":
        gateway.signal(signal.SIGHUP)
    eventually(lambda: chat(gateway).status == 200)
    assert {chat(gateway).status for _ in range(5)} == {200}
    assert call(gateway, "POST", "/chat", {"messages": MESSAGES * 2}).status == 422
    gateway.write_config(CONFIG | {"limits": {"requests_per_minute": -1}})
    gateway.signal(signal.SIGHUP)
    eventually(lambda: "not reloaded" in gateway.stderr_path.read_text() + gateway.stdout_path.read_text())
    assert chat(gateway).status == 200
