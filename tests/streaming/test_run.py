"""A Run: every way to end, one terminal event each, and the record before it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.domain.events import ChoiceDelta, Done, Failed
from gateway.domain.trace import Outcome
from gateway.errors import GatewayError, NotFound, ProviderBusy, ProviderError, ProviderTimeout, StoreUnavailable
from tests.support.clock import jumping, ticks, until
from tests.support.runs import RunHarness, ScriptedAnswer, answer_of, finished


async def test_complete() -> None:
    """The provider finished: its reason, the record first, then done."""
    harness = RunHarness()
    run = harness.run(ScriptedAnswer("Hel", "lo", finished("length")))
    reader = harness.attach(run)
    await run.wait()
    assert harness.store.outcomes == ["complete"]
    [*_, (position, done)] = reader.read()
    assert isinstance(done, Done)
    assert (position, done.finish_reason, done.trace_id) == (7, "length", run.trace_id)
    assert run.end is not None
    assert run.end.response_preview == "Hello"
    assert harness.finished == [run]


@pytest.mark.parametrize("policy", ["cancel", "drain"])
async def test_clients_gone(policy: str) -> None:
    """Policy cancel ends the call as disconnected; policy drain lets it finish as drained."""
    harness = RunHarness(disconnect=policy)
    script = ScriptedAnswer("Hel", ScriptedAnswer.hold, "lo", finished())
    run = harness.run(script)
    reader = harness.attach(run)
    await script.reached.wait()
    harness.detach(reader)
    script.go.set()
    await run.wait()
    assert script.cancelled == (policy == "cancel")
    assert harness.store.outcomes == ["disconnected" if policy == "cancel" else "drained"]
    assert answer_of(run) == ("Hel" if policy == "cancel" else "Hello")
    assert isinstance(run.log.closed, Done)
    assert run.log.closed.finish_reason == ("disconnected" if policy == "cancel" else "stop")


async def test_a_client_that_comes_back_within_the_grace() -> None:
    """The call goes on; only the last one to leave starts the grace, and its end cancels."""
    harness = RunHarness()
    script = ScriptedAnswer("a", ScriptedAnswer.hold, "b")
    with jumping():
        run = harness.run(script, grace_s=5)
        first, second = harness.attach(run), harness.attach(run)
        await script.reached.wait()
        harness.detach(first)
        harness.detach(second)
        await asyncio.sleep(4)
        third = harness.attach(run, after=1)
        await asyncio.sleep(60)
        assert not run.finished
        harness.detach(third)
        await asyncio.sleep(6)
        await run.wait()
    assert harness.store.outcomes == ["disconnected"]


async def test_a_grace_that_outlives_the_answer_changes_nothing() -> None:
    """The provider finished first."""
    harness = RunHarness()
    script = ScriptedAnswer("a", ScriptedAnswer.hold)
    run = harness.run(script, grace_s=0.01)
    harness.detach(harness.attach(run))
    await script.reached.wait()
    script.go.set()
    await run.wait()
    await asyncio.sleep(0.02)
    assert harness.store.outcomes == ["complete"]


async def test_stopped_before_the_first_step() -> None:
    """The provider is not called at all."""
    harness = RunHarness()
    script = ScriptedAnswer("never")
    run = harness.run(script)
    run.cancel(Outcome.STOPPED)
    await run.wait()
    assert (harness.store.outcomes, answer_of(run)) == (["stopped"], "")
    assert isinstance(run.log.closed, Done)
    assert run.log.closed.finish_reason == "stopped"


async def test_stopped_amid_the_answer() -> None:
    """The text so far is stored; a second reason to end changes nothing."""
    harness = RunHarness()
    script = ScriptedAnswer("so far", ScriptedAnswer.hold)
    run = harness.run(script)
    await script.reached.wait()
    run.cancel(Outcome.STOPPED)
    run.cancel(Outcome.INTERRUPTED)
    await run.wait()
    assert script.cancelled
    assert (harness.store.outcomes, harness.store.ended[0].response_preview) == (["stopped"], "so far")


async def test_stopped_after_the_end() -> None:
    """Too late: while the record is being written, and after."""
    harness = RunHarness()
    run = harness.run(ScriptedAnswer("all"))
    await run.begin_committed
    harness.store.gate.clear()
    await until(lambda: run.finished)
    run.cancel(Outcome.STOPPED)
    await ticks()
    harness.store.gate.set()
    await run.wait()
    run.cancel(Outcome.STOPPED)
    assert harness.store.outcomes == ["complete"]


@pytest.mark.parametrize(
    ("error", "outcome", "code", "status"),
    [
        (ProviderError("Broke."), "upstream_error", "upstream_error", 502),
        (ProviderBusy("Busy.", retry_after=3), "upstream_error", "upstream_rate_limited", 429),
        (ProviderTimeout("Late."), "timeout", "upstream_timeout", 504),
        (KeyError("oops"), "upstream_error", "internal_error", 500),
    ],
)
async def test_failures(error: Exception, outcome: str, code: str, status: int) -> None:
    """An error event after the text so far; our own mistakes say no more than that."""
    harness = RunHarness()
    run = harness.run(ScriptedAnswer("so far", error))
    await run.wait()
    assert harness.store.outcomes == [outcome]
    failed = run.log.closed
    assert isinstance(failed, Failed)
    assert (failed.code, failed.status, answer_of(run)) == (code, status, "so far")
    assert "oops" not in failed.error
    assert failed.retry_after == (3 if isinstance(error, ProviderBusy) else None)


async def test_too_long() -> None:
    """`max_answer_bytes` passed: the text so far stays."""
    harness = RunHarness(max_answer_bytes=4)
    run = harness.run(ScriptedAnswer("abc", "de", "never"))
    await run.wait()
    assert (harness.store.outcomes, answer_of(run)) == (["too_long"], "abcde")
    assert isinstance(run.log.closed, Failed)
    assert (run.log.closed.code, run.log.closed.retryable) == ("answer_too_long", False)


async def test_the_text_of_other_choices_counts_too() -> None:
    """It is no part of the log, but it is kept all the same."""
    harness = RunHarness(max_answer_bytes=4)
    run = harness.run(ScriptedAnswer("ab", ChoiceDelta(1, "text", "c"), ChoiceDelta(2, "text", "de"), "never"))
    await run.wait()
    assert (harness.store.outcomes, answer_of(run)) == (["too_long"], "ab")


async def test_interrupted() -> None:
    """The server shuts down: an error that may be tried again."""
    harness = RunHarness()
    script = ScriptedAnswer("so far", ScriptedAnswer.hold)
    run = harness.run(script)
    await script.reached.wait()
    run.cancel(Outcome.INTERRUPTED)
    await run.wait()
    failed = run.log.closed
    assert isinstance(failed, Failed)
    assert (failed.code, failed.retryable, failed.status) == ("server_shutdown", True, 503)
    assert harness.store.outcomes == ["interrupted"]


async def test_a_task_cancelled_from_outside_is_interrupted() -> None:
    """As when the loop is torn down."""
    harness = RunHarness()
    script = ScriptedAnswer("a", ScriptedAnswer.hold)
    run = harness.run(script)
    await script.reached.wait()
    run.task.cancel()
    await run.wait()
    assert harness.store.outcomes == ["interrupted"]


@pytest.mark.parametrize("error", [StoreUnavailable("Full."), NotFound("Somebody else's session.")])
@pytest.mark.parametrize("steps", [(), (ScriptedAnswer.hold,)])
async def test_a_begin_row_that_fails(error: GatewayError, steps: tuple[Any, ...]) -> None:
    """The provider call is cancelled and nothing is recorded; whoever waits gets the store's error."""
    harness = RunHarness()
    harness.store.fail = [error]
    script = ScriptedAnswer("secret", *steps)
    run = harness.run(script)
    reader = harness.attach(run)
    with pytest.raises(type(error)):
        await asyncio.shield(run.begin_committed)
    await run.wait()
    assert script.cancelled == bool(steps)
    assert (harness.store.ended, run.end) == ([], None)
    assert isinstance(run.log.closed, Failed)
    assert run.log.closed.code == error.code
    assert harness.finished == [run]
    assert harness.runs.get(run.trace_id) is None
    harness.detach(reader)


async def test_back_pressure() -> None:
    """A crowded run is not read on until its slowest reader has sent on what it held."""
    harness = RunHarness(max_buffer_bytes=3)
    held = asyncio.Event()

    async def answer(run: Any) -> None:
        await ScriptedAnswer("abcd")(run)
        assert run.over_high_water
        held.set()
        await run.drain()
        assert not run.over_high_water
        await ScriptedAnswer("e")(run)

    run = harness.run(answer)
    reader = harness.attach(run)
    await held.wait()
    await ticks()
    assert answer_of(run) == "abcd"
    reader.read()
    reader.sent()
    await run.wait()
    assert answer_of(run) == "abcde"
    assert harness.store.outcomes == ["complete"]
