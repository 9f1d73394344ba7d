"""Readers that come back: amid the answer, after its end, and after a restart of the gateway.

Whatever a reader saw up to some event, with what it is sent after that event, is the whole answer: no character twice,
none missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, NamedTuple

import aiohttp
import pytest

from gateway.chaos import CASES, case_for, expected_text
from tests.support.chaos import ChaosGateway, chaos_gateway, model
from tests.support.readers import WIRES, Event, Seen, chat_stream, clients, native_ask, read_native, read_socket

# Slow enough that the reader sees many events, which all have ids to come back to.
ENDED = ("unicode-50-2ms", "reasoning", "tools", "byte-by-byte", "error-after-3", "escapes", "lone-surrogate")
LIVE = ("lorem-60-10ms", "unicode-60-10ms")
WAYS = ("header", "query")


class Resumed(NamedTuple):
    whole: Seen
    kept: dict[int, Seen]  # by the id that was had: what the running gateway replayed
    stored: dict[int, Seen]  # what came from the store after a restart


async def _resume(session: aiohttp.ClientSession, url: str, trace_id: str, after: int, way: str = "header") -> Seen:
    headers = {"Last-Event-ID": str(after)} if way == "header" else {}
    query = {"after": str(after)} if way == "query" else {}
    async with session.get(f"{url}/chat/stream/{trace_id}", headers=headers, params=query) as response:
        return await read_native(response, Seen())


async def _from_each(session: aiohttp.ClientSession, here: ChaosGateway, seen: Seen) -> dict[int, Seen]:
    return {after: await _resume(session, here.url, seen.trace_id, after) for after in (0, *seen.ids)}


async def _play(here: ChaosGateway) -> dict[str, Resumed]:
    async with clients() as session:
        whole = dict(
            zip(ENDED, await asyncio.gather(*(chat_stream(session, here.url, name) for name in ENDED)), strict=True)
        )
        kept = {name: await _from_each(session, here, seen) for name, seen in whole.items()}
    await asyncio.to_thread(here.gateway.restart)
    async with clients() as session:
        stored = {name: await _from_each(session, here, seen) for name, seen in whole.items()}
    return {name: Resumed(whole[name], kept[name], stored[name]) for name in ENDED}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChaosGateway]:
    models = {name: model(f"chaos/{name}") for name in (*CASES, *ENDED, *LIVE)}
    with chaos_gateway(tmp_path_factory.mktemp("resume"), models, streaming={"disconnect_grace_s": 10}) as started:
        yield started


@pytest.fixture(scope="module")
def resumed(here: ChaosGateway) -> dict[str, Resumed]:
    """Each answer, and what is sent to a reader that comes back after each of its events."""
    return asyncio.run(_play(here))


def _joined(events: list[Event]) -> list[Any]:
    """What events say, adjacent text joined, but for the token, which is made anew where a stored answer is read."""
    said: list[Any] = []
    for event in events:
        kind = event["type"]
        if said and isinstance(said[-1], tuple) and said[-1][0] == kind:
            said[-1] = (kind, said[-1][1] + event["content"])
        elif kind in ("token", "reasoning"):
            said.append((kind, event["content"]))
        else:
            said.append(event | {"feedback_token": bool(event.get("feedback_token"))})
    return said


@pytest.mark.parametrize("source", ["kept", "stored"])
@pytest.mark.parametrize("name", ENDED)
def test_the_rest_of_a_finished_answer(resumed: dict[str, Resumed], name: str, source: str) -> None:
    """After every event that it had, a reader gets exactly what it had not, from memory and from the store alike."""
    whole = resumed[name].whole
    replays = resumed[name].kept if source == "kept" else resumed[name].stored
    for had, after in enumerate((0, *whole.ids[:-1])):
        replay = replays[after]
        assert replay.status == 200
        assert _joined(whole.events[:had] + replay.events) == _joined(whole.events)
        assert replay.ids == sorted(set(replay.ids))
        assert (replay.ids[0] > after, replay.ids[-1]) == (True, whole.ids[-1])


@pytest.mark.parametrize("source", ["kept", "stored"])
@pytest.mark.parametrize("name", ENDED)
def test_after_the_end_there_is_nothing(resumed: dict[str, Resumed], name: str, source: str) -> None:
    """Who has had the terminal event gets 204 and no body."""
    whole = resumed[name].whole
    last = (resumed[name].kept if source == "kept" else resumed[name].stored)[whole.ids[-1]]
    assert (last.status, last.raw) == (204, b"")


def test_the_answers_were_whole(resumed: dict[str, Resumed]) -> None:
    """What all is compared with is the provider's text."""
    for name, case in ((name, case_for(name)) for name in ENDED):
        assert case is not None
        assert resumed[name].whole.text == case.stream.expect.text


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", LIVE)
async def test_back_while_it_still_runs(here: ChaosGateway, name: str, way: str) -> None:
    """A reader that leaves again and again, and comes back each time, ends with the text as it was sent."""
    async with clients() as session:
        seen = await chat_stream(session, here.url, name, lambda seen: len(seen.text) > 20)
        while not seen.terminals:
            had = len(seen.ids)
            headers = {"Last-Event-ID": str(seen.ids[-1])} if way == "header" else {}
            query = {"after": str(seen.ids[-1])} if way == "query" else {}
            url = f"{here.url}/chat/stream/{seen.trace_id}"
            seen.frames = type(seen.frames)()
            async with session.get(url, headers=headers, params=query) as response:
                await read_native(response, seen, lambda seen, had=had: len(seen.ids) > had + 5)  # type: ignore[misc]
    assert seen.text == expected_text(name)
    assert seen.ids == sorted(set(seen.ids))
    assert (await here.ended(seen.trace_id))["outcome"] == "complete"


async def test_two_readers_of_one_answer(here: ChaosGateway) -> None:
    """Both get all of it, and one that leaves doesn't end it for the other."""
    async with clients() as session, session.post(f"{here.url}/chat/stream", json=native_ask(LIVE[0])) as response:
        first = await read_native(response, Seen(), lambda seen: bool(seen.text))
        second = await _resume(session, here.url, first.trace_id, 0)
        await read_native(response, first)
    assert first.text == second.text == expected_text(LIVE[0])


async def test_back_over_a_socket(here: ChaosGateway) -> None:
    """A `resume` frame continues on another socket what began on a closed one."""
    name = LIVE[1]
    async with clients() as session:
        seen = await WIRES["websocket"](session, here.url, name, lambda seen: len(seen.text) > 20)
        async with session.ws_connect(f"{here.url}/chat/ws") as socket:
            await socket.send_json({"type": "resume", "id": "c1", "trace_id": seen.trace_id, "after": seen.ids[-1]})
            await read_socket(socket, seen)
    assert seen.text == expected_text(name)
    assert seen.ids == sorted(set(seen.ids))


async def test_an_unknown_answer(here: ChaosGateway) -> None:
    """There is nothing to come back to."""
    async with clients() as session, session.get(f"{here.url}/chat/stream/tr-{'0' * 32}") as response:
        assert (response.status, (await response.json())["code"]) == (404, "not_found")
