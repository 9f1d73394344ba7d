"""What a model thought goes back to it, unless its provider refuses that: then once more without."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gateway.config.schema import Provider
from gateway.errors import ProviderRefused
from gateway.providers.base import Call
from gateway.providers.openai import OpenAIProvider
from tests.providers.test_openai import GOOD, Sink
from tests.support.upstream import raw_server, whole

ANSWER = {"role": "assistant", "content": "a", "reasoning_content": "hm"}
PLAIN = {"role": "assistant", "content": "a"}
REFUSED = "property 'messages.1.reasoning_content' is unsupported"


def refusal(words: str) -> list[bytes]:
    return [whole(400, json.dumps({"error": {"message": words}}).encode())]


def call(*, thoughts: bool = True) -> Call:
    messages = msgspec.Raw(msgspec.json.encode([{"role": "user", "content": "q"}, ANSWER]))
    return Call(model="m", fields={"messages": messages}, stream=True, thoughts=thoughts)


async def asked(calls: int, *replies: Any, thoughts: bool = True) -> list[Any]:
    """The earlier answer in each request that so many chats make, the last of which must come out well."""
    async with raw_server() as raw:
        raw.replies = list(replies)
        provider = OpenAIProvider(Provider(base_url=raw.url))
        try:
            for _ in range(calls - 1):
                try:
                    await provider.chat(call(thoughts=thoughts), Sink())
                except ProviderRefused:
                    continue
            await provider.chat(call(thoughts=thoughts), sink := Sink())
            assert sink.done
        finally:
            await provider.close()
        return [body["messages"][1] for _, _, body in raw.seen]


async def test_a_provider_that_refuses_them() -> None:
    """It is asked once more without, and from then on at once without."""
    assert await asked(2, refusal(REFUSED), GOOD, GOOD) == [ANSWER, PLAIN, PLAIN]


async def test_a_provider_that_takes_them() -> None:
    """It gets them each time; so does one that refused both ways, since they weren't the reason."""
    assert await asked(2, GOOD, GOOD) == [ANSWER, ANSWER]
    assert await asked(2, refusal(REFUSED), refusal("no"), GOOD) == [ANSWER, PLAIN, ANSWER]


@pytest.mark.parametrize(("words", "thoughts"), [("too long", True), (REFUSED, False)])
async def test_other_refusals(words: str, thoughts: bool) -> None:
    """One for another reason, and one of what the caller itself sent, are the caller's to mend."""
    with pytest.raises(ProviderRefused):
        await asked(1, refusal(words), thoughts=thoughts)
