"""kill -9 under load, restart on the same file, and compare what clients were told with what is there.

Called by the crash test and by the soak runner.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from pathlib import Path
from typing import Any

from tests.crash.load import MODELS, Heard, Load, Rated
from tests.support.load_client import allow_many_files, answer_of, endings, fetch, metrics, text_of
from tests.support.servers import GatewayProcess

# Text that is older than this at the kill must be there. A checkpoint is due every second; what is on top of that is
# for the sweep that begins it, for its commit, and for machines that are busy with clients, gateway and tests at once.
MAY_BE_LOST_S = 1.5
FULL = 2  # SQLite's own number for it


class Killed:
    """The figures of many kills, and what has been acknowledged in all of them."""

    def __init__(self) -> None:
        self.rated: list[Rated] = []
        self.ended: dict[str, str] = {}  # the outcome of each trace after the restart that followed it
        self.figures: dict[str, float] = dict.fromkeys(
            ("kills", "streams", "open at the kill", "ratings", "unanswered at the kill", "closed by recovery"), 0
        )
        self.figures |= {"oldest text lost, s": 0.0, "slowest restart, s": 0.0}

    def count(self, name: str, number: float) -> None:
        self.figures[name] += number

    def most(self, name: str, number: float) -> None:
        self.figures[name] = max(self.figures[name], number)


async def many_kills(directory: Path, times: int, *, seed: int = 1) -> dict[str, float]:
    """Kill it so many times, each time at another moment; returns the figures. AssertionError where a promise broke."""
    allow_many_files()
    dice = random.Random(seed)
    models = {name: {"targets": [f"demo/{name}"]} for name in MODELS}
    gateway = GatewayProcess(directory, {"providers": {"demo": {"kind": "demo"}}, "models": models})
    killed = Killed()
    with gateway:
        for number in range(times):
            await _kill_once(gateway, dice.uniform(0.6, 2.6), seed * 1000 + number, killed)
        assert _stored_ratings(gateway, killed.rated) == []
        assert killed.ended.items() <= {row["trace_id"]: row["outcome"] for row in gateway.store.traces()}.items()
        assert await asyncio.to_thread(gateway.terminate) == 0
    return killed.figures


async def _kill_once(gateway: GatewayProcess, after_s: float, seed: int, killed: Killed) -> None:
    async with Load(gateway.port, seed) as load:
        await asyncio.sleep(after_s)
        killed.count("open at the kill", load.open)
        killed.count("unanswered at the kill", load.asking)
        moment = time.monotonic()
        await asyncio.to_thread(gateway.kill)
        await asyncio.gather(*(heard.exchange.end() for heard in load.streams))
    assert not load.refused, load.refused[:5]
    began = time.monotonic()
    await asyncio.to_thread(gateway.start)
    killed.most("slowest restart, s", time.monotonic() - began)

    store = gateway.store
    assert store.integrity() == "ok"
    assert (await metrics(gateway.port))["gateway_store_synchronous"] == FULL
    rows = {row["trace_id"]: row for row in store.traces()}
    assert [row["trace_id"] for row in rows.values() if row["outcome"] is None or row["end_time"] is None] == []
    assert _stored_ratings(gateway, load.rated) == []
    cut_off = []
    for heard in load.streams:
        if heard.trace_id is not None:
            row = rows[heard.trace_id]
            killed.ended[heard.trace_id] = row["outcome"]
            killed.most("oldest text lost, s", _lost(heard, row, moment))
            if row["outcome"] == "interrupted":
                cut_off.append(heard)
    for heard in cut_off[:5]:
        await _resume(gateway.port, heard, rows[heard.trace_id or ""])
    killed.count("kills", 1)
    killed.count("streams", len(load.streams))
    killed.count("ratings", len(load.rated))
    killed.count("closed by recovery", len(cut_off))
    killed.rated += load.rated


def _stored_ratings(gateway: GatewayProcess, rated: list[Rated]) -> list[Rated]:
    """Those acknowledged ratings that are not there as they were acknowledged."""
    rows = gateway.store.rows("SELECT assessment_id, trace_id, name, value FROM assessments")
    stored = {row["assessment_id"]: (row["trace_id"], row["name"], row["value"]) for row in rows}
    return [one for one in rated if stored.get(one.assessment_id) != (one.trace_id, one.name, one.value)]


def _lost(heard: Heard, row: dict[str, Any], moment: float) -> float:
    """How old, at the kill, the oldest text was that the client had and the store hasn't; 0 where all is there."""
    stored = row["response"][0]["content"]
    assert answer_of(heard.model).startswith(stored), f"{heard.trace_id} is not what was sent"
    if heard.done:
        assert (row["outcome"], row["state"]) == ("complete", "OK"), f"{heard.trace_id}: its client had `done`"
        assert stored == heard.text
        return 0.0
    assert (row["outcome"], row["state"]) in (("complete", "OK"), ("interrupted", "ERROR"))
    if len(stored) >= len(heard.text):
        return 0.0
    oldest = next(came for came, characters in heard.came_at() if characters > len(stored))
    assert moment - oldest <= MAY_BE_LOST_S, f"{heard.trace_id} lost text of {moment - oldest:.2f} s before the kill"
    return moment - oldest


async def _resume(port: int, heard: Heard, row: dict[str, Any]) -> None:
    """A stream that was cut off replays its stored text, from any place, and ends with the one error; also for its own
    client, which may have had more than was stored."""
    stored = row["response"][0]["content"]
    half, had = len(stored) // 2, len(heard.text)
    for after, text in ((0, stored), (1 + half, stored[half:]), (1 + had, stored[had:])):
        reply = await fetch(port, "GET", f"/chat/stream/{heard.trace_id}?after={after}")
        assert text_of(reply.frames) == text
        assert endings(reply.frames) == ["server_shutdown"]
        assert reply.whole
    ends = [int(number) for number in re.findall(rb"^id: (\d+)$", reply.body, re.MULTILINE)]
    assert ends[-1] > 1 + had
    assert (await fetch(port, "GET", f"/chat/stream/{heard.trace_id}?after={ends[-1]}")).status == 204
