"""Connections whose clients are slow, half done, too many, or ask for another protocol."""

from __future__ import annotations

import asyncio
import contextlib
import json
import select
import socket
from collections.abc import Iterator
from typing import Any, cast

import pytest
from uvicorn.server import ServerState

from gateway.access.memory import Memory
from gateway.config.current import Current
from gateway.config.schema import Config, Server
from gateway.web.http_protocol import KEEP_ALIVE_S, MAX_PIPELINED, HTTPProtocol, check_timeouts, most_connections
from gateway.web.server import server
from gateway.wire.errors import wire_of
from tests.support.http_client import assert_native, assert_openai, by_hand, call, dialled, read_reply, shaken
from tests.support.servers import GatewayProcess
from tests.web.conftest import CONFIG, works
from tests.web.test_hostile import BODY, HOST, POST
from tests.web.test_limits import eventually

MODELS = CONFIG["models"] | {"long": {"targets": ["demo/lorem-30-100ms"]}}
TIMES = CONFIG["server"] | {"head_timeout_s": 1, "body_timeout_s": 1, "max_connections": 40}


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway that waits a second or two for what a client owes."""
    with GatewayProcess(tmp_path_factory.mktemp("hasty"), CONFIG | {"server": TIMES, "models": MODELS}) as process:
        yield process


@pytest.mark.parametrize(
    "sent", [b"G", b"GET /healthz HTTP/1.1\r\nHost: local", POST], ids=["byte", "header", "almost"]
)
def test_half_a_head(hasty: GatewayProcess, sent: bytes) -> None:
    """It gets 408, the connection is closed, and the metrics count it."""
    reply = by_hand(hasty, sent)
    assert_native(reply, 408, "request_timeout")
    assert reply.headers["connection"] == "close"
    assert b'gateway_refused_total{status="408"}' in call(hasty, "GET", "/metrics").body
    assert works(hasty)


def test_half_a_body(hasty: GatewayProcess) -> None:
    """408 in the shape of the path's wire, and no trace."""
    before = len(hasty.store.traces())
    tail = b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    assert_native(by_hand(hasty, b"POST /chat HTTP/1.1\r\n" + HOST + tail), 408, "request_timeout")
    chunk = b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"
    for half in (tail, chunk):
        reply = by_hand(hasty, b"POST /v1/chat/completions HTTP/1.1\r\n" + HOST + half)
        assert_openai(reply, 408, "request_timeout")
    assert len(hasty.store.traces()) == before
    assert works(hasty)


