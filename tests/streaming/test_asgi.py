"""From a run's log to one HTTP client, with `receive` and `send` made by hand."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.domain.events import Done, Terminal
from gateway.domain.trace import Outcome
from gateway.errors import GatewayError, ProviderBusy, StoreUnavailable
from gateway.streaming.run import Run
from gateway.web.pump import stream, whole
from gateway.web.request import ClientGone
from gateway.wire.openai import ChunkStream
from tests.support.asgi import Client, events, serve, services
from tests.support.clock import jumping, ticks, until
from tests.support.runs import RunHarness, ScriptedAnswer, answer_of, finished, text


class Raw(ChunkStream):
    """Frames as they came, and which end it was."""

    def __init__(self) -> None:
        super().__init__("m", 5)

    def _end(self, end: Terminal) -> bytes:
        return b"END " + type(end).__name__.encode()


def sent_raw(*frames: bytes) -> Any:
    """An answer that brings raw frames."""

    async def answer(run: Run) -> None:
        for frame in frames:
            run.emit([text("x")], [frame])

    return answer


async def test_the_native_stream() -> None:
    """The head and a comment at once; then the events, a token that comes alone alone; then the end."""
    harness, script = RunHarness(), ScriptedAnswer(ScriptedAnswer.hold, "Hel", "lo", finished())
    client = Client(services(None))
    run = harness.run(script)
    task = asyncio.ensure_future(serve(client, harness, run))
    await client.until(lambda data: b"start" in data)
    assert client.data.startswith(b": connected\nid: 1\n")
    script.go.set()
    await task
    assert client.head["status"] == 200
    assert dict(client.head["headers"])[b"cache-control"] == b"no-cache, no-transform"
    assert [event["type"] for event in events(client.data)] == ["start", "token", "done"]
    *bodies, last = client.sent[1:]
    assert all(message["more_body"] for message in bodies)
    assert last == {"type": "http.response.body", "body": b""}


@pytest.mark.parametrize("old", [True, False])
async def test_a_client_that_leaves_while_nothing_comes(old: bool) -> None:
    """Noticed by `receive`, before the first token too; the policy ends the call."""
    harness, script = RunHarness(), ScriptedAnswer(ScriptedAnswer.hold)
    client = Client(services(None), old=old)
    run = harness.run(script)
    task = asyncio.ensure_future(serve(client, harness, run))
    await script.reached.wait()
    await ticks()
    client.gone.set()
    with pytest.raises(ClientGone):
        async with asyncio.timeout(3):
            await task
    await run.wait()
    assert (harness.store.outcomes, client.aborted) == (["disconnected"], False)


@pytest.mark.parametrize("old", [True, False])
async def test_a_client_that_leaves_while_it_is_sent_to(old: bool) -> None:
    """ASGI 2.3 swallows the send, 2.4 raises; either way it is a client that left."""
    harness, script = RunHarness(), ScriptedAnswer("a", ScriptedAnswer.hold)
    client = Client(services(None), old=old)
    run = harness.run(script)
    task = asyncio.ensure_future(serve(client, harness, run))
    await client.until(lambda data: b"token" in data)
    client.stuck = asyncio.Event()
    run.emit([text("b")])
    await ticks()
    client.gone.set()
    client.stuck.set()
    with pytest.raises(ClientGone):
        async with asyncio.timeout(3):
            await task
    await run.wait()
    assert harness.store.outcomes == ["disconnected"]
    assert answer_of(run) == "ab"


async def test_a_send_that_raises_first_is_a_client_that_left() -> None:
    """ASGI 2.4, before `receive` has said so."""
    harness, script = RunHarness(), ScriptedAnswer("a", ScriptedAnswer.hold)

    class Leaving(Client):
        async def send(self, message: Any) -> None:
            raise OSError("the client left")

    client = Leaving(services(None), old=False)
    run = harness.run(script)
    with pytest.raises(ClientGone):
        await serve(client, harness, run)
    await run.wait()
    assert harness.store.outcomes == ["disconnected"]


async def test_an_idle_stream_gets_heartbeats() -> None:
    """Comments while nothing comes."""
    harness, script = RunHarness(heartbeat_s=10), ScriptedAnswer(ScriptedAnswer.hold, "a")
    client = Client(services(None))
    run = harness.run(script)
    with jumping():
        sweeps = asyncio.create_task(harness.runs.sweep_forever())
        task = asyncio.ensure_future(serve(client, harness, run))
        await client.until(lambda data: data.count(b": heartbeat\n") == 2)
        script.go.set()
        await task
        sweeps.cancel()
        await asyncio.wait([sweeps])
    assert events(client.data)[-1]["type"] == "done"


async def test_a_reader_that_is_behind_gets_merged_tokens() -> None:
    """With the last one's id; the merges are counted."""
    harness, script = RunHarness(), ScriptedAnswer("a", ScriptedAnswer.hold, "b", "c", "d")
    client = Client(services(None))
    run = harness.run(script)
    task = asyncio.ensure_future(serve(client, harness, run))
    await client.until(lambda data: b"token" in data)
    script.go.set()
    await task
    tokens = [event["content"] for event in events(client.data) if event["type"] == "token"]
    assert tokens == ["a", "bcd"]
    assert b"id: 5\n" in client.data
    assert client.request.services.metrics.registry.get_sample_value("gateway_stream_merges_total") == 2


