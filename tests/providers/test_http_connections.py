"""How the HTTP client keeps, loses and closes connections, against a socket that does what a test wants."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import ProviderBusy, ProviderError
from gateway.providers.http import connection as connections
from gateway.providers.http.client import Client
from gateway.providers.http.connection import Connection
from gateway.providers.http.pool import Pool
from tests.support.body_sink import OK, BodySink, post, served
from tests.support.clock import until
from tests.support.upstream import HEAD, LAST, Raw, part, raw_server, whole

UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"


@pytest.fixture
async def raw() -> AsyncIterator[Raw]:
    async with raw_server() as server:
        yield server


@pytest.fixture
async def client(raw: Raw) -> AsyncIterator[Client]:
    made = Client(raw.url, {"X-Of": "test"})
    yield made
    await made.close()
    await asyncio.sleep(0.005)
    assert made.pool.idle_count == 0
    assert made.pool.open_count == 0


@pytest.mark.parametrize("ending", ["close", "reset"])
async def test_a_kept_connection_that_fails_at_once_is_replaced(raw: Raw, client: Client, ending: str) -> None:
    """The server had closed the kept connection, so the request is sent again on a new one."""
    raw.replies = [[OK], [ending], [OK]]
    await post(client)
    assert (await post(client)).data == b"ok"
    assert [number for number, _, _ in raw.seen] == [1, 1, 2]


@pytest.mark.parametrize("ending", ["close", "reset"])
async def test_only_once(raw: Raw, client: Client, ending: str) -> None:
    """A request is repeated once: the new connection's failure goes to the caller."""
    raw.replies = [[OK], [ending], [ending]]
    await post(client)
    with pytest.raises(ProviderError, match="broke"):
        await post(client)
    assert len(raw.seen) == 3


async def test_not_after_the_first_byte(raw: Raw, client: Client) -> None:
    """After the first byte of a response the request isn't repeated, since the server has seen it."""
    raw.replies = [[OK], [b"H", "close"]]
    await post(client)
    with pytest.raises(ProviderError, match="broke"):
        await post(client)
    assert len(raw.seen) == 2


@pytest.mark.parametrize("ending", ["close", "reset", b"HTTP/1.1 408 Timeout\r\n\r\n"])
async def test_an_idle_connection_that_ends(raw: Raw, client: Client, ending: Any) -> None:
    """An idle connection that ends is forgotten at once, also if the server sends something first."""
    end = asyncio.Event()
    raw.replies = [[OK, end, ending], [OK]]
    await post(client)
    assert client.pool.idle_count == 1
    end.set()
    await until(lambda: client.pool.open_count == 0)
    assert await served(raw, client) == [1, 2]


async def test_connections_idle_for_long_are_closed(raw: Raw, client: Client) -> None:
    """The next request closes connections that were idle for too long, and takes a new one."""
    raw.replies = [[OK], [OK]]
    await post(client)
    client.pool.max_idle_s = -1.0
    assert await served(raw, client) == [1, 2]
    await until(lambda: client.pool.open_count == 1)


async def test_the_number_of_idle_connections_is_bounded(raw: Raw, client: Client) -> None:
    """The number of idle connections is bounded, and that of connections in use is not."""
    client.pool.max_idle = 1
    wait = asyncio.Event()
    raw.replies = [[wait, OK], [wait, OK]]
    both = asyncio.gather(post(client), post(client))
    await until(lambda: len(raw.seen) == 2)
    wait.set()
    await both
    await until(lambda: client.pool.open_count == 1)
    assert client.pool.idle_count == 1


async def test_back_pressure(raw: Raw, client: Client) -> None:
    """While the body's consumer is full nothing is read, so the server has to wait; afterwards everything arrives."""
    block = b"x" * 1_000_000
    raw.replies = [[HEAD, *[part(block)] * 30, LAST], [OK]]
    sink = BodySink()
    sink.free.clear()
    task = asyncio.ensure_future(post(client, sink))
    await sink.came.wait()
    for _ in range(5):
        await asyncio.sleep(0.01)
    assert sink.pieces == 1
    sink.free.set()
    await task
    assert sink.data == block * 30
    assert await served(raw, client) == [1, 1]


