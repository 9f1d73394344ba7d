"""The spine: ask, resume, stop, continue. The store is a double; the router, the provider and the runs are real."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import msgspec
import pytest

from gateway.access.limits import Limits
from gateway.access.principal import KEYLESS, Principal
from gateway.access.tokens import Tokens
from gateway.chat import Chat
from gateway.config.current import Current
from gateway.config.schema import Capture, Config
from gateway.domain import ids
from gateway.domain.activity import ChatActivity
from gateway.domain.answer import Part
from gateway.domain.events import Done, Failed, Started
from gateway.domain.messages import ChatRequest, Usage
from gateway.domain.trace import Outcome, State, Trace, TraceEnd
from gateway.errors import (
    AnswerTooLong,
    GatewayError,
    NotFound,
    ProviderBusy,
    ProviderError,
    ProviderRefused,
    ProviderTimeout,
    StoreUnavailable,
    Unavailable,
)
from gateway.providers.demo import DemoProvider
from gateway.providers.router import Router
from gateway.storage.scripts.traces import Session
from gateway.streaming.ending import Ending
from gateway.streaming.log import EventLog
from gateway.streaming.recorder import Recorder
from gateway.streaming.run import Run
from gateway.streaming.stored import replay, stored_parts
from gateway.wire import native
from tests.support.rows import a_start
from tests.support.runs import FakeStore, RunHarness, ScriptedAnswer

TOKENS = Tokens(["k"], 60)
OTHER = Principal("key-2", "chat", "default", "other")


class Spine:
    def __init__(self, content: Any = "full") -> None:
        config = Config(capture=Capture(content=content))
        self.harness = RunHarness()
        self.store = cast(Any, self.harness.store)
        self.finished: list[tuple[ChatActivity, TraceEnd]] = []
        current = Current(config)
        self.chat = Chat(
            current,
            lambda config: Router(config, {"demo": DemoProvider()}, lambda *_: None, lambda _: None),
            self.store,
            self.harness.runs,
            lambda *what: self.finished.append(what),
            TOKENS,
            Limits(current),
        )

    async def start(self, principal: Principal = KEYLESS, **fields: Any) -> Run:
        body = {"model": "demo/lorem-3-0ms", "message": "Hi", **fields}
        request = native.decode_chat(json.dumps(body).encode(), "/chat/stream")
        return await self.chat.start(principal, request, resumable=True)

    async def resumed(self, trace_id: str, principal: Principal = KEYLESS, after: int = 0) -> Any:
        """What a reader gets at once that comes back; None where there is nothing to resume."""
        async with self.chat.resume(principal, trace_id, after) as reader:
            return None if reader is None else reader.read()

    async def whole(self, **fields: Any) -> Run:
        run = await self.start(**fields)
        await run.wait()
        return run


def a_trace(**over: Any) -> Trace:
    fields: dict[str, Any] = {name: None for name in Trace.__struct_fields__}
    fields |= {
        "trace_id": ids.new_trace_id(), "project": "default", "route": "/chat", "state": State.OK,
        "outcome": Outcome.COMPLETE, "request_time": 1, "model": "m", "session_id": "s", "usage": Usage(1, 2, 3),
        "request": '[{"role":"user","content":"Q"}]', "response": '[{"role":"assistant","content":"A"}]',
        "finish_reason": "stop", "duration_ms": 5, "end_time": ids.now_ms(), "tags": {}, "metadata": {},
    }  # fmt: skip
    return Trace(**(fields | over))


def keep(store: FakeStore, *traces: Trace, user: str | None = None) -> None:
    for trace in traces:
        store.traces[trace.trace_id] = trace
        store.sessions[trace.session_id] = Session(trace.session_id, "default", user)


def asked(spine: Spine) -> Any:
    """The messages of the newest trace."""
    return json.loads(spine.store.begun[-1].request)


async def test_a_chat_from_start_to_record() -> None:
    """The row first, the answer, the final record, and whoever listens hears of it."""
    spine = Spine()
    run = await spine.whole(session_id="s1", user_id="ann", tags={"a": "b"}, client_request_id="r")
    [start] = spine.store.begun
    assert (start.trace_id, start.model, start.session_id, start.user_id) == (
        run.trace_id, "demo/lorem-3-0ms", "s1", "ann",
    )  # fmt: skip
    assert (start.request_preview, start.config_hash, start.tags) == ("Hi", spine.chat.settings.config_hash, {"a": "b"})
    [(record, end)] = spine.finished
    assert (record.outcome, record.attempts, record.provider, record.preview) == ("complete", 1, "demo", "Hi")
    assert record.tokens == (end.usage.total_tokens if end.usage else None)
    assert spine.store.ended == [end]


@pytest.mark.parametrize(("content", "shown", "whole"), [("preview", "Hi", False), ("none", None, False)])
async def test_what_is_stored_of_the_question(content: str, shown: str | None, whole: bool) -> None:
    """By `[capture] content`."""
    spine = Spine(content)
    await spine.whole()
    [start] = spine.store.begun
    assert (start.request_preview, start.request is not None) == (shown, whole)


async def test_an_unknown_model_gets_no_trace() -> None:
    """Nothing is begun."""
    spine = Spine()
    with pytest.raises(NotFound):
        await spine.start(model="nobody/nothing")
    assert (spine.store.begun, spine.harness.runs.running) == ([], {})


async def test_no_chat_begins_while_the_server_drains() -> None:
    """503."""
    spine = Spine()
    spine.harness.runs.draining = True
    with pytest.raises(Unavailable):
        await spine.start()
    assert spine.store.begun == []


async def test_a_row_that_fails_tells_nobody_of_a_chat() -> None:
    """There is no record to tell of."""
    spine = Spine()
    spine.store.fail = [StoreUnavailable("Full.")]
    run = await spine.whole()
    assert isinstance(run.begin_committed.exception(), StoreUnavailable)
    assert spine.finished == []


@pytest.mark.parametrize("model", ["demo/lorem-3-0ms", "demo/none"])
async def test_a_large_question_is_let_go(model: str) -> None:
    """When its answer begins, or at the end of one that never does; the row has it."""
    spine = Spine()
    questions: list[dict[str, Any]] = []
    keep_it = spine.chat.limits.memory.keep

    def keep(request: ChatRequest) -> ChatRequest:
        kept = keep_it(request)
        questions.append(kept.fields)
        return kept

    spine.chat.limits.memory.keep = keep  # type: ignore[method-assign]
    run = await spine.start(model=model, message="x" * 100_000)
    assert questions[0]
    await run.wait()
    assert questions == [{}]
    assert asked(spine)[0]["content"] == "x" * 100_000


async def test_no_room_for_a_large_question() -> None:
    """Nothing is begun, and nothing counted: neither the question nor the stream."""
    spine = Spine()
    memory = spine.chat.limits.memory
    memory.take(512 * 2**20)
    with pytest.raises(Unavailable):
        await spine.start(message="x" * 100_000)
    memory.give_back(512 * 2**20)
    spine.harness.runs.draining = True
    with pytest.raises(Unavailable):
        await spine.start(message="x" * 100_000)
    assert (spine.chat.limits.open, spine.harness.runs.running) == (0, {})
    memory.take(512 * 2**20)
    memory.give_back(512 * 2**20)


async def test_a_stream_is_resumed_by_its_owner_only() -> None:
    """While it runs, while it is kept, and from the store."""
    spine = Spine()
    run = await spine.start()
    with pytest.raises(NotFound):
        await spine.resumed(run.trace_id, OTHER)
    assert (await spine.resumed(run.trace_id))[0] == (1, run.log.started)
    await run.wait()
    assert await spine.resumed(run.trace_id) == run.log.read(run.log.seek(0))
    with pytest.raises(NotFound):
        await spine.resumed(run.trace_id, OTHER)
    stored, old = a_trace(), a_trace(end_time=ids.now_ms() - 301_000)
    keep(spine.store, stored, old)
    assert await spine.resumed(old.trace_id) is None  # resume_window_s has passed
    [started, text, done] = await spine.resumed(stored.trace_id) or []
    assert (started[0], text[0], done[0]) == (1, 2, 3)
    for principal, trace_id in ((OTHER, stored.trace_id), (KEYLESS, "tr-unknown")):
        with pytest.raises(NotFound):
            await spine.resumed(trace_id, principal)


async def test_what_was_had_is_nothing_to_resume() -> None:
    """Beyond the terminal event nothing comes; before it that does."""
    spine = Spine()
    run = await spine.whole()
    assert await spine.resumed(run.trace_id, after=run.log.end) is None
    assert await spine.resumed(run.trace_id, after=run.log.end - 1) == [(run.log.end, run.log.closed)]


async def test_who_asked_reads_until_the_block_ends() -> None:
    """Then the client has left, which ends what can't be resumed."""
    spine = Spine()
    body = {"model": "demo/lorem-1000-50ms", "message": "Hi"}
    request = native.decode_chat(json.dumps(body).encode(), "/chat")
    async with spine.chat.ask(KEYLESS, request) as reader:
        await reader.ready()
        assert reader.read()[0] == (1, reader.log.started)
        assert spine.harness.runs.following == 1
    await spine.harness.runs.running[reader.trace_id].wait()
    assert spine.store.outcomes == ["disconnected"]


