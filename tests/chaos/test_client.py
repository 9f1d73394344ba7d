"""The client of `gateway conformance`: one connection a request, to any address that a gateway may have."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from gateway.chaos.client import Client
from gateway.errors import ProviderError
from tests.support.body_sink import OK, BodySink
from tests.support.clock import until
from tests.support.servers import free_port
from tests.support.upstream import HEAD, Raw, part, raw_server


@pytest.fixture
async def raw() -> AsyncIterator[Raw]:
    async with raw_server() as server:
        yield server


def root(raw: Raw) -> str:
    return raw.url.removesuffix("/v1/")


async def post(client: Client, sink: BodySink | None = None) -> BodySink:
    sink = sink or BodySink()
    await client.post("/v1/chat/completions", {"n": 1}, sink.answered)
    return sink


async def test_the_request(raw: Raw) -> None:
    """The request goes to the target's own path, with the key, as JSON."""
    raw.replies = [[OK]]
    assert (await post(Client(f"{root(raw)}/below", "gk-1"))).data == b"ok"
    _, head, body = raw.seen[0]
    assert head.startswith(b"POST /below/v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"\r\nAuthorization: Bearer gk-1\r\n" in head
    assert b"\r\nContent-Type: application/json\r\n" in head
    assert body == {"n": 1}


async def test_every_request_has_its_own_connection(raw: Raw) -> None:
    """Each request opens a connection and closes it, even if the gateway would keep it."""
    raw.replies = [[OK, "gone"], [OK, "gone"]]
    client = Client(root(raw), None)
    for _ in range(2):
        await post(client)
        await raw.gone.wait()
        raw.gone.clear()
    assert [number for number, _, _ in raw.seen] == [1, 2]
    assert b"Authorization" not in raw.seen[0][1]


async def test_a_client_that_leaves_closes_its_connection(raw: Raw) -> None:
    """The connection closes at once, whether the request is cancelled or its reader raises."""
    raw.replies = [[HEAD, part(b"a"), "gone"], [HEAD, part(b"a"), "gone"]]
    client = Client(root(raw), None)
    with pytest.raises(ValueError, match="enough"):
        await post(client, BodySink(refuse=ValueError("enough")))
    await raw.gone.wait()
    raw.gone.clear()
    task = asyncio.ensure_future(post(client, sink := BodySink()))
    await sink.came.wait()
    task.cancel()
    await raw.gone.wait()


async def test_failures(raw: Raw) -> None:
    """A response that breaks off is a ProviderError after its text; a gateway that isn't there is an OSError."""
    raw.replies = [[HEAD, part(b"half"), "close"]]
    sink = BodySink()
    with pytest.raises(ProviderError):
        await post(Client(root(raw), None), sink)
    assert sink.data == b"half"
    with pytest.raises(ConnectionRefusedError):
        await post(Client(f"http://127.0.0.1:{free_port()}", None))


async def test_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate is verified with the authorities of the system or of SSL_CERT_FILE."""
    authority = trustme.CA()
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(serving)
    raw = Raw()
    raw.replies = [[OK]]
    server = await asyncio.start_server(raw.serve, "127.0.0.1", 0, ssl=serving)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    with pytest.raises(ssl.SSLCertVerificationError):
        await post(Client(url, None))
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert (await post(Client(url, None))).data == b"ok"
    server.close()
    await until(lambda: len(raw.seen) == 1)