async def test_a_client_that_is_closed_while_there_is_no_room(raw: Raw, client: Client) -> None:
    """Closing the client while a consumer is full is an error for the caller."""
    raw.replies = [[HEAD, part(b"a"), "gone"]]
    sink = BodySink()
    sink.free.clear()
    task = asyncio.ensure_future(post(client, sink))
    await sink.came.wait()
    await client.close()
    sink.free.set()
    with pytest.raises(ProviderError, match="broke"):
        await task
    with pytest.raises(ProviderError, match="broke"):
        await post(client)
    assert len(raw.seen) == 1


@pytest.mark.parametrize("when", ["head", "body", "room"])
async def test_cancel(raw: Raw, client: Client, when: str) -> None:
    """Cancelling closes the connection at once, wherever the caller waits."""
    raw.replies = [["gone"] if when == "head" else [HEAD, part(b"a"), "gone"]]
    sink = BodySink()
    if when == "room":
        sink.free.clear()
    task = asyncio.ensure_future(post(client, sink))
    await until(lambda: raw.seen) if when == "head" else await sink.came.wait()
    await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await raw.gone.wait()
    await until(lambda: client.pool.open_count == 0)


async def test_what_feed_raises_reaches_the_caller(raw: Raw, client: Client) -> None:
    """What `feed` raises reaches the caller, and closes the connection."""
    raw.replies = [[HEAD, part(b"a"), "gone"]]
    with pytest.raises(ProviderBusy, match="so it is"):
        await post(client, BodySink(refuse=ProviderBusy("so it is")))
    await raw.gone.wait()


