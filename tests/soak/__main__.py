"""The long runs, with their figures: `scripts/soak`. See docs/soak.md for what each does and must show.

Not a test runner: each part is a function that the tests call too, with smaller numbers there.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import re
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from tests.crash.drain import drain
from tests.crash.kills import many_kills
from tests.fuzz.api import many
from tests.soak.caller import Row
from tests.soak.worst import ROWS, at_worst, checked
from tests.stress.faults import full_disk, jumping_clock, locked_store, missing_store
from tests.stress.hostile import deaf_readers, dropped_streams, slow_senders
from tests.stress.memory import idle_streams, many_requests
from tests.stress.streams import many_streams

Figures = dict[str, float]


class Part(NamedTuple):
    """One long run: what it does in full and with --quick, and how long it may take."""

    name: str
    what: str
    full: Callable[[Path], Awaitable[Figures]]
    quick: Callable[[Path], Awaitable[Figures]]
    at_most_s: float


async def _requests(directory: Path, first: int, last: int, bound: float) -> Figures:
    figures = await many_requests(directory, first, last)
    assert figures["ratio"] <= bound, f"memory grew: {figures}"
    return figures


def _worst(row: Row) -> Part:
    async def run(directory: Path, seconds: float) -> Figures:
        return checked(await at_worst(directory, row.name, seconds))

    return Part(
        f"worst-{row.name}",
        f"others chat and rate meanwhile: {row.what}",
        lambda directory: run(directory, 30),
        lambda directory: run(directory, 5),
        300,
    )


async def _fuzz(directory: Path, seconds: int) -> Figures:
    """Both targets, one after the other, half of the time each. GATEWAY_FUZZ_S is the time instead of an hour."""
    seconds = int(os.environ.get("GATEWAY_FUZZ_S", seconds))
    figures: Figures = {}
    for target in ("upstream", "frames"):
        command = (sys.executable, "-m", "tests.fuzz", target, "--seconds", str(seconds // 2), "--corpus", directory)
        process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
        try:
            _, said = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        text = said.decode(errors="replace")
        for found in directory.glob("crash-*"):
            text += f"\nkept as {shutil.copy(found, tempfile.gettempdir())}"
        assert process.returncode == 0, text[-4000:]
        for name, pattern in {"inputs": r"executed_units:\s+(\d+)", "branches": r"cov: (\d+)"}.items():
            figures[f"{target}: {name}"] = float(re.findall(pattern, text)[-1])
    return figures


PARTS = [
    Part(
        "fuzz",
        "bytes made up to break the readers, guided by coverage",
        lambda d: _fuzz(d, 3600),
        lambda d: _fuzz(d, 20),
        24 * 3600,
    ),
    Part(
        "api",
        "random requests for every route of /openapi.json",
        lambda directory: asyncio.to_thread(many, directory, 20_000),
        lambda directory: asyncio.to_thread(many, directory, 1_000),
        3600,
    ),
    Part(
        "streams",
        "many streams at once, half of the readers stall, leave and resume",
        lambda directory: many_streams(directory, 1000),
        lambda directory: many_streams(directory, 200),
        300,
    ),
    Part(
        "kills",
        "kill -9 under load, restart, compare",
        lambda directory: many_kills(directory, 100),
        lambda directory: many_kills(directory, 10),
        1800,
    ),
    Part(
        "drain",
        "SIGTERM with 200 open streams that may end by themselves",
        lambda directory: drain(directory, "lorem-500-20ms", 30),
        lambda directory: drain(directory, "lorem-250-20ms", 30),
        120,
    ),
    Part(
        "interrupt",
        "SIGTERM with 200 open streams that may not",
        lambda directory: drain(directory, "unicode-5000-20ms", 5),
        lambda directory: drain(directory, "unicode-5000-20ms", 3),
        120,
    ),
    Part(
        "disk",
        "the disk runs full under load, three times (only as root: it mounts one)",
        lambda directory: full_disk(directory, 10, 3),
        lambda directory: full_disk(directory, 2),
        180,
    ),
    Part(
        "lock",
        "another process locks the store for ten seconds",
        lambda directory: locked_store(directory, 10),
        lambda directory: locked_store(directory, 3),
        120,
    ),
    Part(
        "deleted",
        "the store's file is deleted under load",
        lambda directory: missing_store(directory, replaced=False),
        lambda directory: missing_store(directory, replaced=False),
        120,
    ),
    Part(
        "replaced",
        "another file is put in the store's place under load",
        lambda directory: missing_store(directory, replaced=True),
        lambda directory: missing_store(directory, replaced=True),
        120,
    ),
    Part(
        "clock",
        "the clock is set back an hour, on two, and back again",
        lambda directory: jumping_clock(directory, (-3600, 3600, 0), 5),
        lambda directory: jumping_clock(directory, (-3600, 3600), 1),
        120,
    ),
    Part(
        "requests",
        "memory after very many short requests",
        lambda directory: _requests(directory, 20_000, 100_000, 1.1),
        lambda directory: _requests(directory, 3_000, 9_000, 1.2),
        1800,
    ),
    Part(
        "idle",
        "memory of an open stream that says nothing",
        lambda directory: idle_streams(directory, 2000),
        lambda directory: idle_streams(directory, 300),
        300,
    ),
    Part(
        "trickle",
        "2,000 connections that send a byte a second",
        lambda directory: slow_senders(directory, 2000, 60),
        lambda directory: slow_senders(directory, 300, 9, timeout_s=3),
        180,
    ),
    Part(
        "deaf",
        "500 readers of an endless stream that never read",
        lambda directory: deaf_readers(directory, 500),
        lambda directory: deaf_readers(directory, 60, timeout_s=3, buffer=262_144),
        300,
    ),
    Part(
        "drop",
        "10,000 streams that a client opens and drops",
        lambda directory: dropped_streams(directory, 10_000),
        lambda directory: dropped_streams(directory, 600),
        300,
    ),
    *map(_worst, ROWS.values()),
]


def main() -> int:
    """Run the parts that were asked for, print their figures; the exit code is 1 where a promise broke."""
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__, epilog="scripts/soak --only kills")
    names = [part.name for part in PARTS]
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help=f"one of: {', '.join(names)}")
    parser.add_argument("--quick", action="store_true", help="the same with small numbers, in about three minutes")
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    console.print(
        f"{time.strftime('%Y-%m-%d %H:%M')}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"Linux {platform.release()}, load {os.getloadavg()[0]:.1f}"
    )
    failed = [
        part.name for part in PARTS if part.name in (options.only or names) and not _run(part, options.quick, console)
    ]
    console.print(f"FAILED: {', '.join(failed)}" if failed else "all good")
    return 1 if failed else 0


def _run(part: Part, quick: bool, console: Console) -> bool:
    console.print(f"\n[bold]{part.name}[/]: {part.what} …")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gateway-soak-") as directory:
        try:
            work = (part.quick if quick else part.full)(Path(directory))
            figures = asyncio.run(_bounded(work, part.at_most_s))
        except Exception:
            console.print(traceback.format_exc(), markup=False)
            return False
    table = Table("figure", box=None, pad_edge=False)
    table.add_column("", justify="right")
    for name, value in figures.items():
        table.add_row(name, f"{value:,.0f}" if value == int(value) else f"{value:,.2f}")
    table.add_row("took, s", f"{time.monotonic() - began:,.0f}")
    console.print(table)
    return True


async def _bounded(work: Awaitable[Figures], seconds: float) -> Figures:
    async with asyncio.timeout(seconds):
        return await work


if __name__ == "__main__":
    sys.exit(main())
