"""What others notice while very many clients mean harm, and what memory that takes. Linux only, as it reads /proc.

A few dozen ordinary clients read streams of a token every 20 ms and rate each: first in peace, then under the attack
(tests/stress/attack.py, a process of its own). Every answer must be whole, every rating taken, and the gaps between
tokens are compared. Called by the stress tests and by the soak runner.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from tests.stress.memory import resident_kb
from tests.support.chaos import ChaosProcess
from tests.support.load_client import allow_many_files, answer_of, endings, fetch, metrics, send, text_of, until
from tests.support.servers import GatewayProcess

MODEL = "lorem-100-20ms"
OTHERS = 30
ROOT = Path(__file__).parents[2]
MODELS = {"default": {"targets": [f"demo/{MODEL}"]}, "attacked": {"targets": ["demo/lorem-3000-20ms"]}}
Figures = dict[str, float]


class Others:
    """The ordinary clients. `waits`: their seconds between tokens, to the first one, and for a rating, until taken."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.waits: dict[str, list[float]] = {"gap": [], "first token": [], "rating": []}
        self.answers = 0

    async def go_on(self, stop: asyncio.Event) -> None:
        """Ask, read, check and rate, over and over."""
        while not stop.is_set():
            began = time.monotonic()
            exchange = await send(self.port, "POST", "/chat/stream", {"message": "go on"})
            reply = await exchange.end()
            assert reply.status == 200, reply.body
            frames = reply.frames
            assert text_of(frames) == answer_of(MODEL)
            assert endings(frames) == ["done"]
            times = [at for at, data in exchange.pieces if b'"token"' in data]
            self.waits["gap"] += [after - before for before, after in itertools.pairwise(times)]
            self.waits["first token"].append(times[0] - began)
            began = time.monotonic()
            rated = await fetch(
                self.port, "POST", f"/feedback?trace_id={frames[0][1]['trace_id']}", {"is_correct": True}
            )
            assert rated.status == 200, rated.body
            self.waits["rating"].append(time.monotonic() - began)
            self.answers += 1

    def take(self, when: str) -> Figures:
        """Return the waits since the last time, in milliseconds, by names that end in `when`."""
        figures: Figures = {}
        for what, waits in self.waits.items():
            for percent in (50, 99):
                at = sorted(waits)[len(waits) * percent // 100] if waits else 0.0
                figures[f"others: {what} p{percent} {when}, ms"] = at * 1000
            waits.clear()
        return figures


@asynccontextmanager
async def at_work(gateway: GatewayProcess, figures: Figures, calm_s: float) -> AsyncIterator[None]:
    """The others, first for a while without an attack; their figures, and the gateway's memory, go into `figures`."""
    others, stop = Others(gateway.port), asyncio.Event()
    peak = 0

    async def watch() -> None:
        nonlocal peak
        while True:
            peak = max(peak, resident_kb(gateway.pid))
            await asyncio.sleep(0.05)

    watching = asyncio.create_task(watch())
    try:
        async with asyncio.TaskGroup() as readers:
            for _ in range(OTHERS):
                readers.create_task(others.go_on(stop))
            await asyncio.sleep(calm_s)
            calm, before, peak = others.take("in peace"), peak, 0
            yield
            attacked = others.take("attacked")
            stop.set()
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    figures |= {
        "others: answers, each whole and rated": others.answers,
        **calm,
        **attacked,
        "kB before": before,
        "kB at most": peak,
    }


async def attack(gateway: GatewayProcess, name: str, count: int, last: object) -> Figures:
    """Run it to its end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.stress.attack", name, str(gateway.port), str(count), str(last)),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, f"the attack {name} failed"
    found: Figures = json.loads(out)
    return found


async def _calm_again(gateway: GatewayProcess) -> None:
    """Nothing of the attack is left: no run, no reader, no connection but the one that asks."""
    await until(gateway.port, "gateway_running_streams", lambda running: running == 0)
    assert (await metrics(gateway.port))["gateway_readers"] == 0
    await until(gateway.port, 'gateway_open_connections{kind="http"}', lambda number: number <= 1)


async def slow_senders(directory: Path, count: int, seconds: float, timeout_s: float = 20) -> Figures:
    """So many connections that send a byte a second, for so long."""
    allow_many_files()
    server = {"head_timeout_s": timeout_s, "body_timeout_s": timeout_s}
    figures: Figures = {}
    with GatewayProcess(directory, {"models": MODELS, "server": server}) as gateway:
        async with at_work(gateway, figures, 5):
            found = await attack(gateway, "trickle", count, seconds)
        await _calm_again(gateway)
    assert found["opened"] >= count
    assert found["ended with 408"] >= count * 0.9
    assert found["longest held, s"] <= timeout_s + 5
    return _checked(found | figures, count * 20)


async def deaf_readers(directory: Path, count: int, *, timeout_s: float = 30, buffer: int = 1_048_576) -> Figures:
    """So many readers at once of an endless answer, who never read."""
    allow_many_files()
    figures: Figures = {}
    with ExitStack() as stack:
        upstream = stack.enter_context(ChaosProcess(directory / "chaos"))
        models: dict[str, Any] = MODELS | {"endless": {"targets": ["upstream/endless-1ms"], "idle_timeout_s": 600}}
        config = {
            "providers": {"upstream": {"kind": "openai", "base_url": f"{upstream.url}/v1"}},
            "models": models,
            "streaming": {"send_timeout_s": timeout_s, "max_buffer_bytes": buffer, "disconnect_grace_s": 0},
        }
        gateway = stack.enter_context(GatewayProcess(directory / "gateway", config))
        async with at_work(gateway, figures, 5):
            found = await attack(gateway, "deaf", count, timeout_s * 3 + 60)
        await _calm_again(gateway)
        timeouts = (await metrics(gateway.port))["gateway_send_timeouts_total"]
    assert found["cut off"] == count
    return _checked(found | {"send timeouts": timeouts} | figures, count * (buffer * 3 / 1024 + 1500))


async def dropped_streams(directory: Path, count: int) -> Figures:
    """So many streams that are opened and dropped, by a client who may have 100 at once."""
    allow_many_files()
    config = {
        "models": MODELS,
        "streaming": {"disconnect_grace_s": 0.5, "resume_window_s": 1},
        "limits": {"streams_per_key": 100},
    }
    figures: Figures = {}
    gateway = GatewayProcess(directory, config)
    made = gateway.run("keys", "create", "--role", "chat", "--name", "attacker")
    assert made.returncode == 0, made.stderr
    with gateway:
        async with at_work(gateway, figures, 5):
            found = await attack(gateway, "drop", count, made.stdout.strip())
        await _calm_again(gateway)
        (stored,) = gateway.store.rows("SELECT COUNT(*) AS number FROM traces WHERE outcome = 'disconnected'")
        (left,) = gateway.store.rows("SELECT COUNT(*) AS number FROM traces WHERE outcome IS NULL")
    assert found["opened and dropped"] == count
    assert (stored["number"], left["number"]) == (count, 0)
    return _checked(found | figures, 40_000)


def _checked(figures: Figures, more_kb: float) -> Figures:
    """Memory is below its bound, which is part of the figures."""
    bound = figures["kB before"] + more_kb + 30_000  # for the others, the caches, and what malloc keeps
    assert figures["kB at most"] <= bound, f"memory: {figures}, bound {bound}"
    return figures | {"kB bound": bound}