async def test_enough_of_a_body(raw: Raw, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller doesn't wait for an unneeded rest, which is dropped; afterwards the connection is used again."""
    monkeypatch.setattr(connections, "_LINGER_S", 10)
    late = asyncio.Event()
    raw.replies = [[HEAD, part(b"all"), late, part(b"more"), part(b"more") + LAST], [OK]]
    sink = await post(client, BodySink(b"all"))
    assert client.pool.idle_count == 0
    late.set()
    await until(lambda: client.pool.idle_count)
    assert await served(raw, client) == [1, 1]
    assert sink.data == b"all"


@pytest.mark.parametrize("rest", [b"zz\r\n", "close", "reset", None])
async def test_enough_of_a_body_that_never_ends(raw: Raw, client: Client, rest: Any) -> None:
    """A body that never ends costs its connection, whatever else is wrong with it."""
    raw.replies = [[HEAD, part(b"all"), *([rest] if rest else []), "gone"]]
    await post(client, BodySink(b"all"))
    await until(lambda: client.pool.open_count == 0)
    raw.replies = [[HEAD + part(b"all") + b"zz\r\n", "gone"]]
    await post(client, BodySink(b"all"))
    await until(lambda: client.pool.open_count == 0)


@pytest.mark.parametrize("closes", [True, False])
async def test_a_reply_before_the_request_is_sent(closes: bool) -> None:
    """Servers that are full say so to whoever connects, and some close at once."""

    over = asyncio.Event()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(whole(503, b"full"))
        if not closes:
            await reader.read()
        writer.close()
        over.set()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    full = Client(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", {})
    connection = await full._connect(2)
    await until(lambda: bool(connection._early) and connection._lost is closes)
    sink = BodySink()
    await connection.request([b"POST / HTTP/1.1\r\n\r\n"], sink.answered)
    assert (sink.status, sink.data) == (503, b"full")
    assert full.pool.idle_count == (0 if closes else 1)
    await full.close()
    await over.wait()
    server.close()


async def test_who_sends_much_before_a_request_is_left() -> None:
    """It speaks no HTTP."""

    over = asyncio.Event()

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x" * 300_000)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.transport.abort()
        over.set()

    server = await asyncio.start_server(flood, "127.0.0.1", 0)
    client = Client(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", {})
    connection = await client._connect(2)
    await until(lambda: connection._lost)
    with pytest.raises(ProviderError, match="broke"):
        await connection.request([b"POST / HTTP/1.1\r\n\r\n"], BodySink().answered)
    await client.close()
    await over.wait()
    server.close()


async def test_a_reply_before_the_request_is_read(raw: Raw, client: Client) -> None:
    """A connection with half a request in it isn't used again."""

    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(whole(413, b"no"))
        await until(lambda: hasty.pool.open_count == 0)
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    hasty = Client(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", {})
    sink = await post(hasty, body=b"x" * 20_000_000)
    assert (sink.status, sink.data) == (413, b"no")
    assert hasty.pool.idle_count == 0
    await hasty.close()
    server.close()


async def test_no_header_is_smuggled() -> None:
    """A header's value with a line break is refused."""
    client = Client("http://127.0.0.1:1", {"A": "b\r\nC: d"})
    with pytest.raises(ProviderError, match="can't be sent"):
        await post(client)


def connected() -> tuple[Connection, Pool]:
    """Return a connection whose other end the test plays, and its pool."""
    pool = Pool()
    connection = Connection(pool)
    connection.connection_made(Wire())
    return connection, pool


class Wire(asyncio.Transport):
    """A transport for replies that a test cuts where it likes."""

    def write(self, data: bytes | bytearray | memoryview) -> None: ...
    def abort(self) -> None: ...
    def get_write_buffer_size(self) -> int:
        return 0


BODY = b"data: a\n\ndata: b\r\n\r\n0\r\n\r\nHTTP/1.1 "
REPLIES = [
    whole(200, BODY),
    HEAD + part(BODY[:7]) + part(BODY[7:]) + b"0\r\nT: x\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + part(BODY) + LAST,
    whole(200, gzip.compress(BODY), Content_Encoding="gzip"),
    UNTIL_CLOSE + BODY,
]


async def test_a_reset_is_no_end() -> None:
    """A reset is an error even for a body that ends where the connection ends."""
    connection, _ = connected()
    sink = BodySink()
    task = asyncio.ensure_future(connection.request([b""], sink.answered))
    await asyncio.sleep(0)
    connection.data_received(UNTIL_CLOSE + b"abc")
    connection.connection_lost(ConnectionResetError())
    with pytest.raises(ProviderError, match="broke"):
        await task
    assert sink.data == b"abc"


async def test_a_connection_that_ends_before_it_is_used() -> None:
    """A request on a connection that has ended fails at once."""
    connection, _ = connected()
    connection.eof_received()
    with pytest.raises(ProviderError, match="broke"):
        await connection.request([b""], BodySink().answered)


async def test_a_caller_that_is_cancelled_at_the_end() -> None:
    """A caller that is cancelled at the end doesn't close a connection that another caller has by then."""
    connection, pool = connected()
    first = asyncio.ensure_future(connection.request([b""], BodySink().answered))
    await asyncio.sleep(0)
    connection.data_received(OK)
    first.cancel()
    assert pool.take() is connection
    second = asyncio.ensure_future(connection.request([b""], (sink := BodySink()).answered))
    await asyncio.sleep(0)
    assert first.cancelled()
    connection.data_received(OK)
    await second
    assert sink.data == b"ok"


@settings(max_examples=150, deadline=None)
@given(reply=st.sampled_from(REPLIES), cuts=st.lists(st.integers(1, 250), max_size=12))
def test_any_split_gives_the_same_body(reply: bytes, cuts: list[int]) -> None:
    """The body is the same wherever the network cuts a response."""

    async def run() -> tuple[BodySink, bool]:
        connection, pool = connected()
        sink = BodySink()
        task = asyncio.ensure_future(connection.request([b""], sink.answered))
        await asyncio.sleep(0)
        at = 0
        for cut in [*sorted({cut for cut in cuts if cut < len(reply)}), len(reply)]:
            connection.data_received(reply[at:cut])
            at = cut
        kept = pool.idle_count == 1
        connection.eof_received()
        await task
        return sink, kept

    sink, kept = asyncio.run(run())
    assert (sink.data, sink.status) == (BODY, 200)
    assert kept is not reply.startswith(UNTIL_CLOSE)