async def test_a_sessions_running_answer() -> None:
    """Is read from its beginning, and stopped, by its user only; once it is over there is none."""
    spine = Spine()
    run = await spine.start(session_id="s1", user_id="ann", model="demo/lorem-1000-50ms")
    spine.store.sessions["s1"] = Session("s1", "default", "ann")
    with pytest.raises(NotFound):
        await spine.chat.stop_session(KEYLESS, "s1", "bob")
    async with spine.chat.resume_session(KEYLESS, "s1", "ann") as reader:
        assert reader is not None
        assert reader.trace_id == run.trace_id
    assert await spine.chat.stop_session(OTHER, "s1", "ann") is None
    assert await spine.chat.stop_session(KEYLESS, "s1", "ann") == (run.trace_id, "stopped")
    assert await spine.chat.stop_session(KEYLESS, "s1", "ann") is None
    async with spine.chat.resume_session(KEYLESS, "s1", "ann") as reader:
        assert reader is None


async def test_stop() -> None:
    """Ends the call, waits for the record, and says the outcome, whatever it is."""
    spine = Spine()
    run = await spine.start(model="demo/lorem-1000-50ms")
    await asyncio.sleep(0)
    assert await spine.chat.stop(KEYLESS, run.trace_id) == "stopped"
    assert spine.store.outcomes == ["stopped"]
    done = a_trace()
    running = a_trace(outcome=None, response=None)
    keep(spine.store, done, running)
    assert await spine.chat.stop(KEYLESS, done.trace_id) == "complete"
    with pytest.raises(NotFound):
        await spine.chat.stop(KEYLESS, running.trace_id)


