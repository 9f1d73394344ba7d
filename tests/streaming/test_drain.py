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
from tests.support.runs import Rig, Says, answer_of, text


async def test_drain() -> None:
    """No new runs; those that end in time complete, the others are interrupted."""
    rig = Rig()
    quick, slow = Says("q", Says.hold, "!"), Says("s", Says.hold)
    runs = [rig.run(quick), rig.run(slow)]
    await ticks()
    with jumping():
        drain = asyncio.create_task(rig.runs.drain(30))
        await ticks()
        with pytest.raises(Unavailable) as refused:
            rig.run(Says("new"), begin=False)
        assert (refused.value.status, refused.value.retry_after) == (503, 1)
        quick.go.set()
        await drain
    assert rig.store.outcomes == ["complete", "interrupted"]
    assert [answer_of(run) for run in runs] == ["q!", "s"]
    assert isinstance(runs[1].log.closed, Failed)
    assert rig.runs.running == {}


async def test_drain_with_nothing_running() -> None:
    """Over at once."""
    await Rig().runs.drain(30)


async def test_drain_leaves_a_record_that_cannot_be_stored() -> None:
    """The store hangs: the run is cut off in the end, its stream too, and its row stays open for the next start."""
    rig, says = Rig(), Says("so far", Says.hold)
    client = Client(services(None))
    run = rig.run(says)
    task = asyncio.ensure_future(serve(client, rig, run))
    await client.until(lambda data: b"token" in data)
    rig.store.gate.clear()
    with jumping():
        await rig.runs.drain(0)
    await task
    assert (rig.runs.running, rig.store.ended) == ({}, [])
    [end] = [event for event in events(client.data) if event["type"] in ("done", "error")]
    assert end["code"] == "store_unavailable"
    rig.store.gate.set()
    await ticks()


async def test_drain_cuts_off_an_answer_that_does_not_let_go() -> None:
    """A provider's clean-up that hangs is cancelled as well, and the record is written."""
    rig = Rig()
    hanging = asyncio.Event()

    async def answer(run: Run) -> None:
        run.emit([text("so far")])
        try:
            await asyncio.Event().wait()
        finally:
            hanging.set()
            await asyncio.Event().wait()

    run = rig.run(answer)
    await ticks()
    with jumping():
        await rig.runs.drain(0)
    assert hanging.is_set()
    assert (rig.store.outcomes, answer_of(run)) == (["interrupted"], "so far")


@pytest.mark.parametrize("old", [True, False])
async def test_farewell_cuts_off_who_takes_nothing(old: bool) -> None:
    """Clients get a second for the end of their streams."""
    rig, says = Rig(), Says("a", Says.hold)
    client = Client(services(None), old=old)
    run = rig.run(says)
    task = asyncio.ensure_future(serve(client, rig, run))
    await client.until(lambda data: b"token" in data)
    client.stuck = asyncio.Event()
    says.go.set()
    await run.wait()
    await until(lambda: all(reader.sending_since for reader in rig.runs.readers))
    with jumping():
        await rig.runs.farewell()
    with pytest.raises(ClientGone):
        await task
    assert client.aborted


async def test_farewell_waits_for_who_takes_it_late() -> None:
    """And for nobody where nobody is late; a reader that nobody can drop is left."""
    rig, says = Rig(), Says("a", Says.hold)
    client = Client(services(None))
    run = rig.run(says)
    task = asyncio.ensure_future(serve(client, rig, run))
    await client.until(lambda data: b"token" in data)
    client.stuck = asyncio.Event()
    says.go.set()
    await run.wait()
    await ticks()
    with jumping():
        farewell = asyncio.ensure_future(rig.runs.farewell())
        await asyncio.sleep(0.5)
        client.stuck.set()
        await farewell
    await task
    assert events(client.data)[-1]["type"] == "done"
    with rig.runs.reading(run.log) as reader, reader.sending(), jumping():
        await rig.runs.farewell()
