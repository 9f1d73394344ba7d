"""A process that writes to a store as fast as it can, says what was acknowledged, and waits to be killed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from gateway.domain.ids import now_ms
from gateway.domain.trace import Checkpoint
from gateway.storage.recovery import recover
from gateway.storage.scripts.feedback import record_feedback
from gateway.storage.scripts.traces import begin_trace, checkpoint, finish_trace
from gateway.storage.sqlite.engine import SQLiteStore
from tests.support.rows import a_rating, a_start, a_write, an_end


def _say(*words: str) -> None:
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


async def _write(store: SQLiteStore) -> None:
    while True:
        start = a_start()
        await store.write(begin_trace, start)
        _say("begun", start.trace_id)
        rating = a_rating()
        await store.write(record_feedback, a_write(start.trace_id, rating))
        _say("rated", start.trace_id, rating.assessment_id)
        await store.write(checkpoint, [Checkpoint(start.trace_id, 1, '[["text","so far"]]')], now_ms())
        _say("text", start.trace_id)
        await store.write(finish_trace, an_end(start))
        _say("finished", start.trace_id)


async def main(path: Path) -> None:
    store = await SQLiteStore.open(path, own=True)
    await recover(store, 9_000)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(8):
            tasks.create_task(_write(store))


asyncio.run(main(Path(sys.argv[1])))
