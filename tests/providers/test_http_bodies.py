"""How the HTTP client reads responses, against a socket that sends exactly what a test wants."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from gateway.errors import ProviderError
from gateway.providers.http.client import Client
from tests.support.body_sink import OK, BodySink, head, post, served
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


@pytest.mark.parametrize(
    ("reply", "body", "kept"),
    [
        (whole(200, b"abc"), b"abc", True),
        (whole(200, b""), b"", True),
        (HEAD + part(b"ab") + part(b"c") + LAST, b"abc", True),
        (HEAD + b"3;name=value\r\nabc\r\n0\r\nTrailer: x\r\nContent-Type: y\r\n\r\n", b"abc", True),
        (HEAD + b"3 \r\nabc\r\n" + LAST, b"abc", True),
        (b"HTTP/1.1 200 OK\nContent-Length: 3\n\nabc", b"abc", True),
        (b"HTTP/1.1 100 X\r\n\r\nHTTP/1.1 103 X\r\nContent-Length: 9\r\n\r\n" + whole(200, b"abc"), b"abc", True),
        (head(b"Empty:", b"Content-Length: 3") + b"abc", b"abc", True),
        (head(status=b"204 No Content"), b"", True),
        (head(b"Content-Length: 5", status=b"304 Not Modified"), b"", True),
        (whole(200, b"abc", Connection="close"), b"abc", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", b"abc", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc", b"abc", True),
        (whole(200, b"abc") + b"more", b"abc", False),
        (whole(200, b"abc") + whole(200, b"def"), b"abc", False),
        (whole(200, b"abc", Connection="close") + b"more", b"abc", False),
    ],
)  # fmt: skip
async def test_bodies_by_their_heads(raw: Raw, client: Client, reply: bytes, body: bytes, kept: bool) -> None:
    """Each kind of body ends in its own way, and its connection is used again unless something forbids it."""
    raw.replies = [[reply], [OK]]
    sink = await post(client)
    assert sink.data == body
    assert await served(raw, client) == ([1, 1] if kept else [1, 2])


@pytest.mark.parametrize("coding", [b"X: y", b"Transfer-Encoding: identity"])
async def test_a_body_that_ends_with_its_connection(raw: Raw, client: Client, coding: bytes) -> None:
    """A body without a length is complete when the server closes; the next request takes another connection."""
    raw.replies = [[head(coding) + b"abc", "close"], [OK]]
    assert (await post(client)).data == b"abc"
    assert await served(raw, client) == [1, 2]


@pytest.mark.parametrize(
    ("steps", "body"),
    [
        ([head(b"Content-Length: 9") + b"abc", "close"], b"abc"),
        ([HEAD + part(b"abc"), "close"], b"abc"),
        ([head(b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked") + part(b"abc"), "close"], b"abc"),
        ([HEAD + part(b"abc") + b"zz\r\n", "gone"], b"abc"),
        ([head(b"Content-Length: 3", b"Transfer-Encoding: chunked") + part(b"abc"), "gone"], b""),
        ([head(b"Upgrade: h2c", b"Connection: upgrade", status=b"101 Switching") + b"abc", "gone"], b""),
        ([head(status=b"101 Switching") + b"abc", "gone"], b""),
        ([b"HTTP/1.1 100 Continue\r\n\r\n", "close"], b""),
        ([head(b"Long: " + b"x" * 70_000, b"Content-Length: 0"), "gone"], b""),
        ([b"HTTP/1.1 200 OK\r\nLong: ", *[b"x" * 30_000] * 9, "gone"], b""),
        ([b"HTTP/1.1 100 Continue\r\nX: %b\r\n\r\n" % (b"y" * 1000) * 80, "gone"], b""),
        ([HEAD + part(b"abc") + b"0\r\n", *[b"T: " + b"x" * 30_000 + b"\r\n"] * 9, "gone"], b"abc"),
    ],
)
async def test_replies_that_are_not_whole(raw: Raw, client: Client, steps: list[Any], body: bytes) -> None:
    """An incomplete response is an error after its good part, and an endless head is not read on."""
    sink = BodySink()
    raw.replies = [steps]
    with pytest.raises(ProviderError, match="broke"):
        await post(client, sink)
    assert sink.data == body
    await until(lambda: client.pool.open_count == 0)


@pytest.mark.parametrize(
    ("coding", "pack"),
    [
        ("gzip", gzip.compress), ("x-gzip", gzip.compress), ("Deflate", zlib.compress),
        ("identity", bytes), ("", bytes),
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [0, 3, 1_048_576, 3_000_000])
async def test_compressed_bodies(
    raw: Raw, client: Client, coding: str, pack: Callable[[bytes], bytes], size: int
) -> None:
    """Compressed bodies are decompressed although nobody asked for them, in pieces of bounded size."""
    body = b"abc" * (size // 3) + b"d" * (size % 3)
    raw.replies = [[whole(200, pack(body), Content_Encoding=coding)]]
    sink = await post(client)
    assert sink.data == body
    if coding not in ("identity", "") and size == 3_000_000:
        assert sink.pieces >= 3


async def test_a_compressed_stream_comes_piece_by_piece(raw: Raw, client: Client) -> None:
    """What the server flushes arrives at once."""
    packer = zlib.compressobj(wbits=31)
    start = packer.compress(b"first") + packer.flush(zlib.Z_SYNC_FLUSH)
    raw.replies = [
        [
            head(b"Content-Encoding: gzip", b"Transfer-Encoding: chunked") + part(start),
            taker_came := asyncio.Event(),
            part(packer.flush()) + LAST,
        ]
    ]
    task = asyncio.ensure_future(post(client, sink := BodySink()))
    await sink.came.wait()
    assert sink.data == b"first"
    taker_came.set()
    await task


@pytest.mark.parametrize(
    ("coding", "body", "shown"),
    [
        ("gzip", b"\x1f\x8bnonsense", "broke"),
        ("br", b"abc", "unsupported Content-Encoding"),
    ],
)
async def test_badly_compressed_bodies(raw: Raw, client: Client, coding: str, body: bytes, shown: str) -> None:
    """Invalid compressed data and an unknown encoding are errors."""
    raw.replies = [[whole(200, body, Content_Encoding=coding)]]
    with pytest.raises(ProviderError, match=shown):
        await post(client)
