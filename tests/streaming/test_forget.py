"""Forgetting streams, because the person behind them is erased."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import StoreUnavailable
from gateway.streaming import runs as runs_module
from tests.support.runs import Rig, Says


async def test_what_runs_is_stopped_and_not_kept() -> None:
    """Its clients get their end; the others, running or kept, stay."""
    rig = Rig()
    hers, other = rig.run(Says("a", Says.hold)), rig.run(Says("b", Says.hold))
    done = [rig.run(Says("c")), rig.run(Says("d"))]
    reader = rig.attach(hers)
    for run in done:
        await run.wait()
    assert await rig.runs.forget([hers.trace_id, done[0].trace_id, "tr-unknown"]) is False
    assert rig.store.outcomes[-1] == "stopped"
    assert reader.read()[-1][1] is hers.log.closed
    assert rig.runs.get(hers.trace_id) is rig.runs.get(done[0].trace_id) is None
    assert rig.runs.get(other.trace_id) is other
    assert (rig.runs.kept, rig.runs._kept_bytes) == (1, 1 + 2048)
    assert await rig.runs.forget([other.trace_id, done[1].trace_id]) is False
    assert (rig.runs.kept, rig.runs._kept_bytes, rig.runs.running) == (0, 0, {})


async def test_a_record_that_is_not_in_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, as the record would bring back what is to be forgotten."""
    monkeypatch.setattr(runs_module, "COMMIT_WAIT_S", -0.97)  # waits for 30 ms
    rig = Rig()
    run = rig.run(Says("a", Says.hold))
    await asyncio.shield(run.begin_committed)
    rig.store.fail = [StoreUnavailable("full")] * 100
    assert await rig.runs.forget([run.trace_id]) is True
    rig.store.fail.clear()
    await run.wait()
    assert await rig.runs.forget([run.trace_id]) is False
    assert rig.runs.kept == 0
