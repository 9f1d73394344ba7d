"""A Run: every way to end, one terminal event each, and the record before it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.domain.events import ChoiceDelta, Done, Failed
from gateway.domain.trace import Outcome
from gateway.errors import GatewayError, NotFound, ProviderBusy, ProviderError, ProviderTimeout, StoreUnavailable
from tests.support.clock import jumping, ticks, until
from tests.support.runs import Rig, Says, answer_of, finished


async def test_complete() -> None:
    """The provider finished: its reason, the record first, then done."""
    rig = Rig()
    run = rig.run(Says("Hel", "lo", finished("length")))
    reader = rig.attach(run)
    await run.wait()
    assert rig.store.outcomes == ["complete"]
    [*_, (position, done)] = reader.read()
    assert isinstance(done, Done)
    assert (position, done.finish_reason, done.trace_id) == (7, "length", run.trace_id)
    assert run.end is not None
    assert run.end.response_preview == "Hello"
    assert rig.finished == [run]


@pytest.mark.parametrize("policy", ["cancel", "drain"])
async def test_clients_gone(policy: str) -> None:
    """Policy cancel ends the call as disconnected; policy drain lets it finish as drained."""
    rig = Rig(disconnect=policy)
    says = Says("Hel", Says.hold, "lo", finished())
    run = rig.run(says)
    reader = rig.attach(run)
    await says.reached.wait()
    rig.detach(reader)
    says.go.set()
    await run.wait()
    assert says.cancelled == (policy == "cancel")
    assert rig.store.outcomes == ["disconnected" if policy == "cancel" else "drained"]
    assert answer_of(run) == ("Hel" if policy == "cancel" else "Hello")
    assert isinstance(run.log.closed, Done)
    assert run.log.closed.finish_reason == ("disconnected" if policy == "cancel" else "stop")


async def test_a_client_that_comes_back_within_the_grace() -> None:
    """The call goes on; only the last one to leave starts the grace, and its end cancels."""
    rig = Rig()
    says = Says("a", Says.hold, "b")
    with jumping():
        run = rig.run(says, grace_s=5)
        first, second = rig.attach(run), rig.attach(run)
        await says.reached.wait()
        rig.detach(first)
        rig.detach(second)
        await asyncio.sleep(4)
        third = rig.attach(run, after=1)
        await asyncio.sleep(60)
        assert not run.finished
        rig.detach(third)
        await asyncio.sleep(6)
        await run.wait()
    assert rig.store.outcomes == ["disconnected"]


async def test_a_grace_that_outlives_the_answer_changes_nothing() -> None:
    """The provider finished first."""
    rig = Rig()
    says = Says("a", Says.hold)
    run = rig.run(says, grace_s=0.01)
    rig.detach(rig.attach(run))
    await says.reached.wait()
    says.go.set()
    await run.wait()
    await asyncio.sleep(0.02)
    assert rig.store.outcomes == ["complete"]


async def test_stopped_before_the_first_step() -> None:
    """The provider is not called at all."""
    rig = Rig()
    says = Says("never")
    run = rig.run(says)
    run.cancel(Outcome.STOPPED)
    await run.wait()
    assert (rig.store.outcomes, answer_of(run)) == (["stopped"], "")
    assert isinstance(run.log.closed, Done)
    assert run.log.closed.finish_reason == "stopped"


async def test_stopped_amid_the_answer() -> None:
    """The text so far is stored; a second reason to end changes nothing."""
    rig = Rig()
    says = Says("so far", Says.hold)
    run = rig.run(says)
    await says.reached.wait()
    run.cancel(Outcome.STOPPED)
    run.cancel(Outcome.INTERRUPTED)
    await run.wait()
    assert says.cancelled
    assert (rig.store.outcomes, rig.store.ended[0].response_preview) == (["stopped"], "so far")


async def test_stopped_after_the_end() -> None:
    """Too late: while the record is being written, and after."""
    rig = Rig()
    run = rig.run(Says("all"))
    await run.begin_committed
    rig.store.gate.clear()
    await until(lambda: run.finished)
    run.cancel(Outcome.STOPPED)
    await ticks()
    rig.store.gate.set()
    await run.wait()
    run.cancel(Outcome.STOPPED)
    assert rig.store.outcomes == ["complete"]


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
    rig = Rig()
    run = rig.run(Says("so far", error))
    await run.wait()
    assert rig.store.outcomes == [outcome]
    failed = run.log.closed
    assert isinstance(failed, Failed)
    assert (failed.code, failed.status, answer_of(run)) == (code, status, "so far")
    assert "oops" not in failed.error
    assert failed.retry_after == (3 if isinstance(error, ProviderBusy) else None)


async def test_too_long() -> None:
    """`max_answer_bytes` passed: the text so far stays."""
    rig = Rig(max_answer_bytes=4)
    run = rig.run(Says("abc", "de", "never"))
    await run.wait()
    assert (rig.store.outcomes, answer_of(run)) == (["too_long"], "abcde")
    assert isinstance(run.log.closed, Failed)
    assert (run.log.closed.code, run.log.closed.retryable) == ("answer_too_long", False)


async def test_the_text_of_other_choices_counts_too() -> None:
    """It is no part of the log, but it is kept all the same."""
    rig = Rig(max_answer_bytes=4)
    run = rig.run(Says("ab", ChoiceDelta(1, "c"), ChoiceDelta(2, "de"), "never"))
    await run.wait()
    assert (rig.store.outcomes, answer_of(run)) == (["too_long"], "ab")


async def test_interrupted() -> None:
    """The server shuts down: an error that may be tried again."""
    rig = Rig()
    says = Says("so far", Says.hold)
    run = rig.run(says)
    await says.reached.wait()
    run.cancel(Outcome.INTERRUPTED)
    await run.wait()
    failed = run.log.closed
    assert isinstance(failed, Failed)
    assert (failed.code, failed.retryable, failed.status) == ("server_shutdown", True, 503)
    assert rig.store.outcomes == ["interrupted"]


async def test_a_task_cancelled_from_outside_is_interrupted() -> None:
    """As when the loop is torn down."""
    rig = Rig()
    says = Says("a", Says.hold)
    run = rig.run(says)
    await says.reached.wait()
    run.task.cancel()
    await run.wait()
    assert rig.store.outcomes == ["interrupted"]


@pytest.mark.parametrize("error", [StoreUnavailable("Full."), NotFound("Somebody else's session.")])
@pytest.mark.parametrize("steps", [(), (Says.hold,)])
async def test_a_begin_row_that_fails(error: GatewayError, steps: tuple[Any, ...]) -> None:
    """The provider call is cancelled and nothing is recorded; whoever waits gets the store's error."""
    rig = Rig()
    rig.store.fail = [error]
    says = Says("secret", *steps)
    run = rig.run(says)
    reader = rig.attach(run)
    with pytest.raises(type(error)):
        await asyncio.shield(run.begin_committed)
    await run.wait()
    assert says.cancelled == bool(steps)
    assert (rig.store.ended, run.end) == ([], None)
    assert isinstance(run.log.closed, Failed)
    assert run.log.closed.code == error.code
    assert rig.finished == [run]
    assert rig.runs.get(run.trace_id) is None
    rig.detach(reader)


async def test_back_pressure() -> None:
    """A crowded run is not read on until its slowest reader has sent on what it held."""
    rig = Rig(max_buffer_bytes=3)
    held = asyncio.Event()

    async def answer(run: Any) -> None:
        await Says("abcd")(run)
        assert run.over_high_water
        held.set()
        await run.drain()
        assert not run.over_high_water
        await Says("e")(run)

    run = rig.run(answer)
    reader = rig.attach(run)
    await held.wait()
    await ticks()
    assert answer_of(run) == "abcd"
    reader.read()
    reader.sent()
    await run.wait()
    assert answer_of(run) == "abcde"
    assert rig.store.outcomes == ["complete"]
