"""A real kill -9 amid writes: what was acknowledged is there."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from gateway.domain.trace import Outcome, State
from gateway.storage.recovery import recover
from gateway.storage.scripts.traces import get_trace
from gateway.storage.sqlite.engine import SQLiteStore
from tests.support.rows import PROJECT, ask

_LINES = 400


def _write_and_die(path: Path) -> list[list[str]]:
    """What a writer said before it was killed, the last line left off as it may be cut."""
    command = [sys.executable, "-m", "tests.storage.crashing", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(_LINES)]
        process.kill()
        lines += [line for line in process.stdout if line.endswith("\n")]
    assert process.returncode == -9
    return [line.split() for line in lines]


async def test_a_kill_loses_nothing_acknowledged(tmp_path: Path) -> None:
    """Twice on one file: every rating, every trace with one end, the text of the last checkpoint."""
    path = tmp_path / "g.db"
    said: dict[str, set[str]] = defaultdict(set)
    for _ in range(2):
        for what, trace_id, *rating in _write_and_die(path):
            said[what].add(trace_id)
            said["ratings"].update(rating)
    assert len(said["begun"]) >= 2 * _LINES / 4
    store = await SQLiteStore.open(path, own=True)
    assert 1 <= await recover(store, 9_999) <= 8
    assert await store.write(ask, "PRAGMA integrity_check") == [("ok",)]
    assert await store.synchronous() == 2
    for trace_id in said["begun"]:
        trace = await store.read(get_trace, PROJECT, trace_id)
        assert trace is not None
        assert trace.state in (State.OK, State.ERROR)
        if trace_id in said["finished"]:
            assert trace.outcome is Outcome.COMPLETE
        elif trace_id in said["text"]:
            assert trace.response_preview in ("so far", "Hello")
    stored = await store.write(ask, "SELECT assessment_id FROM assessments")
    assert said["ratings"] <= {row[0] for row in stored}
    await store.close()
