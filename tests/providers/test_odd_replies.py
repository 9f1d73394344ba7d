"""Providers that answer otherwise than OpenAI does: refused options, statuses, request IDs, errors with a 200."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from gateway.config.schema import Provider
from gateway.errors import ProviderBusy, ProviderError, ProviderRefused, ProviderUnavailable
from gateway.providers.base import Call
from gateway.providers.openai import OpenAIProvider
from tests.support.router import WHOLE, document
from tests.support.upstream import HEAD, LAST, Raw, part, raw_server, whole

GOOD = [HEAD, part(b"".join(WHOLE)), LAST]
FORBIDDEN = b'{"message":{"detail":[{"loc":["body","stream_options"],"msg":"Extra inputs are not permitted"}]}}'
OPTIONS = b'{"error":{"message":"Unknown parameter.","param":"stream_options.include_usage"}}'


class Sink:
    """Keeps what it is fed, and the request's ID."""

    def __init__(self) -> None:
        self.data = b""
        self.request_id: str | None = None

    done = False

    def head(self, *, sse: bool, request_id: str | None = None) -> None:
        self.request_id = request_id

    def feed(self, data: bytes) -> bool:
        self.data += data
        return False

    async def drain(self) -> None:
        """Take all there is."""


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


def call(model: str = "gpt", *, stream: bool = True, options: Any = None) -> Call:
    raw = None if options is None else msgspec.Raw(msgspec.json.encode(options))
    return Call(model=model, fields={}, stream=stream, stream_options=raw)


async def failure(raw: Raw, provider: OpenAIProvider, status: int, **headers: str) -> ProviderError:
    raw.replies = [[whole(status, b"{}", **headers)]]
    with pytest.raises(ProviderError) as caught:
        await provider.chat(call(), Sink())
    return caught.value


@pytest.mark.parametrize("refusal", [FORBIDDEN, OPTIONS])
async def test_a_provider_that_takes_no_stream_options_is_asked_without(
    raw: Raw, provider: OpenAIProvider, refusal: bytes
) -> None:
    """Once more, and from then on at once; another model of it is another matter."""
    raw.replies = [[whole(422, refusal)], GOOD, GOOD, GOOD]
    for model in ("gpt", "gpt", "other"):
        sink = Sink()
        await provider.chat(call(model), sink)
        assert sink.data == b"".join(WHOLE)
    assert ["stream_options" in body for _, _, body in raw.seen] == [True, False, False, True]


async def test_options_of_the_callers_own_stay(raw: Raw, provider: OpenAIProvider) -> None:
    """What the gateway added goes; what the caller asked for is the provider's to refuse."""
    raw.replies = [[whole(400, OPTIONS)], [whole(400, OPTIONS)], GOOD]
    with pytest.raises(ProviderRefused, match="Unknown parameter"):
        await provider.chat(call(options={"include_obfuscation": False}), Sink())
    await provider.chat(call(options={"include_obfuscation": False}), Sink())
    first, *others = [body["stream_options"] for _, _, body in raw.seen]
    assert first == {"include_obfuscation": False, "include_usage": True}
    assert others == [{"include_obfuscation": False}] * 2


async def test_another_refusal_is_not_repeated(raw: Raw, provider: OpenAIProvider) -> None:
    """Nor is one of a plain request, which asked for no usage."""
    raw.replies = [[whole(400, b'{"error":"No."}')], [whole(400, OPTIONS)]]
    for asked in (call(), call(stream=False)):
        with pytest.raises(ProviderRefused):
            await provider.chat(asked, Sink())
    assert len(raw.seen) == 2


async def test_a_201_is_an_answer(raw: Raw, provider: OpenAIProvider) -> None:
    """Some frameworks say so of each POST. What has no body is none."""
    raw.replies = [[whole(201, document())]]
    await provider.chat(call(stream=False), sink := Sink())
    assert sink.data == document()
    assert (await failure(raw, provider, 205)).message == "The provider answered 205."


async def test_a_time_to_wait_may_come_in_milliseconds(raw: Raw, provider: OpenAIProvider) -> None:
    """Azure's header is the more exact one."""
    error = await failure(raw, provider, 429, retry_after_ms="1500", retry_after="2")
    assert (type(error), error.retry_after) == (ProviderBusy, 1.5)
    error = await failure(raw, provider, 503, retry_after="4")
    assert (type(error), error.retry_after) == (ProviderUnavailable, 4)


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"x_request_id": "req_1"}, "req_1"),
        ({"x_amzn_requestid": "a-2", "cf_ray": "c"}, "a-2"),
        ({"x_request_id": "with blanks"}, None),
        ({"x_request_id": "x" * 201}, None),
        ({}, None),
    ],
)
async def test_the_providers_request_id_is_kept(
    raw: Raw, provider: OpenAIProvider, headers: dict[str, str], found: str | None
) -> None:
    """Of an answer and of a failure; its support asks for it."""
    raw.replies = [[whole(200, b"", **headers)]]
    await provider.chat(call(), sink := Sink())
    assert sink.request_id == found
    assert (await failure(raw, provider, 500, **headers)).request_id == found


@pytest.mark.parametrize(
    ("body", "failed"),
    [
        (b'{"error":{"message":"Model is loading.","code":503}}', "Model is loading."),
        (b'{"error":null,"data":[]}', None),
        (b'{"data":["error" ]}', None),
        (b'["error"]', None),
        (b'{"error" ', None),
        (b'"error":' + b" " * 70_000, None),
    ],
)
async def test_embeddings_that_are_an_error(
    raw: Raw, provider: OpenAIProvider, body: bytes, failed: str | None
) -> None:
    """With a good status, as some proxies have it; anything else passes as it is."""
    raw.replies = [[whole(200, body)]]
    if failed:
        with pytest.raises(ProviderError, match=failed):
            await provider.embed("e", {})
    else:
        assert await provider.embed("e", {}) == body