async def test_the_raw_stream_holds_its_head_for_the_first_frame() -> None:
    """Then frames as they came, and the end."""
    harness = RunHarness()
    client = Client(services(None), path="/v1/chat/completions")
    run = harness.run(sent_raw(b"one", b"two", b"three"))
    reader = harness.attach(run, raw=True)
    await stream(client.request, reader, Raw())
    assert client.data == b"onetwothreeEND Done"
    assert client.request.services.metrics.registry.get_sample_value("gateway_stream_merges_total") == 2


async def test_a_failure_before_the_first_frame_is_an_http_error() -> None:
    """Nothing was sent yet."""
    harness = RunHarness()
    client = Client(services(None))
    run = harness.run(ScriptedAnswer(ProviderBusy("Busy.", retry_after=3)))
    reader = harness.attach(run, raw=True)
    with pytest.raises(GatewayError) as caught:
        await stream(client.request, reader, Raw())
    assert (caught.value.status, caught.value.retry_after, caught.value.retryable) == (429, 3, True)
    assert client.sent == []


async def test_a_failure_after_a_heartbeat_or_a_frame_is_in_the_stream() -> None:
    """The head is out."""
    harness = RunHarness(heartbeat_s=1)
    script = ScriptedAnswer(ScriptedAnswer.hold, ProviderBusy("Busy."))
    client = Client(services(None))
    run = harness.run(script)
    reader = harness.attach(run, raw=True)
    task = asyncio.ensure_future(stream(client.request, reader, Raw()))
    await until(lambda: reader.waiting)
    harness.runs.sweep(asyncio.get_running_loop().time() + 2)
    await client.until(lambda data: data == b": heartbeat\n")
    script.go.set()
    await task
    assert client.data == b": heartbeat\nEND Failed"


@pytest.mark.parametrize("raw", [True, False])
async def test_a_plain_answer_waits_for_the_end(raw: bool) -> None:
    """And holds nobody up meanwhile."""
    harness = RunHarness(max_buffer_bytes=1)
    client = Client(services(None))
    run = harness.run(sent_raw(b"one", b"two"))
    reader = harness.attach(run, raw=raw)
    terminal, body = await whole(client.request, reader)
    assert isinstance(terminal, Done)
    assert body == (b"onetwo" if raw else b"")
    assert reader.unsent == 0


async def test_a_plain_answer_that_is_there_already() -> None:
    """The log was closed before the wait began: nothing of it is lost."""
    harness = RunHarness()
    run = harness.run(sent_raw(b"whole"))
    reader = harness.attach(run, raw=True)
    await run.wait()
    assert (await whole(Client(services(None)).request, reader))[1] == b"whole"


async def test_a_plain_answer_whose_client_leaves() -> None:
    """Nobody to answer."""
    harness, script = RunHarness(), ScriptedAnswer(ScriptedAnswer.hold)
    client = Client(services(None))
    run = harness.run(script)
    reader = harness.attach(run)
    task = asyncio.ensure_future(whole(client.request, reader))
    await script.reached.wait()
    client.gone.set()
    with pytest.raises(ClientGone):
        await task
    run.cancel(Outcome.STOPPED)
    await run.wait()


async def test_a_plain_answer_that_fails() -> None:
    """As the error that it is."""
    harness = RunHarness()
    run = harness.run(ScriptedAnswer(StoreUnavailable("odd", retry_after=1)))
    with pytest.raises(GatewayError) as caught:
        await whole(Client(services(None)).request, harness.attach(run))
    assert (caught.value.code, caught.value.status) == ("store_unavailable", 503)
