"""The end of the server: running answers end, whoever hangs, and clients get to hear of it."""

from __future__ import annotations

import asyncio

import pytest

from gateway.domain.events import Failed
from gateway.errors import Unavailable
from gateway.streaming.run import Run
from gateway.web.request import ClientGone
from tests.support.asgi import Client, events, serve, services
from tests.support.clock import jumping, ticks, until
from tests.support.runs import RunHarness, ScriptedAnswer, answer_of, text


async def test_drain() -> None:
    """No new runs; those that end in time complete, the others are interrupted."""
    harness = RunHarness()
    quick, slow = ScriptedAnswer("q", ScriptedAnswer.hold, "!"), ScriptedAnswer("s", ScriptedAnswer.hold)
    runs = [harness.run(quick), harness.run(slow)]
    await ticks()
    with jumping():
        drain = asyncio.create_task(harness.runs.drain(30))
        await ticks()
        with pytest.raises(Unavailable) as refused:
            harness.run(ScriptedAnswer("new"), begin=False)
        assert (refused.value.status, refused.value.retry_after) == (503, 1)
        quick.go.set()
        await drain
    assert harness.store.outcomes == ["complete", "interrupted"]
    assert [answer_of(run) for run in runs] == ["q!", "s"]
    assert isinstance(runs[1].log.closed, Failed)
    assert harness.runs.running == {}


async def test_drain_with_nothing_running() -> None:
    """Over at once."""
    await RunHarness().runs.drain(30)


async def test_drain_leaves_a_record_that_cannot_be_stored() -> None:
    """The store hangs: the run is cut off in the end, its stream too, and its row stays open for the next start."""
    harness, script = RunHarness(), ScriptedAnswer("so far", ScriptedAnswer.hold)
    client = Client(services(None))
    run = harness.run(script)
    task = asyncio.ensure_future(serve(client, harness, run))
    await client.until(lambda data: b"token" in data)
    harness.store.gate.clear()
    with jumping():
        await harness.runs.drain(0)
    await task
    assert (harness.runs.running, harness.store.ended) == ({}, [])
    [end] = [event for event in events(client.data) if event["type"] in ("done", "error")]
    assert end["code"] == "store_unavailable"
    harness.store.gate.set()
    await ticks()


async def test_drain_cuts_off_an_answer_that_does_not_let_go() -> None:
    """A provider's clean-up that hangs is cancelled as well, and the record is written."""
    harness = RunHarness()
    hanging = asyncio.Event()

    async def answer(run: Run) -> None:
        run.emit([text("so far")])
        try:
            await asyncio.Event().wait()
        finally:
            hanging.set()
            await asyncio.Event().wait()

    run = harness.run(answer)
    await ticks()
    with jumping():
        await harness.runs.drain(0)
    assert hanging.is_set()
    assert (harness.store.outcomes, answer_of(run)) == (["interrupted"], "so far")


@pytest.mark.parametrize("old", [True, False])
async def test_farewell_cuts_off_who_takes_nothing(old: bool) -> None:
    """Clients get a second for the end of their streams."""
    harness, script = RunHarness(), ScriptedAnswer("a", ScriptedAnswer.hold)
    client = Client(services(None), old=old)
    run = harness.run(script)
    task = asyncio.ensure_future(serve(client, harness, run))
    await client.until(lambda data: b"token" in data)
    client.stuck = asyncio.Event()
    script.go.set()
    await run.wait()
    await until(lambda: all(reader.sending_since for reader in harness.runs.readers))
    with jumping():
        await harness.runs.farewell()
    with pytest.raises(ClientGone):
        await task
    assert client.aborted


async def test_farewell_waits_for_who_takes_it_late() -> None:
    """And for nobody where nobody is late; a reader that nobody can drop is left."""
    harness, script = RunHarness(), ScriptedAnswer("a", ScriptedAnswer.hold)
    client = Client(services(None))
    run = harness.run(script)
    task = asyncio.ensure_future(serve(client, harness, run))
    await client.until(lambda data: b"token" in data)
    client.stuck = asyncio.Event()
    script.go.set()
    await run.wait()
    await ticks()
    with jumping():
        farewell = asyncio.ensure_future(harness.runs.farewell())
        await asyncio.sleep(0.5)
        client.stuck.set()
        await farewell
    await task
    assert events(client.data)[-1]["type"] == "done"
    with harness.runs.reading(run.log) as reader, reader.sending(), jumping():
        await harness.runs.farewell()
