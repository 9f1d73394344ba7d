"""Forgetting streams, because the person behind them is erased."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import StoreUnavailable
from gateway.streaming import runs as runs_module
from tests.support.runs import RunHarness, ScriptedAnswer


async def test_what_runs_is_stopped_and_not_kept() -> None:
    """Its clients get their end; the others, running or kept, stay."""
    harness = RunHarness()
    hers, other = (
        harness.run(ScriptedAnswer("a", ScriptedAnswer.hold)),
        harness.run(ScriptedAnswer("b", ScriptedAnswer.hold)),
    )
    done = [harness.run(ScriptedAnswer("c")), harness.run(ScriptedAnswer("d"))]
    reader = harness.attach(hers)
    for run in done:
        await run.wait()
    assert await harness.runs.forget([hers.trace_id, done[0].trace_id, "tr-unknown"]) is False
    assert harness.store.outcomes[-1] == "stopped"
    assert reader.read()[-1][1] is hers.log.closed
    assert harness.runs.get(hers.trace_id) is harness.runs.get(done[0].trace_id) is None
    assert harness.runs.get(other.trace_id) is other
    assert (harness.runs.kept, harness.runs._kept_bytes) == (1, 1 + 2048)
    assert await harness.runs.forget([other.trace_id, done[1].trace_id]) is False
    assert (harness.runs.kept, harness.runs._kept_bytes, harness.runs.running) == (0, 0, {})


async def test_a_record_that_is_not_in_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, as the record would bring back what is to be forgotten."""
    monkeypatch.setattr(runs_module, "COMMIT_WAIT_S", -0.97)  # waits for 30 ms
    harness = RunHarness()
    run = harness.run(ScriptedAnswer("a", ScriptedAnswer.hold))
    await asyncio.shield(run.begin_committed)
    harness.store.fail = [StoreUnavailable("full")] * 100
    assert await harness.runs.forget([run.trace_id]) is True
    harness.store.fail.clear()
    await run.wait()
    assert await harness.runs.forget([run.trace_id]) is False
    assert harness.runs.kept == 0
