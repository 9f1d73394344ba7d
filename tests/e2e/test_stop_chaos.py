"""Answers that are stopped before, within and right after their text, over every wire that can.

The cases run at once when the first test asks for them; each test looks at its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, NamedTuple

import aiohttp
import pytest

from gateway.chaos import expected_text
from tests.e2e.moments import Moment, moments, named
from tests.support.chaos import ChaosGateway, Levels, chaos_gateway, model, until
from tests.support.readers import WIRES, Seen, clients, native_ask, rate, read_socket

CASES = named(moments(long=True))


class Stopped(NamedTuple):
    seen: Seen
    replies: list[dict[str, Any]]  # of two calls of stop
    row: dict[str, Any]
    closed: list[dict[str, Any]]
    rated: int


class All(NamedTuple):
    cases: dict[str, Stopped]
    before: Levels
    after: Levels


async def _stop(here: ChaosGateway, session: aiohttp.ClientSession, name: str, case: Moment) -> Stopped:
    replies: list[dict[str, Any]] = []
    reached = asyncio.Event()

    def look(seen: Seen) -> bool:
        if case.reached is not None and case.reached(seen):
            reached.set()
        return False

    task = asyncio.create_task(WIRES[case.wire](session, here.url, name, look))
    await until(lambda: here.upstream.asked(name))
    if case.reached is not None:
        await reached.wait()
    trace_id = await here.trace_of(name)
    for _ in range(2):
        async with session.post(f"{here.url}/chat/stream/{trace_id}/stop") as response:
            replies.append({"http": response.status, **await response.json()})
    seen = await task
    row = await here.ended(trace_id)
    closed = await until(lambda: here.upstream.closed(name))
    return Stopped(seen, replies, row, closed, await rate(session, here.url, trace_id))


async def _stop_all(here: ChaosGateway) -> All:
    async with clients() as session:
        for wire in WIRES:
            await WIRES[wire](session, here.url, "ok")
        before = here.levels()
        found = await asyncio.gather(*(_stop(here, session, *case) for case in CASES.items()))
        return All(dict(zip(CASES, found, strict=True)), before, await here.settled(before))


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChaosGateway]:
    names = ("ok", "role-pause-40000ms", "lorem-900-30ms", *CASES)
    with chaos_gateway(tmp_path_factory.mktemp("stop"), {name: model(f"chaos/{name}") for name in names}) as started:
        yield started


@pytest.fixture(scope="module")
def stopped(here: ChaosGateway) -> All:
    """All have been stopped, over HTTP."""
    return asyncio.run(_stop_all(here))


@pytest.mark.parametrize("name", [pytest.param(name, id=case.id) for name, case in CASES.items()])
def test_the_reader_gets_one_done(stopped: All, name: str) -> None:
    """`done` with the reason `stopped`, in OpenAI's words `stop` and `[DONE]`."""
    seen = stopped.cases[name].seen
    assert (seen.status, len(seen.terminals), seen.after_terminal, seen.error) == (200, 1, 0, None)
    assert seen.finish == ("stop" if CASES[name].wire.startswith("v1") else "stopped")


@pytest.mark.parametrize("name", [pytest.param(name, id=case.id) for name, case in CASES.items()])
def test_the_trace_ends_as_stopped(stopped: All, name: str) -> None:
    """One terminal state, with the very text that the reader has."""
    row = stopped.cases[name].row
    assert (row["outcome"], row["state"], row["finish_reason"]) == ("stopped", "OK", "stopped")
    text = row["response"][0]["content"]
    assert text == stopped.cases[name].seen.text
    assert (expected_text(name) or "").startswith(text)


@pytest.mark.parametrize("name", [pytest.param(name, id=case.id) for name, case in CASES.items()])
def test_the_provider_call_is_cancelled(stopped: All, name: str) -> None:
    """The provider sees its connection closed once, and a second stop changes nothing."""
    assert len(stopped.cases[name].closed) == 1
    assert [(reply["http"], reply["outcome"]) for reply in stopped.cases[name].replies] == [(200, "stopped")] * 2


@pytest.mark.parametrize("name", [pytest.param(name, id=case.id) for name, case in CASES.items()])
def test_a_stopped_answer_can_be_rated(stopped: All, name: str) -> None:
    """That is what people do with a bad answer."""
    assert stopped.cases[name].rated == 200


def test_nothing_stays_of_stopped_answers(stopped: All) -> None:
    """Tasks, streams, readers and connections are back where they were."""
    assert all(now <= then for now, then in zip(stopped.after, stopped.before, strict=True)), stopped[1:]


@pytest.mark.parametrize(
    ("name", "text"), [("role-pause-40000ms", False), ("lorem-900-30ms", True)], ids=["before", "in-the-middle"]
)
async def test_a_socket_stops_its_own_chat(here: ChaosGateway, name: str, text: bool) -> None:
    """A `stop` frame ends that chat with one `done`; the socket goes on."""

    def enough(seen: Seen) -> bool:
        return bool(seen.text) if text else bool(seen.events)

    async with clients() as session, session.ws_connect(f"{here.url}/chat/ws") as socket:
        await socket.send_json({"type": "chat", "id": "c1", **native_ask(name)})
        seen = await read_socket(socket, Seen(), enough)
        await until(lambda: here.upstream.asked(name))
        await socket.send_json({"type": "stop", "id": "c1"})
        await read_socket(socket, seen)
    assert [event["finish_reason"] for event in seen.terminals] == ["stopped"]
    row = await here.ended(seen.trace_id)
    assert (row["outcome"], row["response"][0]["content"]) == ("stopped", seen.text)


async def test_a_finished_answer_can_not_be_stopped(here: ChaosGateway) -> None:
    """The stop says how it ended, and nothing changes."""
    async with clients() as session:
        seen = await WIRES["native-stream"](session, here.url, "ok")
        async with session.post(f"{here.url}/chat/stream/{seen.trace_id}/stop") as response:
            reply = await response.json()
    assert (response.status, reply["outcome"]) == (200, "complete")
    assert (await here.ended(seen.trace_id))["outcome"] == "complete"
