"""The OpenAI-compatible provider, against a server written by hand on a real socket."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from gateway.config.schema import Provider, Secret
from gateway.errors import ProviderBusy, ProviderError, ProviderRefused, ProviderTimeout
from gateway.providers import openai
from gateway.providers.base import Call
from gateway.providers.http import connection
from gateway.providers.openai import OpenAIProvider
from tests.support.router import DONE, WHOLE, chunk, document
from tests.support.upstream import HEAD, LAST, Raw, part, raw_server, whole

WEEK = 604_800
GOOD = [HEAD, part(b"".join(WHOLE)), LAST]


class Sink:
    """Keeps what it is fed; done once [DONE] came."""

    def __init__(self) -> None:
        self.sse: bool | None = None
        self.data = b""
        self.drains = 0
        self.came = asyncio.Event()

    @property
    def done(self) -> bool:
        return self.data.endswith(DONE)

    def head(self, *, sse: bool, request_id: str | None = None) -> None:
        self.sse = sse

    def feed(self, data: bytes) -> bool:
        self.data += data
        self.came.set()
        return self.done

    async def drain(self) -> None:
        self.drains += 1


@pytest.fixture
async def raw() -> AsyncIterator[Raw]:
    async with raw_server() as server:
        yield server


@pytest.fixture
async def provider(raw: Raw) -> AsyncIterator[OpenAIProvider]:
    made = OpenAIProvider(Provider(base_url=raw.url, api_key="sk-secret-key"))
    yield made
    await made.close()
    await asyncio.sleep(0.005)


def call(*, stream: bool = True, options: Any = None) -> Call:
    return Call(
        model="gpt",
        fields={"messages": msgspec.Raw(b'[ {"role":"user"} ]'), "seed": msgspec.Raw(b"1.50")},
        stream=stream,
        stream_options=None if options is None else msgspec.Raw(msgspec.json.encode(options)),
        connect_timeout_s=2,
    )


async def head_of(raw: Raw, **declared: Any) -> list[str]:
    """Return the lines of the head that a provider so declared sends."""
    raw.replies = [GOOD]
    made = OpenAIProvider(Provider(base_url=raw.url.rstrip("/"), **declared))
    await made.chat(call(), Sink())
    await made.close()
    return raw.seen[-1][1].decode().split("\r\n")


async def test_the_key_goes_where_the_declaration_says(raw: Raw) -> None:
    """As a bearer token, or in Azure's header."""
    assert "Authorization: Bearer sk-1" in await head_of(raw, api_key="sk-1")
    lines = await head_of(raw, api_key="sk-1", auth="api-key")
    assert "api-key: sk-1" in lines
    assert not [line for line in lines if line.startswith("Authorization")]


async def test_headers_and_query_of_a_declaration(raw: Raw) -> None:
    """They go out with each request, the query escaped; what the gateway says of itself may be said otherwise."""
    headers = {"X-Title": "My app", "HTTP-Referer": "https://app.example.com", "user-agent": "mine"}
    lines = await head_of(raw, headers=headers, query={"api-version": "2024-10-21", "code": "a&b c/=+"})
    assert lines[0] == "POST /v1/chat/completions?api-version=2024-10-21&code=a%26b%20c%2F%3D%2B HTTP/1.1"
    assert {f"{name}: {value}" for name, value in headers.items()} <= set(lines)
    assert [line for line in lines if line.lower().startswith("user-agent")] == ["user-agent: mine"]


def test_what_a_provider_may_not_tell() -> None:
    """Key, address, and of headers and query whatever may be a secret: with its scheme or without, as it is sent or
    as it was written. A short value of the file is none, or harmless words would be taken out of errors."""
    declared = Provider(
        base_url="https://ai.corp.example:8443/v1",
        api_key="sk-1",
        headers={
            "X-Proxy": "Basic dXNlcjpwYXNz",
            "X-Env": Secret("s-1", "env:X"),
            "X-Flag": "true",
            "X-T": "My great app",
        },
        query={"sig": "a+b/c=d+e"},
    )
    assert set(OpenAIProvider(declared).private) == {
        "sk-1", "ai.corp.example:8443", "ai.corp.example", "Basic dXNlcjpwYXNz", "dXNlcjpwYXNz", "Basic%20dXNlcjpwYXNz",
        "s-1", "My great app", "My%20great%20app", "a+b/c=d+e", "a%2Bb%2Fc%3Dd%2Be",
    }  # fmt: skip


async def test_a_stream_is_fed_as_it_comes(raw: Raw, provider: OpenAIProvider) -> None:
    """The body goes out with the key, the parameters as they are, and a wish for usage."""
    raw.replies = [GOOD]
    sink = Sink()
    await provider.chat(call(options={"include_obfuscation": False}), sink)
    assert (sink.sse, sink.data) == (True, b"".join(WHOLE))
    [(_, head, body)] = raw.seen
    assert head.startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
    assert b"Authorization: Bearer sk-secret-key\r\n" in head
    assert b"Accept: text/event-stream\r\n" in head
    assert body == {
        "model": "gpt", "messages": [{"role": "user"}], "seed": 1.5, "stream": True,
        "stream_options": {"include_obfuscation": False, "include_usage": True},
    }  # fmt: skip


