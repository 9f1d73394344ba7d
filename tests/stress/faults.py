"""What the store's bad days cost: a full disk, a lock, a file that is gone, a clock that jumps. Linux only.

Clients stream and rate all the time. Every answer must come whole or be refused cleanly, every rating get its 200 or
a 503 that says when to come back; what was acknowledged must be there afterwards; and all must go on by itself once
the fault is over. Called by the stress tests and by the soak runner.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from tests.support.load_client import answer_of, endings, fetch, send, text_of
from tests.support.servers import GatewayProcess

MODEL = "lorem-40-20ms"
CONFIG: dict[str, Any] = {"models": {"default": {"targets": [f"demo/{MODEL}"]}}}
CLIENTS = 12
Figures = dict[str, float]


class Customers:
    """The ordinary clients, and what they were told."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.answers: set[str] = set()  # traces whose `done` came
        self.unsaved: set[str] = set()  # traces that ended in store_unavailable
        self.ratings: dict[str, str] = {}  # acknowledged: assessment → trace
        self.refused_chats = self.refused_ratings = 0
        self.gaps: list[float] = []
        self.at: list[float] = []  # when each rating was acknowledged
        self._asked: list[str] = []

    async def go_on(self, stop: asyncio.Event) -> None:
        """Ask, read, check and rate, over and over."""
        while not stop.is_set():
            exchange = await send(self.port, "POST", "/chat/stream", {"message": "go on"})
            reply = await exchange.end()
            if reply.status == 503:
                self.refused_chats += 1
                assert int(reply.headers["retry-after"]) > 0
                assert set(reply.json) <= {"error", "code"}, reply.body
                await asyncio.sleep(0.1)
                continue
            assert reply.status == 200, reply.body
            frames = reply.frames
            (end,) = endings(frames)
            assert end in ("done", "store_unavailable"), end
            assert text_of(frames) == answer_of(MODEL)
            (self.answers if end == "done" else self.unsaved).add(trace_id := frames[0][1]["trace_id"])
            times = [time for time, data in exchange.pieces if b'"token"' in data]
            self.gaps += [after - before for before, after in itertools.pairwise(times)]
            await self._rate(trace_id)

    async def _rate(self, trace_id: str) -> None:
        reply = await fetch(self.port, "POST", f"/feedback?trace_id={trace_id}", {"is_correct": True, "comment": "ok"})
        if reply.status == 503:
            self.refused_ratings += 1
            assert int(reply.headers["retry-after"]) > 0
            assert reply.json["code"] == "store_unavailable"
        else:
            assert reply.status == 200, reply.body
            self.ratings[reply.json["assessment_id"]] = trace_id
            self.at.append(time.monotonic())

    async def recovered(self, since: float, seconds: float = 30) -> float:
        """Until a rating was acknowledged after that time; how long it took, in seconds."""
        async with asyncio.timeout(seconds):
            while not self.at or self.at[-1] < since:  # noqa: ASYNC110 - it is another process's doing
                await asyncio.sleep(0.05)
        return self.at[-1] - since

    def figures(self) -> Figures:
        gaps = sorted(self.gaps)
        return {
            "answers": len(self.answers) + len(self.unsaved),
            "of them told that they are not stored yet": len(self.unsaved),
            "chats refused": self.refused_chats,
            "ratings acknowledged": len(self.ratings),
            "ratings refused": self.refused_ratings,
            "gap between tokens p99, ms": gaps[len(gaps) * 99 // 100] * 1000,
        }


@contextlib.asynccontextmanager
async def customers(gateway: GatewayProcess) -> AsyncIterator[Customers]:
    """While the block runs they come; at its end they finish what they are at."""
    crowd, stop = Customers(gateway.port), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(crowd.go_on(stop))
        try:
            yield crowd
        finally:
            stop.set()


def check(crowd: Customers, path: Path) -> None:
    """What was acknowledged is in the store's file, and each answer that anybody saw has its one record, whole."""
    with contextlib.closing(sqlite3.connect(path)) as store:
        assert store.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        stored = dict(store.execute("SELECT assessment_id, trace_id FROM assessments").fetchall())
        lost = crowd.ratings.items() - stored.items()
        assert not lost, f"{len(lost)} acknowledged ratings are gone"
        rows = store.execute("SELECT trace_id, outcome, response ->> '$[0].content' FROM traces").fetchall()
    assert {row[1] for row in rows} == {"complete"}
    assert {row[2] for row in rows} == {answer_of(MODEL)}
    assert {row[0] for row in rows} >= crowd.answers | crowd.unsaved


async def all_saved(gateway: GatewayProcess, crowd: Customers, seconds: float = 30) -> None:
    """Until no record waits for the store."""
    deadline = time.monotonic() + seconds
    while any(gateway.store.trace(trace_id)["outcome"] is None for trace_id in crowd.unsaved):
        assert time.monotonic() < deadline, "a final record was never written"
        await asyncio.sleep(0.1)


# ------------------------------------------------------------------ the faults


def can_mount() -> bool:
    """Whether this process may make a disk of its own."""
    return os.geteuid() == 0 and subprocess.run(["unshare", "--mount", "true"], check=False).returncode == 0


@contextlib.contextmanager
def small_disk(path: Path, megabytes: int) -> Iterator[Path]:
    """A disk of that size, in memory."""
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(path)], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(path: Path) -> None:
    """Take all the space that there is."""
    with path.open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
        while ballast.write(b"\0" * 4096):
            pass


