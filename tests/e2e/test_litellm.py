"""LiteLLM's proxy behind the gateway: only with `--full`, since it is large."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.support.reference import KEY, LiteLLMProcess
from tests.support.servers import GatewayProcess
from tests.support.wires import fold, request, text_of

pytestmark = [pytest.mark.full, pytest.mark.timeout(1500)]
ASK: list[Any] = [{"role": "user", "content": "go"}]


@pytest.fixture(scope="module")
def litellm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiteLLMProcess]:
    """The proxy, with mock models."""
    process = LiteLLMProcess(tmp_path_factory.mktemp("litellm"))
    with process.start(timeout=120):
        yield process


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, litellm: LiteLLMProcess) -> Iterator[GatewayProcess]:
    """A gateway in front of it."""
    config = {
        "providers": {"litellm": {"kind": "openai", "base_url": litellm.base_url, "api_key": KEY}},
        "models": {name: {"targets": [f"litellm/{name}"], "retries": 0} for name in litellm.models},
    }
    with GatewayProcess(tmp_path_factory.mktemp("gateway"), config) as process:
        yield process


@pytest.fixture
def pair(litellm: LiteLLMProcess, gateway: GatewayProcess) -> Iterator[tuple[openai.OpenAI, openai.OpenAI]]:
    """The official client through the gateway, and straight at the proxy."""
    with (
        openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="unused", max_retries=0) as ours,
        openai.OpenAI(base_url=litellm.base_url, api_key=KEY, max_retries=0) as theirs,
    ):
        yield ours, theirs


def frames(sdk: openai.OpenAI, model: str, **options: Any) -> list[dict[str, Any]]:
    """The chunks of a stream, less what differs from call to call."""
    with sdk.chat.completions.create(model=model, messages=ASK, stream=True, **options) as chunks:
        return [chunk.model_dump(exclude={"id", "created", "trace_id"}) for chunk in chunks]


@pytest.mark.parametrize("usage", [False, True])
@pytest.mark.parametrize("n", [1, 2])
def test_a_stream(pair: tuple[openai.OpenAI, openai.OpenAI], usage: bool, n: int) -> None:
    """The same chunks; the usage chunk, which has a choice here, only for who asked for it."""
    options: dict[str, Any] = {"n": n} | ({"stream_options": {"include_usage": True}} if usage else {})
    ours, theirs = (frames(sdk, "text", **options) for sdk in pair)
    assert ours == theirs
    assert fold(ours)[0]["content"].startswith("Grüße 😀 — “quoted”")


def test_an_answer_that_does_not_stream(pair: tuple[openai.OpenAI, openai.OpenAI]) -> None:
    """The same document, twice with n=2."""
    ours, theirs = (
        sdk.chat.completions.create(model="text", messages=ASK, n=2).model_dump(exclude={"id", "created", "trace_id"})
        for sdk in pair
    )
    assert ours == theirs
    assert len(ours["choices"]) == 2


def test_tool_calls(pair: tuple[openai.OpenAI, openai.OpenAI]) -> None:
    """The same calls."""
    ours, theirs = (sdk.chat.completions.create(model="tools", messages=ASK).choices[0].model_dump() for sdk in pair)
    assert ours == theirs
    assert json.loads(ours["message"]["tool_calls"][0]["function"]["arguments"]) == {"city": "Köln"}


def test_embeddings(pair: tuple[openai.OpenAI, openai.OpenAI]) -> None:
    """The same vectors."""
    ours, theirs = (sdk.embeddings.create(model="embed", input="go").model_dump() for sdk in pair)
    assert ours["data"] == theirs["data"]


def test_its_rate_limit(pair: tuple[openai.OpenAI, openai.OpenAI]) -> None:
    """Its 429 is the client's RateLimitError through the gateway too."""
    for sdk in pair:
        with pytest.raises(openai.RateLimitError):
            sdk.chat.completions.create(model="limit", messages=ASK)


def test_the_native_stream(gateway: GatewayProcess, pair: tuple[openai.OpenAI, openai.OpenAI]) -> None:
    """The same text, and its usage in `done`."""
    expected = fold(frames(pair[1], "text"))[0]["content"]
    got = request("POST", f"{gateway.url}/chat/stream", {"message": "go", "model": "text"})
    assert text_of(got.events) == expected
    assert got.events[-1]["usage"]["completion_tokens"] > 0
