"""A Run's end: the final record before the terminal event, whatever the store does."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest

from gateway.domain.events import Done, Failed, UsageReported
from gateway.domain.messages import Usage
from gateway.domain.trace import Outcome
from gateway.errors import StoreUnavailable
from gateway.streaming import run as run_module
from tests.support.clock import jumping, ticks, until
from tests.support.runs import RunHarness, ScriptedAnswer


async def test_the_terminal_event_follows_the_commit() -> None:
    """Not a moment before."""
    harness = RunHarness()
    run = harness.run(ScriptedAnswer("all"))
    reader = harness.attach(run)
    await run.begin_committed
    harness.store.gate.clear()
    await ticks()
    assert run.log.closed is None
    assert reader.read()
    harness.store.gate.set()
    await run.wait()
    assert isinstance(reader.read()[-1][1], Done)


async def test_a_slow_final_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the wait the stream ends with store_unavailable; the write is retried, and the row keeps the outcome."""
    monkeypatch.setattr(run_module, "COMMIT_WAIT_S", 0.01)
    harness = RunHarness()
    run = harness.run(ScriptedAnswer("all"))
    await run.begin_committed
    harness.store.gate.clear()
    await until(lambda: run.log.closed is not None)
    assert isinstance(run.log.closed, Failed)
    assert (run.log.closed.code, run.log.closed.status) == ("store_unavailable", 503)
    assert harness.store.ended == []
    assert not run.task.done()
    harness.store.gate.set()
    await run.wait()
    assert set(harness.store.outcomes) == {"complete"}
    assert run.log.closed.code == "store_unavailable"


async def test_a_final_write_that_fails_is_retried(caplog: pytest.LogCaptureFixture) -> None:
    """Until it is in; where that is soon enough the client never knows."""
    harness = RunHarness()
    run = harness.run(ScriptedAnswer("all"))
    await run.begin_committed
    harness.store.fail = [StoreUnavailable("Full."), StoreUnavailable("Full.")]
    with jumping(), caplog.at_level(logging.WARNING):
        await run.wait()
    assert harness.store.outcomes == ["complete"]
    assert isinstance(run.log.closed, Done)
    assert "waits: Full." in caplog.text


async def test_a_final_write_that_fails_for_long() -> None:
    """The stream ends without it, the retries go on."""
    harness = RunHarness()
    run = harness.run(ScriptedAnswer("all"))
    await run.begin_committed
    harness.store.fail = [StoreUnavailable("Full.") for _ in range(12)]
    with jumping():
        await until(lambda: run.log.closed is not None)
        assert isinstance(run.log.closed, Failed)
        assert run.log.closed.code == "store_unavailable"
        await run.task
    assert (harness.store.outcomes, harness.store.fail) == (["complete"], [])


async def test_a_record_that_cannot_be_written_at_all_still_ends_the_stream() -> None:
    """One terminal event, whatever the store says."""
    harness = RunHarness()
    run = harness.run(ScriptedAnswer("all"))
    await run.begin_committed
    harness.store.fail = [ValueError("never heard of it")] * 3
    await run.wait()
    assert isinstance(run.log.closed, Failed)
    assert run.log.closed.code == "internal_error"
    assert (harness.finished, harness.store.ended) == ([run], [])


async def test_a_record_that_cannot_be_stored_as_it_is_is_stored_without_spans(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The text and the outcome matter more; the client sees what it would have seen."""
    harness = RunHarness()
    run = harness.run(ScriptedAnswer("all", UsageReported(Usage(1, 2, 3))))
    await run.begin_committed
    harness.store.fail = [OverflowError("too large"), OverflowError("too large"), StoreUnavailable("Full.")]
    with jumping():
        await run.wait()
    [end] = harness.store.ended
    assert (end.outcome, end.usage, end.spans) == (Outcome.COMPLETE, None, ())
    assert json.loads(end.response or "")[0]["content"] == "all"
    assert isinstance(run.log.closed, Done)
    assert run.log.closed.usage == Usage(1, 2, 3)
    assert "without its spans" in caplog.text


@pytest.mark.parametrize("error", [ValueError("odd"), StoreUnavailable("Full.")])
async def test_a_final_write_that_fails_once_is_whole_the_second_time(error: Exception) -> None:
    """Whatever failed, the record is first tried as it is."""
    harness = RunHarness()
    run = harness.run(ScriptedAnswer("all"))
    await run.begin_committed
    harness.store.fail = [error]
    await run.wait()
    [end] = harness.store.ended
    assert end.spans
    assert end.usage
    assert isinstance(run.log.closed, Done)


@pytest.mark.parametrize("failing", [False, True])
async def test_cancelled_amid_the_final_write(failing: bool) -> None:
    """As at the very end of a drain: the stream still ends, and no task is left behind."""
    harness = RunHarness()
    run = harness.run(ScriptedAnswer("all"))
    await run.begin_committed
    reader = harness.attach(run)
    if failing:
        harness.store.fail = [StoreUnavailable("Full.")] * 99
    else:
        harness.store.gate.clear()
    await until(lambda: run.finished)
    await ticks()
    run.task.cancel()
    await asyncio.wait({run.task}, timeout=3)
    assert run.task.cancelled()
    assert isinstance(run.log.closed, Failed)
    assert run.log.closed.code == "store_unavailable"
    assert reader.read()[-1][1] is run.log.closed
    assert harness.finished == [run]
    harness.store.gate.set()
    await ticks()
    assert asyncio.all_tasks() == {asyncio.current_task()}