async def full_disk(directory: Path, seconds: float, times: int = 1) -> Figures:
    """The disk runs full under load, stays so for a while, and has space again."""
    slowest = 0.0
    with small_disk(directory / "disk", 48) as disk, GatewayProcess(disk, CONFIG) as gateway:
        async with customers(gateway) as crowd:
            for _ in range(times):
                await asyncio.sleep(1.5)
                until = time.monotonic() + seconds
                refused = crowd.refused_ratings + crowd.refused_chats
                while time.monotonic() < until or crowd.refused_ratings + crowd.refused_chats == refused:
                    fill(disk / "ballast")  # again and again: what SQLite lets go of is taken as well
                    assert (await fetch(gateway.port, "GET", "/healthz")).status == 200
                    await asyncio.sleep(0.1)
                assert (await fetch(gateway.port, "GET", "/readyz")).status == 503
                (disk / "ballast").unlink()
                slowest = max(slowest, await crowd.recovered(time.monotonic()))
        await all_saved(gateway, crowd)
        assert gateway.terminate() == 0
        check(crowd, gateway.store_path)
    return crowd.figures() | {"back after, s": slowest}


async def locked_store(directory: Path, seconds: float) -> Figures:
    """Another process holds the store's write lock."""
    with GatewayProcess(directory, CONFIG) as gateway:
        async with customers(gateway) as crowd:
            await asyncio.sleep(1)
            holder = "import sqlite3, sys, time; c = sqlite3.connect(sys.argv[1], timeout=20, isolation_level=None)"
            holder += "; c.execute('BEGIN EXCLUSIVE'); time.sleep(float(sys.argv[2])); c.execute('ROLLBACK')"
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", holder, str(gateway.store_path), str(seconds)
            )
            assert await process.wait() == 0
            back = await crowd.recovered(time.monotonic())
            await asyncio.sleep(1)
        await all_saved(gateway, crowd)
        assert gateway.terminate() == 0
        check(crowd, gateway.store_path)
    return crowd.figures() | {"back after, s": back}


async def missing_store(directory: Path, *, replaced: bool) -> Figures:
    """The file is deleted, or another one put in its place. Nothing more is acknowledged until a restart."""
    with GatewayProcess(directory, CONFIG) as gateway:
        path, kept = gateway.store_path, directory / "kept"
        kept.mkdir()
        async with customers(gateway) as crowd:
            await asyncio.sleep(1.5)
            for name in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
                os.link(name, kept / name.name)  # the file itself, under another name
                name.unlink()
            if replaced:
                with contextlib.closing(sqlite3.connect(path)) as other:
                    other.execute("CREATE TABLE other (x)")
            gone = time.monotonic()
            await asyncio.sleep(1.5)
        acknowledged = [at for at in crowd.at if at > gone + 0.2]  # a reply may be on its way
        assert not acknowledged, f"{len(acknowledged)} ratings were acknowledged into the void"
        assert (await fetch(gateway.port, "GET", "/readyz")).status == 503
        assert crowd.refused_ratings + crowd.refused_chats > 0
        gateway.kill()
        with contextlib.closing(sqlite3.connect(kept / path.name)) as store:
            stored = {row[0] for row in store.execute("SELECT assessment_id FROM assessments")}
        assert set(crowd.ratings) <= stored
    return crowd.figures()


_CLOCK = """
import pathlib, runpy, sys, time, types
from gateway.domain import ids
ahead = pathlib.Path(sys.argv.pop(1))
moved = lambda: time.time_ns() + int(ahead.read_text()) * 10**9
ids.time = types.SimpleNamespace(time_ns=moved, monotonic_ns=time.monotonic_ns)
runpy.run_module("gateway", run_name="__main__")
"""


class ClockedGateway(GatewayProcess):
    """Whose one clock (gateway/domain/ids.py) is moved by what a file says, in seconds."""

    @property
    def ahead(self) -> Path:
        return self.directory / "ahead"

    def set_clock(self, seconds: int) -> None:
        fresh = self.ahead.with_suffix(".new")
        fresh.write_text(str(seconds))
        fresh.replace(self.ahead)

    def command(self) -> list[str]:
        python, _, _, *options = super().command()
        return [python, "-c", _CLOCK, str(self.ahead), *options]


async def jumping_clock(directory: Path, jumps: tuple[int, ...], seconds: float) -> Figures:
    """The clock is set back, or on, by so many seconds, while answers run: nothing is lost, nothing is deleted."""
    gateway = ClockedGateway(directory, CONFIG)
    gateway.set_clock(0)
    with gateway:
        async with customers(gateway) as crowd:
            await asyncio.sleep(seconds)
            rated = dict(crowd.ratings)
            for jump in jumps:
                gateway.set_clock(jump)
                await crowd.recovered(time.monotonic())
                await asyncio.sleep(seconds)
            trace_id = next(iter(rated.values()))
            again = await fetch(gateway.port, "POST", f"/feedback?trace_id={trace_id}", {"is_correct": False})
            assert again.status == 200, again.body
        (valid,) = gateway.store.assessments(trace_id, valid=True)
        assert valid["assessment_id"] == again.json["assessment_id"], "the older rating counts"
        durations = [row["duration_ms"] for row in gateway.store.traces()]
        assert all(0 <= duration < 60_000 for duration in durations), "an answer took an hour, or less than no time"
        assert gateway.terminate() == 0
        assert crowd.refused_chats + crowd.refused_ratings == 0
        crowd.ratings[again.json["assessment_id"]] = trace_id
        check(crowd, gateway.store_path)
    return crowd.figures()
