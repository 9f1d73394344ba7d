"""The measurements. Each phase fills `Bench.figures` for every system; what went wrong goes to `Bench.faults`.

Repetitions go round the systems, so that a drift of the machine meets all of them alike.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from .machine import LOAD_CORE, BenchError, pinned, resident_kb, settled_cpu_seconds
from .search import LADDER, most
from .systems import Request, Server, System, Yard

Report = dict[str, Any]


@dataclass
class Bench:
    """One run: what it measures, how thoroughly, and what it has found so far (metric → system → values)."""

    yard: Yard
    mock: Server
    systems: list[System]
    quick: bool = False
    figures: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @property
    def reps(self) -> int:
        return 1 if self.quick else 3

    @property
    def gateways(self) -> list[System]:
        """The columns of this gateway, which alone can store a rating."""
        return [system for system in self.systems if system.server.headers]

    def note(self, metric: str, system: System, value: float) -> None:
        self.figures.setdefault(metric, {}).setdefault(system.name, []).append(value)

    def command(self, system: System, request: Request, conns: int, requests: int, *more: str) -> list[str]:
        options = ["-p", str(system.server.port), "-P", request.path, "-b", request.body, "-m", request.mark]
        options += ["-e", str(request.tokens), "-c", str(conns), "-n", str(requests)]
        for header in system.server.headers:
            options += ["-H", header]
        return pinned(LOAD_CORE, [str(self.yard.tools / "load"), *options, *more])

    def load(self, system: System, request: Request, conns: int, requests: int, *more: str) -> Report:
        done = subprocess.run(self.command(system, request, conns, requests, *more), capture_output=True, text=True)
        if done.returncode:
            raise BenchError(f"load: {done.stderr.strip()}")
        report: Report = json.loads(done.stdout)
        return report

    def checked(self, phase: str, system: System, request: Request, conns: int, requests: int, *more: str) -> Report:
        """A load in which everything must arrive, once and in order."""
        report = self.load(system, request, conns, requests, *more)
        if spoiled(report):
            kinds = ("unfinished", "errors", "incomplete", "lost", "reordered")
            counts = ", ".join(f"{report[kind]} {kind}" for kind in kinds if report[kind])
            self.faults.append(f"{phase}, {system.name}: {counts} of {requests} requests. {report['error']}")
        return report

    def round(self, systems: list[System], measure: Callable[[System], None]) -> None:
        for _ in range(self.reps):
            for system in systems:
                measure(system)


def spoiled(report: Report) -> bool:
    return any(report[kind] for kind in ("unfinished", "errors", "incomplete", "lost", "reordered"))


def start(bench: Bench) -> None:
    """From the start of the process to ready, and the memory it then takes."""
    system = bench.gateways[0]
    for _ in range(bench.reps):
        with bench.yard.serve(bench.mock) as server:
            bench.note("start_ms", system, server.start_s * 1e3)
            bench.note("start_rss_mb", system, resident_kb(server.process.pid) / 1024)


def paced(bench: Bench) -> None:
    """100 streams of 100 tokens, 20 ms apart: what one token costs, and how late the latest are."""

    def measure(system: System) -> None:
        before = settled_cpu_seconds(system.pid)
        report = bench.checked("paced", system, system.stream("mock-100-20ms"), 100, 100, "-r", "500", "-t", "20")
        spent = settled_cpu_seconds(system.pid) - before
        if system.measured:
            bench.note("paced_us", system, spent * 1e6 / max(1, report["tokens"]))
        if "one_way" in report:
            bench.note("one_way_p99_ms", system, report["one_way"]["p99"] / 1e3)

    bench.round(bench.systems, measure)


def _flat_out(bench: Bench, metric: str, unit: str, request: Callable[[System], Request]) -> None:
    """16 connections as fast as they go: CPU per token or request. The length of a run follows from a warm-up."""
    systems = [system for system in bench.systems if system.measured]
    seconds, sizes = 0.3 if bench.quick else 0.7, {}
    for system in systems:
        bench.load(system, request(system), 16, 64, "-t", "20")
        warm = bench.load(system, request(system), 16, 256, "-t", "20")
        sizes[system.name] = max(64, int(warm["requests"] / warm["seconds"] * seconds))

    def measure(system: System) -> None:
        before = settled_cpu_seconds(system.pid)
        report = bench.checked(metric, system, request(system), 16, sizes[system.name], "-t", "20")
        spent = settled_cpu_seconds(system.pid) - before
        bench.note(metric, system, spent * 1e6 / max(1, report[unit]))

    bench.round(systems, measure)


def burst(bench: Bench) -> None:
    """Streams of 256 tokens with no pause between tokens."""
    _flat_out(bench, "burst_us", "tokens", lambda system: system.stream("mock-256-0ms"))


def plain(bench: Bench) -> None:
    """Requests without streaming."""
    _flat_out(bench, "plain_us", "requests", lambda system: system.plain("mock-256-0ms"))


def first(bench: Bench) -> None:
    """Time to the first token on one connection, of an upstream that takes 10 ms for it."""
    requests = 60 if bench.quick else 120

    def measure(system: System) -> None:
        report = bench.checked("first", system, system.stream("mock-4-0ms-w10"), 1, requests, "-t", "20")
        if "first_token" in report:
            bench.note("first_p50_ms", system, report["first_token"]["p50"] / 1e3)
            bench.note("first_p99_ms", system, report["first_token"]["p99"] / 1e3)

    for system in bench.systems:
        bench.load(system, system.stream("mock-4-0ms-w10"), 1, 10, "-t", "20")
    bench.round(bench.systems, measure)


def idle(bench: Bench) -> None:
    """Memory of a fresh process with streams open that wait for their second token, per stream. Measured once."""
    streams = 500 if bench.quick else 2000
    for system in bench.systems:
        if not system.measured:
            continue
        with _fresh(bench, system) as server:
            fresh = System(system.name, server, system.native)
            bench.load(fresh, fresh.stream("mock-4-0ms"), 16, 64, "-t", "20")
            settled_cpu_seconds(fresh.pid)
            before = resident_kb(fresh.pid)
            command = bench.command(
                fresh, fresh.stream("mock-2-600000ms"), streams, streams, "-r", "1000", "-t", "15", "-w"
            )
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as held:
                assert held.stdout is not None
                first_line = held.stdout.readline()
                settled_cpu_seconds(fresh.pid)
                after = resident_kb(fresh.pid)
                held.kill()
            if first_line == "open\n":
                bench.note("idle_kb", system, (after - before) / streams)
            else:
                bench.faults.append(f"idle, {system.name}: not all of {streams} streams opened. {first_line[-160:]}")


def _fresh(bench: Bench, system: System) -> AbstractContextManager[Server]:
    return bench.yard.serve(bench.mock) if system in bench.gateways else bench.yard.nginx(bench.mock)


def ratings(bench: Bench) -> None:
    """POST /feedback from 32 connections, each rating by another user; a 200 means committed to disk."""
    system = bench.gateways[-1]
    number = 0

    def rate(requests: int) -> Report:
        nonlocal number
        number += 1
        path = f"/feedback?trace_id={trace_id}&user_id=rater-{number}-{{n}}"
        request = Request(path, '{"is_correct":true,"comment":"To the point."}', "assessment_id")
        return bench.checked("ratings", system, request, 32, requests, "-t", "20")

    trace_id = _chat(system)
    warm = rate(400)
    requests = max(400, int(warm["requests"] / warm["seconds"] * (0.5 if bench.quick else 1)))
    for _ in range(bench.reps):
        before = settled_cpu_seconds(system.pid)
        report = rate(requests)
        bench.note("ratings_us", system, (settled_cpu_seconds(system.pid) - before) * 1e6 / requests)
        bench.note("ratings_per_s", system, report["requests"] / report["seconds"])
        if "total" in report:
            bench.note("ratings_p99_ms", system, report["total"]["p99"] / 1e3)


def _chat(system: System) -> str:
    """One chat; its trace's ID."""
    request = system.plain("mock-4-0ms")
    headers = dict(header.split(": ", 1) for header in system.server.headers) | {"Content-Type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", system.server.port, timeout=10)
    try:
        connection.request("POST", request.path, request.body, headers)
        response = connection.getresponse()
        trace_id, text = response.getheader("X-Trace-Id"), response.read().decode()
    finally:
        connection.close()
    if trace_id is None:
        raise BenchError(f"no trace ID on a chat: {response.status} {text[:200]}")
    return trace_id