async def test_a_plain_request_asks_for_nothing_of_a_stream(raw: Raw) -> None:
    """Neither does it send a key where there is none."""
    keyless = OpenAIProvider(Provider(base_url=raw.url))
    raw.replies = [[whole(200, document())]]
    sink = Sink()
    await keyless.chat(call(stream=False), sink)
    await keyless.close()
    [(_, head, body)] = raw.seen
    assert (sink.sse, sink.data, sorted(body)) == (False, document(), ["messages", "model", "seed"])
    assert b"uthorization" not in head


async def test_connections_are_kept_alive(raw: Raw, provider: OpenAIProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the body's end comes a moment after [DONE]."""
    monkeypatch.setattr(connection, "_LINGER_S", 10)
    late = asyncio.Event()
    raw.replies = [GOOD, [HEAD, part(b"".join(WHOLE)), late, LAST], GOOD]
    await provider.chat(call(), Sink())
    second = asyncio.ensure_future(provider.chat(call(), sink := Sink()))
    await sink.came.wait()
    late.set()
    await second
    while provider.client.pool.idle_count == 0:  # noqa: ASYNC110  nobody is told
        await asyncio.sleep(0.001)
    await provider.chat(call(options=5), Sink())
    assert [number for number, _, _ in raw.seen] == [1, 1, 1]


async def test_a_body_that_does_not_end_after_done_costs_its_connection(raw: Raw, provider: OpenAIProvider) -> None:
    """Nobody waits for it."""
    raw.replies = [[HEAD, part(b"".join(WHOLE)), "gone"]]
    await provider.chat(call(), Sink())
    await raw.gone.wait()


async def test_cancel_closes_the_connection(raw: Raw, provider: OpenAIProvider) -> None:
    """At once: the provider stops working on it."""
    raw.replies = [[HEAD, part(chunk("a")), "gone"]]
    task = asyncio.ensure_future(provider.chat(call(), sink := Sink()))
    await sink.came.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await raw.gone.wait()


@pytest.mark.parametrize(
    ("kind", "asked", "sse"),
    [
        ("text/event-stream; charset=utf-8", True, True), ("text/event-stream", False, True),
        ("application/json", True, False), ("text/html", True, False), ("text/plain", True, True),
        ("application/octet-stream", False, False),
    ],
)  # fmt: skip
async def test_what_the_body_is(raw: Raw, provider: OpenAIProvider, kind: str, asked: bool, sse: bool) -> None:
    """By its type; where that says neither, what was asked for."""
    raw.replies = [[whole(200, b"x", kind)]]
    sink = Sink()
    await provider.chat(call(stream=asked), sink)
    assert sink.sse is sse


@pytest.mark.parametrize(
    ("status", "body", "kind", "shown"),
    [
        (400, b'{"error":{"message":"bad key sk-other-key"}}', ProviderRefused, "bad key …"),
        (404, b'{"message":"No such model."}', ProviderRefused, "No such model."),
        (422, b"[]", ProviderRefused, "The provider answered 422."),
        (400, b"", ProviderRefused, "The provider answered 400."),
        (401, b'{"error":"secret words"}', ProviderError, "The provider refused this gateway's credentials."),
        (403, b"x", ProviderError, "The provider refused this gateway's credentials."),
        (500, b"<html>\xff", ProviderError, "The provider answered 500."),
        (302, b"", ProviderError, "The provider answered 302."),
    ],
)
async def test_refusals(
    raw: Raw, provider: OpenAIProvider, status: int, body: bytes, kind: type[ProviderError], shown: str
) -> None:
    """A status tells whose fault it is; what the provider said is redacted."""
    raw.replies = [[whole(status, body)]]
    with pytest.raises(ProviderError) as caught:
        await provider.chat(call(), Sink())
    error = caught.value
    assert (type(error), error.message, error.upstream_status) == (kind, shown, status)
    assert error.status == (status if kind is ProviderRefused else 502)


@pytest.mark.parametrize(
    ("said", "wait"),
    [
        ("7", 7), ("0.5", 0.5), ("-1", 0), ("nan", 0), ("1e9", WEEK), ("Wed, 21 Oct 2026", None), ("soon", None),
        ("Fri, 01 Jan 2027 00:01:30 GMT", 90), ("Fri, 01 Jan 2027 01:01:30 +0100", 90),
        ("Thu, 31 Dec 2026 23:59:59 GMT", 0), ("Fri, 01 Jan 2100 00:00:00 GMT", WEEK),
        ("Fri, 01 Jan 99999999999 00:00:00 GMT", None), ("Fri, 01 Jan 2027 00:01:30 +999999999999999", None),
    ],
)  # fmt: skip
async def test_a_rate_limit(
    raw: Raw, provider: OpenAIProvider, monkeypatch: pytest.MonkeyPatch, said: str, wait: float | None
) -> None:
    """With its Retry-After where that is a number or a date; a week at most."""
    monkeypatch.setattr(openai, "now_ms", lambda: 1_798_761_600_000)  # when 2027 begins
    raw.replies = [[whole(429, b"{}", Retry_After=said)], [whole(429, b"{}")]]
    for expected in (wait, None):
        with pytest.raises(ProviderBusy) as caught:
            await provider.chat(call(), Sink())
        assert caught.value.retry_after == expected


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        (["close"], "closed"),
        (["reset"], "reset|closed"),
        ([b"nonsense\r\n\r\n", "close"], "bad HTTP"),
        ([HEAD, part(chunk("a")), "close"], "connection closed"),
        ([HEAD, part(chunk("a")), b"zz\r\n\r\n", "gone"], "bad HTTP"),
        ([whole(200, b"x" * 10)[:-5], "close"], "connection closed"),
        ([whole(200, b"x" * 10, Content_Encoding="gzip")], "bad compression"),
    ],
)
async def test_connections_that_break(raw: Raw, provider: OpenAIProvider, reply: list[Any], cause: str) -> None:
    """Wherever it happens, it is one error with its cause, and what came before a mere end is fed."""
    raw.replies = [reply, reply]
    sink = Sink()
    with pytest.raises(ProviderError, match="connection to the provider broke") as caught:
        await provider.chat(call(), sink)
    assert re.search(cause, caught.value.cause or "")
    if reply[0] == HEAD and reply[-1] == "close":
        assert sink.data == chunk("a")


