"""Clients that mean harm, or are broken: each is refused or let go, and others are served meanwhile."""

from __future__ import annotations

import contextlib
import json
import time
from urllib.parse import quote, urlencode

import pytest

from tests.support.http_client import ask, assert_native, by_hand, call, dialled, read_reply, shaken
from tests.support.servers import GatewayProcess
from tests.web.conftest import CONFIG, works

HOST = b"Host: localhost\r\n"
BODY = b'{"message": "hi"}'
CHAT = (
    b"POST /chat/stream HTTP/1.1\r\n"
    + HOST
    + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)
    + BODY
)
POST = b"POST /chat HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"

NO_HTTP = {
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300),
    "http2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "bytes": bytes(range(256)) + b"\r\n\r\n",
    "path": b"GET /\xff\xfe HTTP/1.1\r\n" + HOST + b"\r\n",
    "long-path": b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "two-lengths": POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "length-and-chunks": POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "negative-length": POST + b"Content-Length: -2\r\n\r\n{}",
    "bad-chunk": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "bare-line-end": b"GET /config HTTP/1.1\r\nHost: localhost\nX: y\r\n\x00\r\n\r\n",
    "blank-in-name": b"GET /config HTTP/1.1\r\nHost: localhost\r\nX Y: z\r\n\r\n",
}


@pytest.mark.parametrize("data", NO_HTTP.values(), ids=NO_HTTP.keys())
def test_what_is_no_http(edge: GatewayProcess, data: bytes) -> None:
    """400 in the native shape, the connection is closed, and nothing of it reaches a route."""
    before = len(edge.store.traces())
    reply = by_hand(edge, data)
    assert_native(reply, 400, "bad_request")
    assert reply.headers["connection"] == "close"
    assert len(edge.store.traces()) == before
    assert works(edge)


def test_a_head_without_an_end(edge: GatewayProcess) -> None:
    """It is refused before it fills the memory."""
    with dialled(edge) as connection:
        connection.sendall(b"GET /config HTTP/1.1\r\n" + HOST + b"X: ")
        with contextlib.suppress(OSError):
            for _ in range(200):
                connection.sendall(b"a" * 10_000)
                time.sleep(0.001)
            pytest.fail("it was all taken")
    assert works(edge)


def test_a_head_in_small_pieces(edge: GatewayProcess) -> None:
    """It is read however slowly it comes, and its size has a bound all the same."""
    with dialled(edge) as connection:
        for byte in b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n":
            connection.sendall(bytes([byte]))
        assert read_reply(connection).status == 200
        connection.sendall(b"GET /healthz HTTP/1.1\r\n" + HOST)
        with contextlib.suppress(OSError):
            for _ in range(70):
                connection.sendall(b"X: " + b"a" * 1000 + b"\r\n")
                time.sleep(0.001)
        with contextlib.suppress(OSError):  # a reset may have overtaken the reply
            assert_native(read_reply(connection), 413, "too_large")


def test_many_half_sent_requests(edge: GatewayProcess) -> None:
    """They hold their connections, and nobody else."""
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(dialled(edge)).sendall(POST + b"Content-Length: 100\r\n\r\n{")
        assert works(edge)


def test_pipelined_chats(edge: GatewayProcess) -> None:
    """Requests that don't wait for replies get them in order, each whole."""
    before = len(edge.store.traces())
    with dialled(edge) as connection:
        connection.sendall(CHAT * 5 + b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
        reader = connection.makefile("rb")
        got = b""
        while b'{"status":"ok"}' not in got:
            got += reader.read1(65_536)
    assert got.count(b"event: done") == 5
    assert got.index(b'{"status":"ok"}') > got.rindex(b"event: done")
    assert len(edge.store.traces()) == before + 5


NASTY = "\x1b[31mred\r\nX-Evil: 1\r\n\r\ndata: {}\n\n\x00\u202e<script>"


def test_ids_with_control_characters(edge: GatewayProcess) -> None:
    """They are kept as they are, and can't break out of a header, an event, a log line or a terminal."""
    body = {"message": NASTY, "session_id": NASTY, "user_id": NASTY, "client_request_id": NASTY, "tags": {NASTY: NASTY}}
    reply = call(edge, "POST", "/chat/stream", body)
    assert "x-evil" not in reply.headers
    assert [event["type"] for event in reply.events] == ["start", "token", "done"]
    assert reply.events[0]["session_id"] == NASTY
    row = edge.store.trace(reply.events[0]["trace_id"])
    assert [row[name] for name in ("session_id", "user_id", "client_request_id")] == [NASTY] * 3
    query = {"user_id": NASTY, "client_request_id": NASTY}
    rated = call(edge, "POST", "/feedback?" + urlencode(query), {"is_correct": True, "comment": NASTY})
    assert rated.json["trace_id"] == row["trace_id"]
    for output in (edge.stdout_path.read_bytes(), edge.run("tail", "--since", "1h").stdout.encode()):
        assert b"\x1b" not in output
        assert b"\r" not in output
        assert b"\x00" not in output
        assert "\u202e".encode() not in output


@pytest.mark.parametrize(
    "given", ["-1", "1.5", "", "abc", "1e3", "+1", "0x1", "٣", "9" * 16, "9" * 400, "1\t", "1 OR 1=1"]
)
def test_resumes_from_absurd_positions(edge: GatewayProcess, given: str) -> None:
    """A position is a whole number; as header or as parameter."""
    trace_id = ask(edge)["trace_id"]
    reply = call(edge, "GET", f"/chat/stream/{trace_id}?after={quote(given)}")
    assert_native(reply, 422, "invalid_value", "after")
    if given.isascii() and given.strip() == given != "":
        reply = call(edge, "GET", f"/chat/stream/{trace_id}", None, {"Last-Event-ID": given})
        assert_native(reply, 422, "invalid_value", "after")


def test_a_resume_beyond_the_end(edge: GatewayProcess) -> None:
    """There is nothing: 204."""
    trace_id = ask(edge)["trace_id"]
    assert call(edge, "GET", f"/chat/stream/{trace_id}?after=999999999999999").status == 204


@pytest.mark.parametrize(
    "trace_id", ["tr-1", "TR-" + "0" * 32, "tr-" + "0" * 31 + "g", "tr-" + "0" * 33, "%00", "..%2f.."]
)
def test_trace_ids_of_a_wrong_form(edge: GatewayProcess, trace_id: str) -> None:
    """In a path: 422, or 404 where it makes another path."""
    for method, path in (("GET", f"/chat/stream/{trace_id}"), ("POST", f"/chat/stream/{trace_id}/stop")):
        reply = call(edge, method, path)
        if "%2f" in trace_id:
            assert_native(reply, 404, "unknown_path")
        else:
            assert_native(reply, 422, "invalid_value", "trace_id")


def test_a_socket_that_never_reads(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A client that sends and takes nothing loses its connection, and a shutdown doesn't wait for it."""
    limits = {"socket_messages_per_s": 0}
    config = CONFIG | {"streaming": {"send_timeout_s": 0.5, "heartbeat_s": 30}, "limits": limits}
    ping = json.dumps({"type": "ping", "id": "x" * 200}).encode()
    frame = b"\x81\xfe" + len(ping).to_bytes(2, "big") + bytes(4) + ping
    with GatewayProcess(tmp_path_factory.mktemp("deaf"), config) as gateway:
        with shaken(gateway) as connection:
            connection.settimeout(15)
            with contextlib.suppress(ConnectionError):
                while True:  # the socket's own timeout is the guard
                    connection.sendall(frame * 100)
        assert works(gateway)
        assert gateway.terminate() == 0
