"""What a token and a request cost, and how soon the first token comes.

Each phase fills `Bench.figures` for every system; what went wrong goes to `Bench.faults`, or to `Bench.remarks` where
another gateway did it. Repetitions go round the systems, so that a drift of the machine meets all of them alike.
How much a system can hold is measured in `capacity.py`; the benchmark's command calls both.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .machine import LOAD_CORE, BenchError, freeze, pinned, settled_cpu_seconds
from .systems import Request, Server, System, Yard

Report = dict[str, Any]

_BAD = ("unfinished", "errors", "incomplete", "lost", "reordered")
KEEPS_PACE = {"gap": 40e3, "one_way": 100e3}  # 99th percentiles must stay below, microseconds


@dataclass
class Bench:
    """One run: what it measures, how thoroughly, and what it has found so far (metric → system → values)."""

    yard: Yard
    mock: Server
    systems: list[System]
    quick: bool = False
    repeat: int = 3
    figures: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def reps(self) -> int:
        return 1 if self.quick else self.repeat

    @property
    def gateways(self) -> list[System]:
        """The columns of this gateway, which alone can store a rating."""
        return [system for system in self.systems if system.server.headers and not system.peer]

    @property
    def measured(self) -> list[System]:
        return [system for system in self.systems if system.measured]

    def note(self, metric: str, system: System, value: float) -> None:
        self.figures.setdefault(metric, {}).setdefault(system.name, []).append(value)

    def command(self, system: System, request: Request, conns: int, requests: int, *more: str) -> list[str]:
        options = ["-p", str(system.server.port), "-P", request.path, "-b", request.body, "-m", request.mark]
        options += ["-e", str(request.tokens), "-c", str(conns), "-n", str(requests)]
        for header in system.server.headers:
            options += ["-H", header]
        return pinned(LOAD_CORE, [str(self.yard.tools / "load"), *options, *more])

    def alone(self, system: System | None) -> None:
        """Lets only this system run (None: not even one): even idle ones take time on the core they share."""
        for pid in {other.pid for other in self.measured}:
            freeze(pid, frozen=system is None or pid != system.pid)

    def settled(self, system: System) -> float:
        """CPU seconds of the system, alone and idle. What it has to catch up on after a pause is done before."""
        self.alone(system)
        return settled_cpu_seconds(system.pid)

    def load(self, system: System, request: Request, conns: int, requests: int, *more: str) -> Report:
        self.alone(system)
        done = subprocess.run(self.command(system, request, conns, requests, *more), capture_output=True, text=True)
        if done.returncode:
            raise BenchError(f"load: {done.stderr.strip()}")
        report: Report = json.loads(done.stdout)
        return report

    def checked(self, phase: str, system: System, request: Request, conns: int, requests: int, *more: str) -> Report:
        """A load in which everything must arrive, once and in order."""
        report = self.load(system, request, conns, requests, *more)
        if spoiled(report):
            counts = ", ".join(f"{report[kind]} {kind}" for kind in _BAD if report[kind])
            told = self.remarks if system.peer else self.faults
            told.append(f"{phase}, {system.name}: {counts} of {requests} requests. {report['error']}")
        return report

    def round(self, systems: list[System], measure: Callable[[System], None]) -> None:
        for _ in range(self.reps):
            for system in systems:
                measure(system)


def spoiled(report: Report) -> bool:
    return any(report[kind] for kind in _BAD)


def pace(report: Report) -> float:
    """How near the bounds a load came; 1 and more: the pace was not kept."""
    return max(float(report[name]["p99"]) / bound for name, bound in KEEPS_PACE.items())


def paced(bench: Bench) -> None:
    """100 streams of 100 tokens, 20 ms apart: what one token costs, and how late the latest are."""
    _paced(bench, 100, "paced_us", "one_way_p99_ms")


def paced_20(bench: Bench) -> None:
    """The same with 20 streams, which the slowest peer can keep up with. A token costs more where there are few."""
    _paced(bench, 20, "paced_20_us", "one_way_20_p99_ms")


def _paced(bench: Bench, streams: int, cost: str, delay: str) -> None:
    systems = [system for system in bench.systems if not system.peer or streams in system.paced]

    def measure(system: System) -> None:
        before = bench.settled(system)
        model = system.stream("mock-100-20ms")
        report = bench.checked(cost, system, model, streams, streams, "-r", "500", "-t", "20")
        spent = bench.settled(system) - before
        if system.peer and spoiled(report):
            return
        if system.measured:
            bench.note(cost, system, spent * 1e6 / max(1, report["tokens"]))
        if "one_way" in report:
            bench.note(delay, system, report["one_way"]["p99"] / 1e3)
            if pace(report) >= 1:
                bench.remarks.append(f"{streams} paced streams, {system.name}: the pace was not kept")

    bench.round(systems, measure)


def _flat_out(
    bench: Bench, metric: str, unit: str, systems: list[System], request: Callable[[System], Request]
) -> None:
    """16 connections as fast as they go: CPU per token or request. The length of a run follows from a warm-up."""
    seconds, sizes = 0.3 if bench.quick else 0.7, {}
    for system in systems:
        cold = bench.load(system, request(system), 16, 32, "-t", "20")
        warm = bench.load(system, request(system), 16, _in_seconds(cold, 0.3), "-t", "20")
        sizes[system.name] = _in_seconds(warm, seconds)

    def measure(system: System) -> None:
        before = bench.settled(system)
        report = bench.checked(metric, system, request(system), 16, sizes[system.name], "-t", "20")
        spent = bench.settled(system) - before
        if system.peer and spoiled(report):
            return
        bench.note(metric, system, spent * 1e6 / max(1, report[unit]))

    bench.round(systems, measure)


def _in_seconds(report: Report, seconds: float) -> int:
    """How many requests to ask for so that they take so long; at least one for each connection."""
    return max(16, int(report["requests"] / report["seconds"] * seconds))


def burst(bench: Bench) -> None:
    """Streams of 256 tokens with no pause between tokens."""
    _flat_out(bench, "burst_us", "tokens", bench.measured, lambda system: system.stream("mock-256-0ms"))


def plain(bench: Bench) -> None:
    """Requests without streaming, on neither side; and `POST /chat`, for which the gateway reads a stream."""
    plain = [system for system in bench.measured if not system.native]
    _flat_out(bench, "plain_us", "requests", plain, lambda system: system.plain("mock-256-0ms"))
    native = [system for system in bench.measured if system.native]
    _flat_out(bench, "chat_us", "requests", native, lambda system: system.plain("mock-256-0ms"))


def first(bench: Bench) -> None:
    """Time to the first token on one connection, of an upstream that takes 10 ms for it."""
    requests = 60 if bench.quick else 200

    def measure(system: System) -> None:
        bench.settled(system)
        asked = requests // 2 if system.peer else requests  # peers are slow, and nothing hangs on their percentiles
        report = bench.checked("first", system, system.stream("mock-4-0ms-w10"), 1, asked, "-t", "20")
        if "first_token" in report:
            bench.note("first_p50_ms", system, report["first_token"]["p50"] / 1e3)
            bench.note("first_p99_ms", system, report["first_token"]["p99"] / 1e3)

    for system in bench.systems:
        bench.settled(system)
        bench.load(system, system.stream("mock-4-0ms-w10"), 1, 10, "-t", "20")
    bench.round(bench.systems, measure)
