"""How much a system can hold: streams, memory, ratings. Called by the benchmark's command, like `phases.py`."""

from __future__ import annotations

import http.client
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from math import inf

from .machine import BenchError, resident_kb, settled_cpu_seconds
from .phases import Bench, Report, pace, spoiled
from .search import LADDER, most
from .systems import Request, Server, System

_CLEAR = 0.8, 1.5  # outside, one load decides whether the pace was kept


def start(bench: Bench) -> None:
    """From the start of the process to ready, and the memory it then takes. A peer is started only once."""
    for system in bench.systems:
        if system.peer:
            bench.note("start_ms", system, system.server.start_s * 1e3)
            bench.note("start_rss_mb", system, resident_kb(system.pid) / 1024)

    def measure(system: System) -> None:
        with bench.yard.serve(bench.mock, command=system.server.command) as server:
            bench.note("start_ms", system, server.start_s * 1e3)
            bench.note("start_rss_mb", system, resident_kb(server.process.pid) / 1024)

    bench.round([system for system in bench.gateways if not system.native], measure)


def idle(bench: Bench) -> None:
    """Memory per open stream that waits for its second token. Measured once, in a process whose caches are filled."""
    streams = 500 if bench.quick else 2000
    for system in bench.measured:
        if system.peer:
            continue
        with _fresh(bench, system) as server:
            fresh = System(system.name, server, system.native)
            bench.load(fresh, fresh.stream("mock-4-0ms"), 16, 64 if bench.quick else 4_000, "-t", "20")
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
    if system in bench.gateways:
        return bench.yard.serve(bench.mock, command=system.server.command)
    return bench.yard.nginx(bench.mock)


def ratings(bench: Bench) -> None:
    """POST /feedback, each rating by another user; a 200 means committed to disk.

    A connection asks again when it has its answer, so the mean time of an answer is connections ÷ rate, and the bound
    on its 99th percentile bounds the connections too: 32 are the load of the goal. 128 show what waits in line cost.
    """
    number = 0

    def rate(system: System, connections: int, requests: int) -> Report:
        nonlocal number
        number += 1
        path = f"/feedback?trace_id={traces[system.name]}&user_id=rater-{number}-{{n}}"
        request = Request(path, '{"is_correct":true,"comment":"To the point."}', "assessment_id")
        return bench.checked("ratings", system, request, connections, requests, "-t", "20")

    traces: dict[str, str] = {}
    asked: dict[str, int] = {}
    systems = [system for system in bench.gateways if system.native]
    for system in systems:
        bench.alone(system)
        traces[system.name] = _chat(system)
        warm = rate(system, 32, 400)
        asked[system.name] = max(400, int(warm["requests"] / warm["seconds"] * (0.5 if bench.quick else 1)))

    def measure(system: System) -> None:
        requests = asked[system.name]
        for connections in (32, 128):
            before = bench.settled(system)
            report = rate(system, connections, requests)
            if connections == 32:
                bench.note("ratings_us", system, (bench.settled(system) - before) * 1e6 / requests)
            bench.note(f"ratings_{connections}_per_s", system, report["requests"] / report["seconds"])
            if "total" in report:
                bench.note(f"ratings_{connections}_p99_ms", system, report["total"]["p99"] / 1e3)

    bench.round(systems, measure)


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
        seconds = 20 if system in bench.gateways else 12
        give_up = time.monotonic() + (seconds / 2 if bench.quick else seconds)

        def in_time(give_up: float = give_up) -> bool:
            return time.monotonic() < give_up

        def load(streams: int, system: System = system) -> float:
            bench.settled(system)
            report = bench.load(system, system.stream("mock-100-20ms"), streams, streams, "-r", "1000", "-t", "5")
            return pace(report) if "gap" in report and not spoiled(report) else inf

        found = most(LADDER, system.most, lambda streams: decided(lambda: load(streams), in_time), in_time)
        if found is not None:
            bench.note("streams", system, found)


def decided(load: Callable[[], float], in_time: Callable[[], bool]) -> bool:
    """Whether loads stay below 1: the first one says so if it is clear, else two of three do. The machine is noisy."""
    result = load()
    if not _CLEAR[0] < result < _CLEAR[1]:
        return result < 1
    kept = missed = 0
    while True:
        kept, missed = (kept + 1, missed) if result < 1 else (kept, missed + 1)
        if kept == 2 or missed == 2 or not in_time():
            return kept == 2
        result = load()


def memory(bench: Bench) -> None:
    """Resident memory after 20,000 and after 100,000 short requests, half on each wire, resumable for 1 s."""
    for first in bench.gateways:
        if first.native:
            continue
        with bench.yard.serve(bench.mock, "resume_window_s = 1", command=first.server.command) as server:
            wires = [System(first.name, server), System(first.name, server, native=True)]
            for total, requests in ((20_000, 10_000), (100_000, 40_000)):
                for wire in wires:
                    bench.checked("memory", wire, wire.stream("mock-4-0ms"), 16, requests, "-t", "300")
                time.sleep(3)  # the resume window and a sweep
                settled_cpu_seconds(server.process.pid)
                bench.note(f"rss_{total // 1000}k_mb", first, resident_kb(server.process.pid) / 1024)
