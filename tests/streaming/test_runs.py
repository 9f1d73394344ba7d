"""The registry and its sweep: heartbeats, send timeouts, checkpoints, replay memory, drain."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging

import pytest

from gateway.domain.trace import Outcome
from gateway.errors import StoreUnavailable
from gateway.streaming import runs as runs_module
from gateway.streaming.reader import Reader
from gateway.streaming.run import Run
from tests.support.clock import jumping, ticks
from tests.support.runs import RunHarness, ScriptedAnswer, text


def now() -> float:
    return asyncio.get_running_loop().time()


async def stop(*runs: Run) -> None:
    for run in runs:
        run.cancel(Outcome.STOPPED)
        await run.wait()


async def waiting(reader: Reader) -> asyncio.Future[bool]:
    wait = asyncio.ensure_future(reader.wait())
    await asyncio.sleep(0)
    return wait


async def test_an_idle_reader_is_nudged_for_a_heartbeat() -> None:
    """Before the first token too, and once per `heartbeat_s`, whether or not it then sends anything."""
    harness = RunHarness(heartbeat_s=10)
    run = harness.run(ScriptedAnswer(ScriptedAnswer.hold))
    reader = harness.attach(run)
    wait = await waiting(reader)
    start = now()
    harness.runs.sweep(start + 9)
    assert not wait.done()
    harness.runs.sweep(start + 11)
    assert await wait is False
    wait = await waiting(reader)
    harness.runs.sweep(start + 20)
    assert not wait.done()
    harness.runs.sweep(start + 22)
    assert await wait is False
    assert harness.counts.count("heartbeats") == 2
    assert harness.runs.following == 1
    await stop(run)


async def test_a_reader_that_takes_nothing_is_dropped() -> None:
    """After `send_timeout_s`, by its own means; one that sends nothing now is left alone."""
    harness = RunHarness(send_timeout_s=30)
    run = harness.run(ScriptedAnswer("a", ScriptedAnswer.hold))
    stuck, idle, plain = harness.attach(run), harness.attach(run), harness.attach(run)
    dropped: list[str] = []
    stuck.connect(lambda: dropped.append("stuck"))
    idle.connect(lambda: dropped.append("idle"))
    with stuck.sending(), plain.sending():
        harness.runs.sweep(now() + 29)
        assert dropped == []
        harness.runs.sweep(now() + 31)
    assert (dropped, harness.counts.count("send_timeouts")) == (["stuck"], 1)
    await stop(run)


@pytest.mark.parametrize("replayable", [True, False])
async def test_a_reader_that_takes_nothing_is_dropped_after_the_end_too(replayable: bool) -> None:
    """The run is over, its last bytes are not with the client: nobody else would end that."""
    harness = RunHarness(send_timeout_s=30, resume_window_s=5)
    run = harness.run(ScriptedAnswer("a"), replayable=replayable)
    stuck = harness.attach(run)
    dropped: list[str] = []
    stuck.connect(lambda: dropped.append("stuck"))
    with stuck.sending():
        await run.wait()
        harness.runs.sweep(now() + 20)
        harness.runs.sweep(now() + 31)
        assert dropped == ["stuck"]
        harness.detach(stuck)
        harness.runs.sweep(now() + 40)
    assert dropped == ["stuck"]


async def test_a_replay_is_looked_after_too() -> None:
    """A reader of a log that no run owns, while it is there."""
    harness = RunHarness(send_timeout_s=30)
    run = harness.run(ScriptedAnswer("a"))
    await run.wait()
    dropped: list[str] = []
    with harness.runs.reading(run.log, after=1) as reader, reader.sending():
        reader.connect(lambda: dropped.append("it"))
        harness.runs.sweep(now() + 31)
    harness.runs.sweep(now() + 62)
    assert dropped == ["it"]


async def test_an_answer_is_stopped_by_its_trace() -> None:
    """One that is over, or was never here, is left alone."""
    harness = RunHarness()
    run = harness.run(ScriptedAnswer("a", ScriptedAnswer.hold))
    await ticks()
    harness.runs.stop("tr-unknown")
    harness.runs.stop(run.trace_id)
    await run.wait()
    assert harness.store.outcomes == ["stopped"]
    harness.runs.stop(run.trace_id)


async def test_a_finished_run_is_kept_for_the_resume_window() -> None:
    """Its log, and whose it is."""
    harness = RunHarness(resume_window_s=300)
    run = harness.run(ScriptedAnswer("a"))
    assert harness.runs.get(run.trace_id) is run
    await run.wait()
    kept = harness.runs.get(run.trace_id)
    assert kept is not None
    assert (kept.log, kept.owner, harness.runs.kept) == (run.log, run.owner, 1)
    harness.runs.sweep(now() + 299)
    assert harness.runs.get(run.trace_id) is not None
    harness.runs.sweep(now() + 301)
    assert harness.runs.get(run.trace_id) is None


async def test_what_cannot_be_resumed_is_not_kept() -> None:
    """/v1's runs, and any without a window."""
    harness = RunHarness(resume_window_s=0)
    unkept = harness.run(ScriptedAnswer("a"))
    await unkept.wait()
    other = RunHarness()
    plain = other.run(ScriptedAnswer("a"), replayable=False)
    await plain.wait()
    assert (harness.runs.kept, other.runs.kept) == (0, 0)


