"""Embeddings from every chaos model: they leave no trace, so only what the caller sees and what stays behind counts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from gateway.chaos import CASES
from tests.support.chaos import ChaosGateway, Levels, chaos_gateway, model
from tests.support.readers import clients

# They come to no end, so a timeout or the limit of a reply's size ends them.
ENDLESS = ("comments-forever", "endless-0ms", "endless-line", "stall-head", "stall-before", "stall-after-3")
PASSED_ON = (400, 402, 404, 413, 422, 429)


class Played(NamedTuple):
    here: ChaosGateway
    replies: dict[str, tuple[int, bytes]]
    before: Levels
    after: Levels


async def _play(here: ChaosGateway) -> Played:
    replies: dict[str, tuple[int, bytes]] = {}
    async with clients() as session:

        async def ask(name: str) -> None:
            body = {"model": name, "input": ["one", "two"]}
            async with session.post(f"{here.url}/v1/embeddings", json=body) as response:
                replies[name] = (response.status, await response.read())

        await ask("ok")
        before = here.levels()
        await asyncio.gather(*map(ask, ENDLESS))  # apart: they leave the upstream no time for others
        await asyncio.gather(*(ask(name) for name in CASES if name not in ENDLESS))
        return Played(here, replies, before, await here.settled(before))


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    models: dict[str, Any] = {name: model(f"chaos/{name}", total_timeout_s=1.5) for name in CASES}
    with chaos_gateway(tmp_path_factory.mktemp("embeddings"), models) as here:
        yield asyncio.run(_play(here))


@pytest.mark.parametrize("name", CASES)
def test_the_caller_gets_a_clear_answer(played: Played, name: str) -> None:
    """Embeddings, or an error in OpenAI's shape with the status that the contract gives it, and no secret."""
    status, body = played.replies[name]
    expect = CASES[name].plain.expect
    assert b"SECRET" not in body
    assert b"127.0.0.1" not in body
    if name in ENDLESS:
        assert status in (502, 504)
    elif expect.status in PASSED_ON:
        assert status == expect.status
    else:
        assert status in (200, 502, 504)
    if status != 200:
        error = json.loads(body)["error"]
        assert (
            error["message"] != "",
            error["code"].startswith(("upstream_", "answer_too_long", "chaos_", "insufficient_quota")),
        ) == (
            True,
            True,
        )


def test_good_embeddings(played: Played) -> None:
    """They are the provider's, one for each input."""
    status, body = played.replies["ok"]
    assert (status, [item["index"] for item in json.loads(body)["data"]]) == (200, [0, 1])


def test_nothing_stays_of_embeddings(played: Played) -> None:
    """Tasks and connections are back where they were."""
    assert all(now <= then for now, then in zip(played.after, played.before, strict=True)), played[2:]
