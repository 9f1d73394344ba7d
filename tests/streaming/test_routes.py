"""The chat routes over the spine, with a client made by hand."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from gateway.domain import ids
from gateway.errors import GatewayError, NotFound, StoreUnavailable
from gateway.web import chat as routes
from tests.support.asgi import Client, events, services
from tests.support.clock import ticks
from tests.support.runs import ScriptedAnswer
from tests.test_chat import Spine, a_trace, keep


async def test_chat_stream_and_its_resume() -> None:
    """GET after the end gives what came after the id, and 204 once there is nothing left."""
    spine = Spine()
    first = Client(services(spine.chat), body={"model": "demo/lorem-3-0ms", "message": "Hi"})
    await routes.chat_stream(first.request)
    trace_id = events(first.data)[0]["trace_id"]
    assert dict(first.head["headers"])[b"x-trace-id"] == trace_id.encode()
    last = int(first.data.rsplit(b"id: ", 1)[1].split(b"\n")[0])
    for after, kinds in ((0, ["start", "token", "done"]), (3, ["token", "done"]), (last - 1, ["done"])):
        again = resumed(spine, trace_id, query=f"after={after}")
        await routes.resume(again.request)
        assert [event["type"] for event in events(again.data)] == kinds
    nothing = resumed(spine, trace_id, header=str(last))
    await routes.resume(nothing.request)
    assert nothing.head["status"] == 204


async def test_resuming_a_running_stream() -> None:
    """What came before, then live; and an id beyond the end still gets the end."""
    spine = Spine()
    harness, script = spine.harness, ScriptedAnswer("Hel", ScriptedAnswer.hold, "lo")
    run = harness.run(script, grace_s=5)
    harness.attach(run)
    await script.reached.wait()
    clients = [resumed(spine, run.trace_id, query=f"after={after}") for after in (0, 2, 99)]
    tasks = [asyncio.ensure_future(routes.resume(client.request)) for client in clients]
    await ticks()
    script.go.set()
    await asyncio.gather(*tasks)
    said = ["".join(event.get("content", "") for event in events(client.data)) for client in clients]
    assert said == ["Hello", "ello", "lo"]
    assert all(events(client.data)[-1]["type"] == "done" for client in clients)


async def test_resuming_from_the_store() -> None:
    """After a restart: the log made again."""
    spine = Spine()
    trace, gone = a_trace(), a_trace(response=None)
    old = a_trace(end_time=ids.now_ms() - 301_000)
    keep(spine.store, trace, gone, old)
    client = resumed(spine, trace.trace_id)
    await routes.resume(client.request)
    assert [event.get("content") for event in events(client.data)] == [None, "A", None]
    for one in (gone, old):  # its content isn't stored, or resume_window_s has passed
        nothing = resumed(spine, one.trace_id)
        await routes.resume(nothing.request)
        assert nothing.head["status"] == 204


async def test_the_last_event_id_goes_before_the_query() -> None:
    """An EventSource that reconnects advances only the header; an empty one is none."""
    spine = Spine()
    trace = a_trace()
    keep(spine.store, trace)
    for header, kinds in (("2", ["done"]), ("", ["start", "token", "done"])):
        client = resumed(spine, trace.trace_id, query="after=0", header=header)
        client.request.raw_headers.append((b"x-last", b""))
        await routes.resume(client.request)
        assert [event["type"] for event in events(client.data)] == kinds


@pytest.mark.parametrize("query", ["after=x", "after=-1", "after=" + "9" * 16, "after=%D9%A1"])
async def test_a_bad_position_is_refused(query: str) -> None:
    """422."""
    client = resumed(Spine(), "tr-" + "0" * 32, query=query)
    with pytest.raises(GatewayError, match="after"):
        await routes.resume(client.request)


@pytest.mark.parametrize("route", [routes.resume, routes.stop])
async def test_a_trace_that_never_was(route: Any) -> None:
    """404; a wrong form is 422."""
    for trace_id, status in (("tr-" + "0" * 32, 404), ("nonsense", 422)):
        with pytest.raises(GatewayError) as caught:
            await route(resumed(Spine(), trace_id).request)
        assert caught.value.status == status


async def test_a_row_that_fails_is_503_before_any_byte() -> None:
    """And nobody reads on."""
    spine = Spine()
    spine.store.fail = [StoreUnavailable("Full.")]
    client = Client(services(spine.chat), body={"model": "demo/lorem-1000-50ms", "message": "Hi"})
    with pytest.raises(StoreUnavailable):
        await routes.chat_stream(client.request)
    await ticks()
    assert (client.sent, client.request.trace_id, spine.harness.runs.running) == ([], None, {})
    with pytest.raises(NotFound):
        await routes.chat_stream(Client(services(spine.chat), body={"model": "none", "message": "Hi"}).request)


async def test_plain_chat() -> None:
    """The whole answer, with its trace."""
    spine = Spine()
    client = Client(services(spine.chat), body={"model": "demo/lorem-3-0ms", "message": "Hi"}, path="/chat")
    await routes.chat(client.request)
    reply = json.loads(client.data)
    assert (reply["finish_reason"], reply["trace_id"]) == ("stop", spine.store.ended[0].trace_id)
    assert reply["response"]


def resumed(spine: Spine, trace_id: str, *, query: str = "", header: str = "") -> Client:
    client = Client(services(spine.chat))
    client.request.scope["path_params"] = {"trace_id": trace_id}
    client.request.scope["query_string"] = query.encode()
    if header:
        client.request.raw_headers.append((b"last-event-id", header.encode()))
    return client