async def test_the_oldest_replays_go_first_where_memory_is_short() -> None:
    """`replay_max_bytes` for all of them together."""
    harness = RunHarness(replay_max_bytes=3 * 2048 + 50)
    runs = []
    for _ in range(5):
        run = harness.run(ScriptedAnswer("x" * 10))
        await run.wait()
        runs.append(run)
    assert [harness.runs.get(run.trace_id) is not None for run in runs] == [False, False, True, True, True]
    huge = harness.run(ScriptedAnswer("x" * 10_000))
    await huge.wait()
    assert harness.runs.kept == 0


async def second(harness: RunHarness) -> None:
    """A second's sweeps."""
    for _ in range(4):
        harness.runs.sweep(now())
        await ticks()


async def test_checkpoints_bring_what_is_new() -> None:
    """Each run once in a second's sweeps; runs that said nothing are left out; together they are the text."""
    harness = RunHarness()
    talks, other, silent = (
        ScriptedAnswer("He", ScriptedAnswer.hold),
        ScriptedAnswer("x", ScriptedAnswer.hold),
        ScriptedAnswer(ScriptedAnswer.hold),
    )
    runs = [harness.run(talks), harness.run(other), harness.run(silent)]
    await ticks()
    await second(harness)
    first = sorted((c.seq, json.loads(c.parts)) for c in harness.store.checkpoints)
    assert first == [(0, [["text", "He"]]), (0, [["text", "x"]])]
    runs[0].emit([text("llo")])
    await second(harness)
    await second(harness)
    assert [(c.seq, json.loads(c.parts)) for c in harness.store.checkpoints[2:]] == [(1, [["text", "llo"]])]
    assert harness.counts.count("checkpoints") == 3
    await stop(*runs)


async def test_a_sweep_takes_a_quarter_of_the_runs() -> None:
    """So that a thousand streams don't stand still together while they are stored."""
    harness = RunHarness()
    runs = [harness.run(ScriptedAnswer(str(i), ScriptedAnswer.hold)) for i in range(8)]
    await ticks()
    harness.runs.sweep(now())
    await ticks()
    assert len(harness.store.checkpoints) == 2
    await stop(*runs)


async def test_a_checkpoint_that_fails_keeps_the_marks(caplog: pytest.LogCaptureFixture) -> None:
    """The next one brings it all; none begins while one is under way."""
    harness = RunHarness()
    script = ScriptedAnswer("a", ScriptedAnswer.hold)
    run = harness.run(script)
    await ticks()
    harness.store.fail = [StoreUnavailable("Full.")]
    with caplog.at_level(logging.WARNING):
        await second(harness)
    assert "A checkpoint waits: Full." in caplog.text
    harness.store.gate.clear()
    await second(harness)
    await second(harness)
    harness.store.gate.set()
    await ticks()
    assert [(c.seq, c.parts) for c in harness.store.checkpoints] == [(0, '[["text","a"]]')]
    await stop(run)


async def test_nothing_is_kept_where_content_is_not_stored() -> None:
    """No checkpoint, however much is said."""
    harness = RunHarness()
    run = harness.run(ScriptedAnswer("secret", ScriptedAnswer.hold), content="none")
    await ticks()
    harness.runs.sweep(now() + 10)
    await ticks()
    assert harness.store.checkpoints == []
    await stop(run)


async def test_the_sweep_survives_an_exception(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and the next one comes."""
    harness = RunHarness()
    times: list[float] = []

    def sweep(at: float) -> None:
        times.append(at)
        if len(times) == 1:
            raise RuntimeError("odd")

    monkeypatch.setattr(harness.runs, "sweep", sweep)
    with jumping():
        task = asyncio.create_task(harness.runs.sweep_forever())
        await asyncio.sleep(3 * runs_module.SWEEP_S)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert len(times) >= 2
    assert "The sweep failed." in caplog.text


async def test_the_sweeps_end_takes_its_checkpoint_along() -> None:
    """No task is left behind."""
    harness = RunHarness()
    run = harness.run(ScriptedAnswer("a", ScriptedAnswer.hold))
    await run.begin_committed
    harness.store.gate.clear()
    with jumping():
        task = asyncio.create_task(harness.runs.sweep_forever())
        await asyncio.sleep(2)
        assert len(asyncio.all_tasks()) == 4  # this one, the run, the sweep, the checkpoint
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert len(asyncio.all_tasks()) == 2
    harness.store.gate.set()
    await stop(run)
