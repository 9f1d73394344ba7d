"""The HTTP client with servers that others wrote: Node, uvicorn, nginx, with TLS and without, and through proxies."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
import uvicorn

from gateway import chaos
from gateway.config.schema import Provider
from gateway.errors import ProviderError
from gateway.providers.base import Call
from gateway.providers.http.client import Client
from gateway.providers.openai import OpenAIProvider
from tests.providers.test_openai import Sink
from tests.support.body_sink import BodySink
from tests.support.clock import until
from tests.support.reference import need, node

BODY = b"x" * 300_000


class Files:
    """A certificate authority that the client trusts, and a server's key and certificate from it."""

    def __init__(self, directory: Path, *names: str) -> None:
        self.ca, self.key, self.cert = (str(directory / name) for name in ("ca.pem", "key.pem", "cert.pem"))
        directory.mkdir(exist_ok=True)
        authority = trustme.CA()
        issued = authority.issue_cert(*names)
        authority.cert_pem.write_to_path(self.ca)
        issued.private_key_pem.write_to_path(self.key)
        with open(self.cert, "wb") as file:
            file.writelines(blob.bytes() for blob in issued.cert_chain_pems)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    """Make a certificate for 127.0.0.1, trusted by the variable that operators set."""
    made = Files(tmp_path, "127.0.0.1", "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", made.ca)
    return made


@pytest.mark.timeout(30)
async def test_authorities_of_ones_own(tmp_path: Path) -> None:
    """A company's certificates are believed where the declaration names their file, and nobody else's then."""
    theirs, others = Files(tmp_path / "theirs", "127.0.0.1"), Files(tmp_path / "others", "127.0.0.1")
    async with uvicorn_server(theirs) as url:
        async with ended(Client(url, {}, ca_file=theirs.ca)) as client:
            assert (await post(client)).data.startswith(b"got 300000")
        for ca_file in (others.ca, ""):
            async with ended(Client(url, {}, ca_file=ca_file)) as client:
                with pytest.raises(ProviderError, match="can't be reached"):
                    await post(client)


async def post(client: Client, path: str = "/", body: bytes = BODY) -> BodySink:
    sink = BodySink()
    await client.post(path, "text/plain", body, sink.answered, 5)
    return sink


@asynccontextmanager
async def ended(client: Client) -> AsyncIterator[Client]:
    yield client
    await client.close()
    await until(lambda: client.pool.open_count == 0)