async def test_stopping_what_was_never_recorded() -> None:
    """The begin row failed meanwhile: there is no such stream."""
    spine = Spine()
    spine.store.gate.clear()
    run = await spine.start(model="demo/lorem-1000-50ms")
    spine.store.fail = [StoreUnavailable("Full.")]
    stop = asyncio.ensure_future(spine.chat.stop(KEYLESS, run.trace_id))
    await asyncio.sleep(0)
    spine.store.gate.set()
    with pytest.raises(NotFound):
        await stop


def test_a_stored_answer_is_replayed_with_its_end() -> None:
    """Done, with the times and usage that it had."""
    log = replay(a_trace(first_token_ms=2), "t")
    assert log is not None
    assert log.parts() == [("text", "A")]
    assert isinstance(log.closed, Done)
    assert (log.closed.finish_reason, log.closed.total_ms, log.closed.first_token_ms) == ("stop", 5, 2)


@pytest.mark.parametrize(
    "error",
    [None, ProviderError("Y."), ProviderBusy("Y."), ProviderTimeout("Y."), ProviderRefused("Y.", status=400),
     AnswerTooLong("Y."), GatewayError("Y.")],
)  # fmt: skip
async def test_a_stored_failure_is_replayed_as_it_was(error: GatewayError | None) -> None:
    """With its words, its code, and whether trying again may help."""
    spine = Spine()
    harness = RunHarness()
    script = ScriptedAnswer(error) if error else ScriptedAnswer(ScriptedAnswer.hold)
    run = harness.run(script)
    if error is None:
        await script.reached.wait()
        run.cancel(Outcome.INTERRUPTED)
    await run.wait()
    [end] = harness.store.ended
    live = run.log.closed
    stored = a_trace(outcome=end.outcome, state=State.ERROR, error_code=end.error_code, error_message=end.error_message)
    keep(spine.store, stored)
    [*_, (_, again)] = await spine.resumed(stored.trace_id) or []
    assert isinstance(live, Failed)
    assert isinstance(again, Failed)
    assert (again.code, again.error, again.retryable) == (live.code, live.error, live.retryable)


def test_a_stored_failure_without_words() -> None:
    """It has some all the same."""
    log = replay(a_trace(outcome=Outcome.UPSTREAM_ERROR, state=State.ERROR), "t")
    assert log is not None
    assert isinstance(log.closed, Failed)
    assert (log.closed.code, log.closed.error, log.closed.retryable) == ("upstream_error", "The answer failed.", True)


@pytest.mark.parametrize("over", [{"outcome": None}, {"response": None}])
def test_what_is_not_stored_cannot_be_replayed(over: dict[str, Any]) -> None:
    """It still runs elsewhere, or its content is gone."""
    assert replay(a_trace(**over), "t") is None


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [("text", "Hé😀")],
        [("reasoning", "hm")],
        [("reasoning", "hm"), ("text", "Hi"), ("tool_call", {"id": "c", "index": 0}), ("text", "!")],
        [("tool_call", {"id": "c"}), ("tool_call", {"id": "d"})],
        [("other", {"content": [{"type": "x"}]}), ("reasoning:", "hm"), ("other", {"refusal": "No"})],
    ],
)
def test_a_stored_answer_has_the_positions_that_it_had(parts: list[Part]) -> None:
    """From the running log through the final record into the log made again, in each form that is stored."""
    live = EventLog(Started("tr-1", "s", "m"))
    live.restore(parts)
    end = Recorder(a_start(), [], "full").end(Ending(Outcome.COMPLETE), live.parts())
    log = replay(a_trace(response=end.response, parts=end.parts), "t")
    assert log is not None
    assert (log.position, log.parts()) == (live.position, live.parts())


def test_stored_parts() -> None:
    """In their order where they are kept; else the one text that there is."""
    parts: list[tuple[str, Any]] = [("text", "a"), ("tool_call", {"id": "c"})]
    assert stored_parts(a_trace(parts=msgspec.json.encode(parts).decode())) == parts
    assert stored_parts(a_trace(response=None)) == []
    assert stored_parts(a_trace(response='[{"content":null}]')) == []