async def test_what_came_before_a_reset_is_fed(raw: Raw, provider: OpenAIProvider) -> None:
    """Though the client's library raises first."""
    reset = asyncio.Event()
    raw.replies = [[HEAD, part(chunk("a")), reset, "reset"]]
    task = asyncio.ensure_future(provider.chat(call(), sink := Sink()))
    await sink.came.wait()
    reset.set()
    with pytest.raises(ProviderError):
        await task
    assert sink.data == chunk("a")


async def test_nobody_there() -> None:
    """The port is closed."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    provider = OpenAIProvider(Provider(base_url=f"http://127.0.0.1:{port}"))
    with pytest.raises(ProviderError, match="can't be reached"):
        await provider.chat(call(), Sink())
    await provider.close()


async def test_nobody_there_in_time() -> None:
    """The connection's own timeout, which goes for TLS too."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        provider = OpenAIProvider(Provider(base_url=f"https://127.0.0.1:{silent.getsockname()[1]}"))
        with pytest.raises(ProviderTimeout, match="in time"):
            await provider.chat(msgspec.structs.replace(call(), connect_timeout_s=0.03), Sink())
        await provider.close()


async def test_embeddings(raw: Raw, provider: OpenAIProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reply as the provider sent it; a longer one than anybody needs is refused."""
    raw.replies = [[whole(200, b'{"data":[]}')], [whole(200, b"x" * 100)], [whole(500, b"")]]
    fields = {"input": msgspec.Raw(b'"x"')}
    assert await provider.embed("e", fields) == b'{"data":[]}'
    assert raw.seen[0][1].startswith(b"POST /v1/embeddings ")
    assert raw.seen[0][2] == {"model": "e", "input": "x"}
    monkeypatch.setattr(openai, "MAX_EMBEDDING_BYTES", 50)
    with pytest.raises(ProviderError, match="too long"):
        await provider.embed("e", fields)
    with pytest.raises(ProviderError, match="500"):
        await provider.embed("e", fields)


@pytest.mark.parametrize(
    ("url", "key", "private"),
    [
        ("http://LLM-Box:8000/v1", "k-1", {"k-1", "LLM-Box:8000", "llm-box"}),
        ("https://example.com", "", {"example.com"}),
        ("http://ai", "k", set()),
    ],
)
def test_what_no_error_may_show(url: str, key: str, private: set[str]) -> None:
    """The key, and where the provider is; what is too short to be told from words is left."""
    assert OpenAIProvider(Provider(base_url=url, api_key=key)).private == sorted(private, key=len, reverse=True)


async def test_closing_what_was_never_opened() -> None:
    """Nothing to do."""
    await OpenAIProvider(Provider()).close()


async def test_the_environments_proxy(raw: Raw, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is used, but not for addresses that the environment excepts."""
    monkeypatch.setenv("http_proxy", raw.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("NO_PROXY", "local.test")
    raw.replies = [GOOD]
    provider = OpenAIProvider(Provider(base_url="http://elsewhere.test/v1"))
    await provider.chat(call(), Sink())
    await provider.close()
    assert raw.seen[0][1].startswith(b"POST http://elsewhere.test/v1/chat/completions ")
    excepted = OpenAIProvider(Provider(base_url="http://local.test/v1"))
    with pytest.raises(ProviderError, match="can't be reached"):
        await excepted.chat(call(), Sink())
    await excepted.close()
    assert len(raw.seen) == 1