@asynccontextmanager
async def node_server(files: Files | None) -> AsyncIterator[str]:
    options = [files.key, files.cert] if files else []
    script = str(Path(__file__).with_name("peer.mjs"))
    process = await asyncio.create_subprocess_exec(node(), script, *options, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        port = int(await process.stdout.readline())
        yield f"{'https' if files else 'http'}://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        await process.communicate()


@pytest.mark.timeout(30)
@pytest.mark.parametrize("tls", [False, True])
async def test_node(files: Files, tls: bool) -> None:
    """Node's streams, compressed and closing responses, early hints and a cut are read over one connection."""
    async with node_server(files if tls else None) as url, ended(Client(url, {})) as client:
        for path in ("/stream", "/gzip", "/hints", "/stream"):
            assert (await post(client, path)).data == b"1 300000"
        assert (await post(client, "/close")).data == b"1 300000"
        assert (await post(client, "/stream")).data == b"2 300000"
        with pytest.raises(ProviderError, match="broke"):
            await post(client, "/cut")
        many = await asyncio.gather(*(post(client, "/stream") for _ in range(20)))
        assert len({sink.data for sink in many}) == 20
        await until(lambda: client.pool.idle_count == 20)


@asynccontextmanager
async def uvicorn_server(files: Files | None) -> AsyncIterator[str]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        size, more = 0, True
        while more:
            message = await receive()
            size, more = size + len(message.get("body", b"")), message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for piece in (b"got ", str(size).encode(), b" from " + str(scope["client"][1]).encode()):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(0.001)
        await send({"type": "http.response.body", "body": b""})

    tls = {"ssl_keyfile": files.key, "ssl_certfile": files.cert} if files else {}
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off", **tls))  # type: ignore[arg-type]
    task = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    try:
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"{'https' if files else 'http'}://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


@pytest.mark.timeout(30)
@pytest.mark.parametrize("tls", [False, True])
async def test_uvicorn(files: Files, tls: bool) -> None:
    """uvicorn's streamed responses are read over one kept connection."""
    async with uvicorn_server(files if tls else None) as url, ended(Client(url, {})) as client:
        seen = {(await post(client)).data for _ in range(5)}
        assert len(seen) == 1
        assert seen.pop().startswith(b"got 300000 from ")


@pytest.mark.timeout(30)
@pytest.mark.parametrize("trouble", ["unknown", "name"])
async def test_a_certificate_that_is_not_trusted(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    """A certificate of an unknown authority or for another name is refused before anything is sent."""
    (tmp_path / "other").mkdir()
    other = Files(tmp_path / "other", "127.0.0.1" if trouble == "unknown" else "example.com")
    if trouble == "name":
        monkeypatch.setenv("SSL_CERT_FILE", other.ca)
    async with uvicorn_server(other) as url, ended(Client(url, {})) as client:
        with pytest.raises(ProviderError, match="can't be reached") as caught:
            await post(client)
    assert caught.value.cause == f"certificate {'of an unknown issuer' if trouble == 'unknown' else 'of another host'}"


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


@asynccontextmanager
async def proxy(monkeypatch: pytest.MonkeyPatch, refuse: bytes = b"") -> AsyncIterator[list[bytes]]:
    """Run a forward proxy with a password, set it in the environment, and give the heads that it saw."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(head := await reader.readuntil(b"\r\n\r\n"))
        method, target, _ = head.split(b" ", 2)
        if refuse:
            writer.write(refuse)
            writer.close()
            return
        place = target if method == b"CONNECT" else target.split(b"/")[2]
        host, _, port = place.decode().rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        if method == b"CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            far_writer.write(head)
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, f"http://us%20er:pass@127.0.0.1:{server.sockets[0].getsockname()[1]}")
    monkeypatch.setenv("no_proxy", "")
    try:
        yield heads
    finally:
        server.close()


@pytest.mark.timeout(30)
@pytest.mark.parametrize("tls", [False, True])
async def test_through_a_proxy(files: Files, monkeypatch: pytest.MonkeyPatch, tls: bool) -> None:
    """A proxy is used by a tunnel for TLS, and with the whole URL otherwise; the connection is kept."""
    async with (
        uvicorn_server(files if tls else None) as url,
        proxy(monkeypatch) as heads,
        ended(Client(url, {})) as client,
    ):
        assert (await post(client)).data == (await post(client)).data
        [head] = heads
        assert head.startswith(b"CONNECT 127.0.0.1:" if tls else b"POST http://127.0.0.1:")
        assert b"Proxy-Authorization: Basic " + base64.b64encode(b"us er:pass") in head


@pytest.mark.timeout(30)
@pytest.mark.parametrize("said", [b"HTTP/1.1 407 No\r\n\r\n", b"HTTP/1.1"])
async def test_a_proxy_that_refuses(files: Files, monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    """A proxy that refuses means that the provider can't be reached."""
    async with proxy(monkeypatch, said), ended(Client("https://127.0.0.1:1", {})) as client:
        with pytest.raises(ProviderError, match="can't be reached") as caught:
            await post(client)
    why = "proxy refused: 407" if b"407" in said else "connection closed"
    assert caught.value.cause == f"{why}, by way of a proxy"


async def test_proxies_of_another_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies of other kinds are refused, not bypassed."""
    monkeypatch.setenv("https_proxy", "socks5://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    async with ended(Client("https://example.com", {})) as client:
        with pytest.raises(ProviderError, match="Only proxies"):
            await post(client)


@pytest.mark.timeout(30)
async def test_an_address_of_ipv6() -> None:
    """A provider at an IPv6 address, in brackets as in any URL, can be reached."""
    server = await chaos.start("::1")
    provider = OpenAIProvider(Provider(base_url=server.url))
    sink = Sink()
    await provider.chat(Call(model="lorem-3-0ms", fields={}, stream=True), sink)
    assert sink.done
    await provider.close()
    await server.close()


@pytest.mark.full
@pytest.mark.timeout(60)
async def test_nginx(files: Files, tmp_path: Path) -> None:
    """Behind nginx with TLS streams arrive as they are sent, and the connection is kept."""
    upstream = await chaos.start()
    listener = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    listener.close()
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; pid pid; error_log stderr; events {{}} http {{ access_log off; client_body_temp_path a;"
        f" proxy_temp_path b; fastcgi_temp_path c; uwsgi_temp_path d; scgi_temp_path e; gzip on; gzip_types *;"
        f" server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {files.cert}; ssl_certificate_key {files.key};"
        f" location / {{ proxy_pass http://127.0.0.1:{upstream.port}; proxy_buffering off; }} }} }}"
    )
    options = ("-e", "stderr", "-p", str(tmp_path), "-c", "nginx.conf")
    process = await asyncio.create_subprocess_exec(need("nginx", "nginx-light"), *options)
    provider = OpenAIProvider(Provider(base_url=f"https://localhost:{port}/v1"))
    try:
        await until(lambda: (tmp_path / "pid").exists())
        for _ in range(3):
            sink = Sink()
            await provider.chat(Call(model="lorem-50-2ms", fields={}, stream=True), sink)
            assert sink.data.count(b'"content"') >= 50
            await until(lambda: provider.client.pool.idle_count)
        assert provider.client.pool.open_count == 1
    finally:
        await provider.close()
        process.terminate()
        await process.wait()
        await upstream.close()
