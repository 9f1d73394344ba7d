"""Opening a connection: which of a host's addresses is taken, and why none could be."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from gateway.errors import ProviderError
from gateway.providers.http import dial as module
from gateway.providers.http.causes import ProxyRefused, cause_of
from gateway.providers.http.client import Client
from gateway.providers.http.dial import dial


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server that answers on 127.0.0.2."""
    with socket.create_server(("127.0.0.2", 0)) as made:
        yield made


@pytest.fixture
def port(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


@pytest.fixture
def silent(port: int) -> Iterator[None]:
    """A server on 127.0.0.1 with the same port that answers nobody, since its backlog is full."""
    with contextlib.ExitStack() as stack:
        dead = stack.enter_context(socket.socket())
        dead.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        dead.bind(("127.0.0.1", port))
        dead.listen(0)
        for _ in range(6):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.connect(("127.0.0.1", port))
        yield


@pytest.fixture(autouse=True)
async def names(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[dict[str, list[str]]]:
    """The addresses of names, in place of a name server's; and no task stays behind."""
    known: dict[str, list[str]] = {"two.test": ["127.0.0.1", "127.0.0.2"]}
    loop = asyncio.get_running_loop()

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        if host not in known:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [found for each in known[host] for found in socket.getaddrinfo(each, port, type=socket.SOCK_STREAM)]

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    yield known
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_the_second_address_is_tried_where_the_first_is_silent(
    silent: None, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as with a broken IPv6: after a head start, and within the time for connecting."""
    monkeypatch.setattr(module, "HEAD_START_S", 0.01)
    with await dial("two.test", port, 5) as connection:
        assert connection.getpeername() == ("127.0.0.2", port)
    monkeypatch.setattr(module, "HEAD_START_S", 60)
    with await dial("two.test", port, 0.03) as connection:
        assert connection.getpeername() == ("127.0.0.2", port)


async def test_the_second_address_is_tried_at_once_where_the_first_refuses(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for a head start then."""
    monkeypatch.setattr(module, "HEAD_START_S", 60)
    with await dial("two.test", port, 600) as connection:
        assert connection.getpeername() == ("127.0.0.2", port)


async def test_the_first_to_answer_is_taken(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another address gives at the same moment is closed."""
    port = listener.getsockname()[1]
    with socket.socket() as first:
        first.bind(("127.0.0.1", port))
        first.listen()
        both = [(socket.AF_INET, socket.SOCK_STREAM, 6, (f"127.0.0.{n}", port)) for n in (1, 2)]
        found = [await module._connect(address) for address in both]

        together = asyncio.Event()

        async def connected(address: Any) -> socket.socket:
            mine = found.pop(0)
            if not found:
                together.set()
            await together.wait()
            return mine

        monkeypatch.setattr(module, "_connect", connected)
        monkeypatch.setattr(module, "HEAD_START_S", 0)
        kept = await dial("two.test", port, 5)
        ends = [server.accept()[0] for server in (first, listener)]
        assert [end.getsockname()[0] for end in ends if end.getpeername() == kept.getsockname()] != []
        kept.close()
        for end in ends:
            end.settimeout(1)
            assert end.recv(1) == b""
            end.close()


async def test_where_no_address_answers_the_first_error_counts(port: int, names: dict[str, list[str]]) -> None:
    """It is that of the address that the system prefers."""
    names["two.test"] = ["127.0.0.3", "127.0.0.4"]
    with pytest.raises(ConnectionRefusedError):
        await dial("two.test", port, 5)
    with pytest.raises(socket.gaierror):
        await dial("none.test", port, 5)


async def test_a_dial_that_is_given_up_leaves_nothing(silent: None, port: int, names: dict[str, list[str]]) -> None:
    """Its tasks are over when it is."""
    names["two.test"] = ["127.0.0.1", "127.0.0.1"]
    names["pair.test"] = ["127.0.0.1", "::1"]
    for host in ("two.test", "pair.test"):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await dial(host, port, 0.01)


async def test_families_take_turns(names: dict[str, list[str]]) -> None:
    """And an address that comes twice is one."""
    names["many.test"] = ["::1", "::2", "127.0.0.1", "::3", "127.0.0.1"]
    found = [where[0] for _, _, _, where in await module._addresses("many.test", 1)]
    assert found == ["::1", "127.0.0.1", "::2", "::3"]


def certificate(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed: 10.0.0.1")
    error.verify_code = code
    return error


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "at 10.0.0.1"), "connection refused"),
        (ConnectionResetError(errno.ECONNRESET, "x"), "connection reset"),
        (OSError(errno.ENETUNREACH, "x"), "network unreachable"),
        (OSError("Multiple exceptions"), "connection failed"),
        (socket.gaierror(socket.EAI_NONAME, "x"), "name not found"),
        (UnicodeError("label too long"), "name not found"),
        (TimeoutError(), "connection timed out"),
        (certificate(10), "certificate expired"),
        (certificate(62), "certificate of another host"),
        (certificate(77), "certificate not trusted"),
        (ssl.SSLError(1, "wrong version"), "TLS failed"),
        (ProxyRefused("407"), "proxy refused: 407"),
        (EOFError(), "connection closed"),
    ],
)
def test_a_cause_is_said_without_an_address(error: Exception, cause: str) -> None:
    """Whoever reads the log must be able to tell them apart."""
    assert cause_of(error) == cause


async def test_what_cannot_be_reached_has_a_cause(port: int) -> None:
    """It isn't in the message, which callers see."""
    for url, cause in ((f"http://127.0.0.9:{port}", "connection refused"), ("http://none.test", "name not found")):
        client = Client(url, {})
        with pytest.raises(ProviderError, match=r"^The provider can't be reached\.$") as caught:
            await client.get("/", "*/*", lambda status, headers: None, 1)  # type: ignore[arg-type,return-value]
        assert caught.value.cause == cause
        await client.close()


async def test_no_name_at_all(names: dict[str, list[str]]) -> None:
    """A host that no name server can be asked for is not found."""
    client = Client(f"http://{'x' * 70}.test", {})
    with pytest.raises(ProviderError) as caught:
        await client.get("/", "*/*", lambda status, headers: None, 1)  # type: ignore[arg-type,return-value]
    assert caught.value.cause == "name not found"
    await client.close()
