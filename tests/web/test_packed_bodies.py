"""Requests whose bodies are packed, on each kind of route."""

from __future__ import annotations

import gzip
import json
import random
import zlib

import pytest

from tests.support.http_client import JSON, assert_native, by_hand, call
from tests.support.servers import GatewayProcess
from tests.web.conftest import MAX_BODY, works
from tests.web.test_hostile import HOST

CHAT = {"messages": [{"role": "user", "content": "hi"}], "message": "hi"}
PACKED_CHUNKS = b"POST /chat HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\nContent-Encoding: gzip\r\n"
PACKED_CHUNKS += b"Transfer-Encoding: chunked\r\n"
PACKED = gzip.compress(json.dumps(CHAT).encode())


@pytest.mark.parametrize("path", ["/chat", "/v1/chat/completions"])
def test_a_packed_body_is_unpacked(edge: GatewayProcess, path: str) -> None:
    """Whichever of the two ways it is packed; `identity` is none."""
    body = json.dumps({name: CHAT[name] for name in (["message"] if path == "/chat" else ["messages"])}).encode()
    for encoding, data in (("gzip", gzip.compress(body)), ("deflate", zlib.compress(body)), ("identity", body)):
        assert (
            call(edge, "POST", path, data, {"Content-Type": "application/json", "Content-Encoding": encoding}).status
            == 200
        )


def test_a_packed_body_that_comes_in_chunks(edge: GatewayProcess) -> None:
    """Its length isn't known before."""
    body = gzip.compress(b'{"message":"hi"}')
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    assert by_hand(edge, PACKED_CHUNKS + b"Connection: close\r\n\r\n" + chunks).status == 200


def refused(edge: GatewayProcess, data: bytes, encoding: str = "gzip") -> tuple[int, str]:
    reply = call(edge, "POST", "/chat", data, JSON | {"Content-Encoding": encoding})
    assert works(edge)
    assert reply.headers.get("accept-encoding") == ("gzip, deflate" if reply.status == 415 else None)
    return reply.status, reply.json["error"]


def test_a_packed_body_that_cannot_be_taken(edge: GatewayProcess) -> None:
    """Unknown encodings are told by name, with those that are known; broken ones are said to be so."""
    assert refused(edge, b"{}", "br") == (415, "Content-Encoding must be gzip or deflate, not br.")
    assert refused(edge, b"{}") == (400, "The body is not gzip.")
    assert refused(edge, PACKED[:-3]) == (400, "The body is gzip that ends too soon.")


def test_a_packed_body_keeps_to_the_limit(edge: GatewayProcess) -> None:
    """A few bytes that become millions, and many that become none."""
    text = f"The body is larger than {MAX_BODY} bytes."
    assert refused(edge, gzip.compress(b" " * 50_000_000)) == (413, text)
    noise = random.Random(1).randbytes(MAX_BODY + 1)
    assert refused(edge, gzip.compress(noise)) == (413, text)
    just = gzip.compress(b'{"message":"hi"}'.ljust(MAX_BODY))
    assert call(edge, "POST", "/chat", just, JSON | {"Content-Encoding": "gzip"}).status == 200
    empty = zlib.compressobj(wbits=31)
    blocks = empty.compress(b"") + b"".join(empty.flush(zlib.Z_FULL_FLUSH) or b"" for _ in range(3))
    chunks = [b"%x\r\n%b\r\n" % (len(blocks), blocks)]
    chunks += [b"fa0\r\n%b\r\n" % (b"\0\0\0\xff\xff" * 800)] * (MAX_BODY // 4_000 + 2)
    assert_native(by_hand(edge, PACKED_CHUNKS + b"\r\n" + b"".join(chunks)), 413, "too_large")