def test_half_a_body_that_nobody_wanted(hasty: GatewayProcess) -> None:
    """The reply goes out at once, and the connection isn't held for the rest."""
    with dialled(hasty) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\n" + HOST + b"Content-Length: 100\r\n\r\n{")
        assert read_reply(connection).status == 200
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(100) == b""


def test_a_head_after_another_request(hasty: GatewayProcess) -> None:
    """A connection that is kept alive has the same time for each head."""
    with dialled(hasty) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\nGET /heal")
        assert read_reply(connection).status == 200
        assert_native(read_reply(connection), 408, "request_timeout")


def test_a_long_answer_is_not_hurried(hasty: GatewayProcess) -> None:
    """A stream goes on for as long as it takes, also where half of the next head lies behind its request."""
    body = json.dumps({"message": "hi", "model": "long"}).encode()
    with dialled(hasty) as connection:
        connection.sendall(b"POST /chat/stream HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n")
        connection.sendall(b"Content-Length: %d\r\n\r\n" % len(body) + body + b"GET /heal")
        reply = read_reply(connection)
        assert [event["type"] for event in reply.events][-1] == "done"
        assert_native(read_reply(connection), 408, "request_timeout")


def chunked(path: str, body: bytes, trailers: bytes, size: int = 7) -> bytes:
    """A request whose body comes in chunks, and its trailers after the last one."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    framed = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    head = b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    return b"POST %b HTTP/1.1\r\n" % path.encode() + HOST + head + framed + b"0\r\n" + trailers + b"\r\n"


def test_trailers_are_no_headers(edge: GatewayProcess) -> None:
    """They are dropped: a rating with an Idempotency-Key in its trailer has none, and is another one each time."""
    trace_id = call(edge, "POST", "/chat", {"message": "hi"}).json["trace_id"]
    path = f"/feedback?trace_id={trace_id}&user_id=u"
    with dialled(edge) as connection:
        made = set()
        for _ in range(2):
            connection.sendall(
                chunked(path, b'{"is_correct": true}', b"Idempotency-Key: one\r\nX-Request-Id: trailer\r\n")
            )
            reply = read_reply(connection)
            assert reply.headers["x-request-id"] != "trailer"
            made.add(reply.json["assessment_id"])
    assert len(made) == 2


@pytest.mark.parametrize("endless", [b"X-A: b\r\n" * 1000, b"y" * 8000], ids=["many", "long"])
def test_trailers_are_bounded(edge: GatewayProcess, endless: bytes) -> None:
    """As a head is, and they end the request in its wire's shape."""
    with dialled(edge) as connection:
        connection.sendall(chunked("/v1/chat/completions", BODY, b"")[:-2])
        for _ in range(40):
            if select.select([connection], [], [], 0.05)[0]:
                break
            connection.sendall(endless * 9)
        assert_openai(read_reply(connection), 413, "too_large")
    assert works(edge)


def test_trailers_after_the_answer(edge: GatewayProcess) -> None:
    """There is nobody left to tell: the connection is cut."""
    head = b"POST /healthz HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
    with dialled(edge) as connection:
        connection.sendall(head)
        assert read_reply(connection).status == 405
        with contextlib.suppress(ConnectionError):
            for _ in range(40):
                connection.sendall(b"X-A: b\r\n" * 1000)
            while connection.recv(65_536):
                pass
    assert works(edge)


def test_many_small_chunks_are_no_trailers(edge: GatewayProcess) -> None:
    """Their framing counts for nothing, also where it is longer than a head may be."""
    body = json.dumps({"message": "x" * 30_000}).encode()
    with dialled(edge) as connection:
        connection.sendall(chunked("/chat", body, b"X-A: b\r\n", size=1))
        assert read_reply(connection).status == 200
        connection.sendall(chunked("/chat", body, b"X-A: b\r\n", size=100_000))
        assert read_reply(connection).status == 200


def test_too_many_connections(hasty: GatewayProcess) -> None:
    """One too many is told so; when others leave there is room again."""
    with contextlib.ExitStack() as stack:
        for _ in range(60):
            connection = stack.enter_context(dialled(hasty))
            connection.sendall(b"G")
        reply = read_reply(connection)
        assert_native(reply, 503, "too_busy")
        assert reply.headers["retry-after"] == "1"
    eventually(lambda: works(hasty))


UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"


@pytest.mark.parametrize("piece", [1, 7, 10_000])
def test_an_upgrade_to_http2(edge: GatewayProcess, piece: int) -> None:
    """It isn't made, and the request is answered as if it hadn't been asked for, body and all; so is the next."""
    with dialled(edge) as connection:
        length = b"Content-Length: %d\r\n\r\n" % len(BODY)
        for tail in (length + BODY, b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)):
            request = POST + UPGRADE + tail
            for at in range(0, len(request), piece):
                connection.sendall(request[at : at + piece])
            reply = read_reply(connection)
            assert reply.status == 200, reply.body
            assert reply.json["response"]
        get = b"GET %b HTTP/1.1\r\n" + HOST
        connection.sendall(get % b"/healthz" + UPGRADE + b"\r\n" + get % b"/config" + b"\r\n")
        got = b""
        while b'"models"' not in got:
            got += connection.recv(65_536)
        assert b'{"status":"ok"}' in got


