"""Clients that leave before, within and right after an answer, under either policy.

The cases run at once when the first test asks for them; each test looks at its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import aiohttp
import pytest

from gateway.chaos import expected_text
from tests.e2e.moments import Moment, moments, named
from tests.support.chaos import ChaosGateway, Levels, chaos_gateway, model, until
from tests.support.readers import WIRES, Seen, clients, rate, read_native

GRACE_S = 0.3
CANCEL = named(moments(long=True))
DRAIN = named(moments(long=False))


def _parameters(cases: dict[str, Moment]) -> list[Any]:
    return [pytest.param(name, id=case.id) for name, case in cases.items()]


class Left(NamedTuple):
    text: str  # what the client had
    at: float  # time.monotonic() when it was gone
    row: dict[str, Any]
    closed: list[dict[str, Any]]  # connections that the upstream saw closed
    rated: int
    replayed: Seen | None


class All(NamedTuple):
    here: ChaosGateway
    cases: dict[str, Left]
    before: Levels
    after: Levels


async def _leave(here: ChaosGateway, session: aiohttp.ClientSession, name: str, case: Moment, *, cancel: bool) -> Left:
    """Ask, leave at the moment, and wait for what follows."""
    text = ""
    if case.reached is None:
        task = asyncio.create_task(WIRES[case.wire](session, here.url, name))
        await until(lambda: here.upstream.asked(name))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    else:
        text = (await WIRES[case.wire](session, here.url, name, case.reached)).text
    at = time.monotonic()
    trace_id = await here.trace_of(name)
    row = await here.ended(trace_id)
    closed = await until(lambda: here.upstream.closed(name)) if cancel else here.upstream.closed(name)
    replayed = None
    if case.wire in ("native-stream", "websocket"):
        async with session.get(f"{here.url}/chat/stream/{trace_id}") as response:
            replayed = await read_native(response, Seen())
    return Left(text, at, row, closed, await rate(session, here.url, trace_id), replayed)


async def _leave_all(here: ChaosGateway, cases: dict[str, Moment], *, cancel: bool) -> All:
    async with clients() as session:
        for wire in WIRES:
            await WIRES[wire](session, here.url, "ok")
        before = here.levels()
        left = await asyncio.gather(*(_leave(here, session, *case, cancel=cancel) for case in cases.items()))
        return All(here, dict(zip(cases, left, strict=True)), before, await here.settled(before))


def _models(cases: dict[str, Moment]) -> dict[str, Any]:
    return {name: model(f"chaos/{name}") for name in ("ok", *cases)}


@pytest.fixture(scope="module")
def cancelled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[All]:
    """Everybody has left, and the policy was cancel."""
    streaming = {"disconnect": "cancel", "disconnect_grace_s": GRACE_S}
    with chaos_gateway(tmp_path_factory.mktemp("cancel"), _models(CANCEL), streaming=streaming) as here:
        yield asyncio.run(_leave_all(here, CANCEL, cancel=True))


@pytest.fixture(scope="module")
def drained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[All]:
    """Everybody has left, and the policy was drain."""
    streaming = {"disconnect": "drain", "disconnect_grace_s": 0}
    with chaos_gateway(tmp_path_factory.mktemp("drain"), _models(DRAIN), streaming=streaming) as here:
        yield asyncio.run(_leave_all(here, DRAIN, cancel=False))


@pytest.mark.parametrize("name", _parameters(CANCEL))
def test_the_trace_ends_as_disconnected(cancelled: All, name: str) -> None:
    """One terminal state, with all the text that the client had and nothing that the provider didn't say."""
    left = cancelled.cases[name]
    row = left.row
    assert (row["outcome"], row["state"], row["finish_reason"]) == ("disconnected", "OK", "disconnected")
    stored = row["response"][0]["content"]
    assert stored.startswith(left.text)
    assert (expected_text(name) or "").startswith(stored)
    if CANCEL[name].name == "before-the-first-token":
        assert stored == ""


@pytest.mark.parametrize("name", _parameters(CANCEL))
def test_the_provider_is_let_go_within_a_second(cancelled: All, name: str) -> None:
    """After the grace, where there is one, the provider sees its connection closed."""
    (closed,) = cancelled.cases[name].closed
    grace = GRACE_S if CANCEL[name].wire in ("native-stream", "websocket") else 0
    assert closed["at"] < cancelled.cases[name].at + grace + 1


@pytest.mark.parametrize("name", _parameters(CANCEL))
def test_a_left_answer_can_be_rated(cancelled: All, name: str) -> None:
    """The client is gone, its trace is there."""
    assert cancelled.cases[name].rated == 200


@pytest.mark.parametrize("name", [n for n, case in CANCEL.items() if case.wire in ("native-stream", "websocket")])
def test_who_resumes_a_left_answer_gets_its_end(cancelled: All, name: str) -> None:
    """The stored text, and `done` with the reason `disconnected`."""
    replayed = cancelled.cases[name].replayed
    assert replayed is not None
    assert replayed.text == cancelled.cases[name].row["response"][0]["content"]
    assert [event.get("finish_reason") for event in replayed.terminals] == ["disconnected"]


@pytest.mark.parametrize("name", _parameters(CANCEL))
def test_the_cancelled_call_is_a_span(cancelled: All, name: str) -> None:
    """An attempt that was cut off by us is no failure of the provider's, and says what it was."""
    trace_id = cancelled.cases[name].row["trace_id"]
    spans = cancelled.here.gateway.store.spans(trace_id)
    (attempt,) = (span for span in spans if span["parent_id"] is not None)
    assert (attempt["status"], attempt["attributes"]["error.type"]) == ("OK", "cancelled")


@pytest.mark.parametrize("name", _parameters(DRAIN))
def test_a_drained_answer_is_whole(drained: All, name: str) -> None:
    """The provider finishes for nobody, and all of its text is stored with its own reason."""
    row = drained.cases[name].row
    assert (row["outcome"], row["state"], row["finish_reason"]) == ("drained", "OK", "stop")
    assert row["response"][0]["content"] == expected_text(name)
    assert not row["usage_estimated"]


@pytest.mark.parametrize("name", _parameters(DRAIN))
def test_a_drained_answer_can_be_rated(drained: All, name: str) -> None:
    """As any other; and the provider's connection was never cut."""
    assert (drained.cases[name].rated, drained.cases[name].closed) == (200, [])


@pytest.mark.parametrize("policy", ["cancelled", "drained"])
def test_nothing_stays_of_those_who_left(policy: str, request: pytest.FixtureRequest) -> None:
    """Tasks, streams, readers and connections are back where they were."""
    played: All = request.getfixturevalue(policy)
    assert all(now <= then for now, then in zip(played.after, played.before, strict=True)), played[2:]
