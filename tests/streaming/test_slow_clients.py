"""Clients that take nothing, and clients that take little: the first are cut off, the others are not."""

from __future__ import annotations

import asyncio
import tracemalloc

import pytest

from gateway.web.pump import Response
from gateway.web.request import ClientGone
from tests.support.asgi import Client, events, send, serve, services
from tests.support.clock import jumping, ticks
from tests.support.runs import RunHarness, ScriptedAnswer, text


async def test_the_end_waits_for_the_client() -> None:
    """A server waits before a write, not after: so the last one is empty, and the sweep watches it too."""
    harness = RunHarness(send_timeout_s=30)
    client = Client(services(None))
    run = harness.run(ScriptedAnswer("a"))
    client.stuck_at = b""
    task = asyncio.ensure_future(serve(client, harness, run))
    await client.until(lambda data: b"done" in data)
    await ticks()
    assert not task.done()
    harness.runs.sweep(asyncio.get_running_loop().time() + 31)
    with pytest.raises(ClientGone):
        async with asyncio.timeout(3):
            await task
    assert client.aborted


async def test_a_slow_client_that_takes_something_stays() -> None:
    """A long answer goes out in pieces, and each has the whole send timeout."""
    harness = RunHarness(send_timeout_s=30)
    client = Client(services(None))
    run = harness.run(ScriptedAnswer("x" * 300_000))
    await run.wait()
    client.step = asyncio.Semaphore(1)  # of the head
    reader = harness.attach(run)
    task = asyncio.ensure_future(send(client, reader))
    starts = []
    while not task.done():
        await ticks()
        starts.append(reader.sending_since)
        client.step.release()
    await task
    assert max(len(message.get("body", b"")) for message in client.sent) == 65_536
    assert len(set(starts)) >= 5
    assert [event["type"] for event in events(client.data)] == ["start", "token", "done"]


async def test_what_a_slow_client_is_behind_is_cut_piece_by_piece() -> None:
    """So that it takes memory for one piece more, and not for all of them, while the client takes its time."""
    response, answer = Response(Client(services(None)).request), b"x" * 1_000_000
    tracemalloc.start()
    try:
        cut = sum(len(piece) for piece in response.cut([answer]))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (cut, peak < 200_000) == (1_000_000, True)


@pytest.mark.parametrize(
    ("size", "pieces"), [(65_536, [65_536]), (65_537, [65_536, 1, 0]), (131_072, [65_536] * 2 + [0])]
)
async def test_a_large_reply_goes_out_in_pieces(size: int, pieces: list[int]) -> None:
    """A small one at once; the last of many is empty."""
    client = Client(services(None, send_timeout_s=30))
    await client.request.reply(b"x" * size)
    assert [len(message["body"]) for message in client.sent[1:]] == pieces
    assert [message["more_body"] for message in client.sent[1:]] == [True] * (len(pieces) - 1) + [False]


async def test_a_client_that_takes_nothing_of_a_large_reply_is_cut_off() -> None:
    """After `send_timeout_s` without a piece."""
    client = Client(services(None, send_timeout_s=30))
    client.step = asyncio.Semaphore(3)
    with jumping(), pytest.raises(ClientGone):
        await client.request.reply(b"x" * 5_000_000)
    assert (client.aborted, len(client.data)) == (True, 2 * 65_536)


async def test_a_client_that_takes_nothing_is_cut_off() -> None:
    """After `send_timeout_s` the sweep drops it, and the connection is aborted."""
    harness, script = RunHarness(send_timeout_s=30), ScriptedAnswer("a", ScriptedAnswer.hold)
    client = Client(services(None))
    run = harness.run(script)
    task = asyncio.ensure_future(serve(client, harness, run))
    await client.until(lambda data: b"token" in data)
    client.stuck = asyncio.Event()
    run.emit([text("b")])
    await ticks()
    harness.runs.sweep(asyncio.get_running_loop().time() + 31)
    harness.runs.sweep(asyncio.get_running_loop().time() + 32)
    with pytest.raises(ClientGone):
        async with asyncio.timeout(3):
            await task
    assert client.aborted
    assert "send_timeouts" in harness.counts
    await run.wait()
    assert harness.store.outcomes == ["disconnected"]


async def test_a_client_that_takes_nothing_at_the_end_is_cut_off_too() -> None:
    """The run is over by then, and kept for nobody."""
    harness = RunHarness(send_timeout_s=30)
    client = Client(services(None))
    script = ScriptedAnswer("a", ScriptedAnswer.hold, "b")
    run = harness.run(script, replayable=False)
    task = asyncio.ensure_future(serve(client, harness, run))
    await client.until(lambda data: b"token" in data)
    client.stuck = asyncio.Event()
    script.go.set()
    await run.wait()
    await ticks()
    assert not task.done()
    harness.runs.sweep(asyncio.get_running_loop().time() + 31)
    with pytest.raises(ClientGone):
        async with asyncio.timeout(3):
            await task
    assert client.aborted