def test_an_upgrade_with_a_bad_body(edge: GatewayProcess) -> None:
    """What is wrong with the request is said as ever."""
    assert_native(by_hand(edge, POST + UPGRADE + b"Content-Length: 3\r\n\r\nno!"), 400, "not_json")
    assert_native(by_hand(edge, POST + UPGRADE + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"), 400, "bad_request")
    assert by_hand(edge, b"CONNECT localhost:80 HTTP/1.1\r\n" + HOST + b"\r\n").status in (400, 404, 405)


def test_a_message_in_very_many_fragments(edge: GatewayProcess) -> None:
    """Empty ones take memory, too: 1009."""
    with shaken(edge) as connection:
        connection.sendall(b"\x01\x80" + bytes(4) + (b"\x00\x80" + bytes(4)) * 2_000)
        frame = connection.recv(4)
        assert (frame[0], int.from_bytes(frame[2:4], "big")) == (0x88, 1009)
    with shaken(edge) as connection:
        connection.sendall(b"\x01\x80" + bytes(4) + (b"\x00\x80" + bytes(4)) * 100 + b"\x80\x82" + bytes(4) + b"{}")
        assert connection.recv(1)[0] == 0x81  # an error frame


def test_pings_of_a_client_that_never_reads(edge: GatewayProcess) -> None:
    """The answers don't pile up: its connection is cut."""
    with shaken(edge) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        ping = b"\x89\xfd" + bytes(4) + bytes(125)
        with contextlib.suppress(ConnectionError):
            while True:  # the socket's own timeout is the guard
                connection.sendall(ping * 500)
    assert works(edge)


# The protocol by itself, without waiting


class Wire(asyncio.Transport):
    """Keeps what is written, and whether it was closed."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 1), "sockname": ("127.0.0.1", 2)})
        self.written = b""
        self.ends: list[str] = []

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return bool(self.ends)

    def close(self) -> None:
        self.ends.append("closed")

    def abort(self) -> None:
        self.ends.append("cut")

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


class Client:
    """A connection to an application that reads the body, and answers when it is told."""

    def __init__(self, **settings: Any) -> None:
        self.answer = asyncio.Event()
        self.settings = Server(**settings)
        current = Current(Config(server=self.settings))
        self.refused: list[int] = []
        self.http = server(self, current, Memory(current), self.refused.append, wire_of)
        self.http.config.load()
        self.state = ServerState()
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message["body"], message["more_body"]
        self.bodies.append(body)
        await self.answer.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def connect(self) -> tuple[HTTPProtocol, Wire]:
        protocol, wire = HTTPProtocol(self.http.config, self.state, {}), Wire()
        protocol.connection_made(wire)
        return protocol, wire

    def wait(self, seconds: float) -> None:
        check_timeouts(cast(Any, self.state.connections), self.settings, seconds)


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_an_idle_connection() -> None:
    """It is closed after a while; empty lines don't keep it open."""
    client = Client()
    protocol, wire = client.connect()
    for _ in range(KEEP_ALIVE_S):
        client.wait(1)
        protocol.data_received(b"\r\n")
    assert not wire.ends
    client.wait(1)
    assert wire.ends == ["cut"]


async def test_a_slow_body_that_comes_fast_enough() -> None:
    """Time is given by what has come; one that comes too slowly is refused."""
    client = Client(body_timeout_s=30)
    client.answer.set()
    protocol, wire = client.connect()
    protocol.data_received(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000001\r\n\r\n")
    for _ in range(100):
        protocol.data_received(b"x" * 10_000)
        await settled()
        client.wait(1)
    assert not wire.ends
    client.wait(30)
    assert not wire.ends
    client.wait(1)
    assert wire.written.startswith(b"HTTP/1.1 408")
    assert client.refused == [408]
    assert wire.ends[0] == "closed"
    protocol.data_received(b"x")
    await settled()
    assert not client.bodies


async def test_an_answer_takes_its_time() -> None:
    """Only the client's turns are counted; then the connection is idle."""
    client = Client(head_timeout_s=1, body_timeout_s=1)
    protocol, wire = client.connect()
    protocol.data_received(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
    await settled()
    client.wait(10_000)
    client.answer.set()
    await settled()
    assert wire.written.startswith(b"HTTP/1.1 204")
    client.wait(KEEP_ALIVE_S)
    assert not wire.ends
    client.wait(1)
    assert wire.ends
    protocol.connection_lost(None)


async def test_requests_in_a_row() -> None:
    """So many may wait for their turn; beyond, the connection ends before they take the memory."""
    client = Client(head_timeout_s=1, body_timeout_s=1)
    protocol, wire = client.connect()
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    protocol.data_received(request * (MAX_PIPELINED + 1))
    client.wait(1000)
    assert not wire.ends
    protocol.data_received(request)
    assert wire.written.startswith(b"HTTP/1.1 400")
    assert wire.ends[0] == "closed"


def test_no_more_connections_than_files() -> None:
    """Half of the system's limit at most; zero asks for that."""
    assert most_connections(5) == 5
    assert most_connections(0) == most_connections(10**9) > 50


@pytest.mark.parametrize(("path", "body"), [("/chat/stream", {"message": "hi"}), ("/chat", {"message": "hi"})])
def test_a_client_of_http_1_0_gets_no_chunks(hasty: GatewayProcess, path: str, body: dict[str, Any]) -> None:
    """It doesn't know them: a body whose length isn't known ends with the connection, others have their length."""
    data = json.dumps(body).encode()
    head = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(data)
    with dialled(hasty) as connection:
        connection.sendall(b"POST " + path.encode() + b" HTTP/1.0\r\n" + HOST + head + data)
        got = b""
        while piece := connection.recv(65_536):
            got += piece
    sent, _, rest = got.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in sent
    assert b"connection: close" in sent
    if path == "/chat":
        assert b"content-length: %d\r\n" % len(rest) in sent + b"\r\n"
        assert json.loads(rest)["response"]
    else:
        assert rest.startswith(b": connected\n")
        assert rest.rstrip().rpartition(b"\n")[2].startswith(b'data: {"type":"done"')