def most_streams(bench: Bench) -> None:
    """The most paced streams with p99 token gap < 40 ms, p99 one-way delay < 100 ms and nothing lost.

    The gap alone would hide tokens that all come late. The figure of `direct` is the ceiling of mock and load.
    """
    for system in bench.systems:
        give_up = time.monotonic() + (8 if bench.quick else 12)

        def holds(streams: int, system: System = system, give_up: float = give_up) -> bool:
            for _ in range(2):  # the machine is noisy: a narrow miss gets a second try
                settled_cpu_seconds(system.pid)
                model = system.stream("mock-100-20ms")
                report = bench.load(system, model, streams, streams, "-r", "1000", "-t", "8")
                if spoiled(report) or "gap" not in report:
                    return False
                gap, delay = report["gap"]["p99"] / 40e3, report["one_way"]["p99"] / 100e3
                if max(gap, delay) < 1:
                    return True
                if max(gap, delay) > 1.5 or time.monotonic() > give_up:
                    return False
            return False

        def in_time(give_up: float = give_up) -> bool:
            return time.monotonic() < give_up

        found = most(LADDER, 400 if system in bench.gateways else 1600, holds, in_time)
        if found is not None:
            bench.note("streams", system, found)


def memory(bench: Bench) -> None:
    """Resident memory after 20,000 and after 100,000 short requests, half on each wire, resumable for 1 s."""
    with bench.yard.serve(bench.mock, "resume_window_s = 1") as server:
        wires = [System(system.name, server, system.native) for system in bench.gateways]
        for total, requests in ((20_000, 10_000), (100_000, 40_000)):
            for wire in wires:
                bench.checked("memory", wire, wire.stream("mock-4-0ms"), 16, requests, "-t", "300")
            time.sleep(3)  # the resume window and a sweep
            settled_cpu_seconds(server.process.pid)
            bench.note(f"rss_{total // 1000}k_mb", bench.gateways[0], resident_kb(server.process.pid) / 1024)


PHASES: dict[str, Callable[[Bench], None]] = {
    "start": start,
    "idle": idle,
    "plain": plain,
    "burst": burst,
    "first": first,
    "paced": paced,
    "ratings": ratings,
    "streams": most_streams,
    "memory": memory,
}
