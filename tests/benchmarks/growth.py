"""How the gateway's cost grows with the work: more streams, longer answers, longer prompts, more stored traces.

Called by the benchmark's command for `--growth`. Each series is cost against size; the exponent of the power law
through its points says how the total grows, 1 being linear.
"""

from __future__ import annotations

import http.client
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import log
from pathlib import Path

from .machine import LOAD_CORE, BenchError, settled_cpu_seconds
from .phases import Bench
from .systems import Server, System

STREAMS = (1, 10, 100, 1000)
TOKENS = (16, 256, 4096)
PROMPTS = (1_000, 10_000, 100_000, 1_000_000)
TRACES = (1_000, 10_000, 100_000, 1_000_000)
_LINEAR = 1.15  # what an exponent may be, for the noise
_USERS = 1000


@dataclass
class Series:
    """One line of a plot: the cost of a unit at each size. `total` says whether sizes multiply the cost."""

    name: str
    unit: str
    total: bool = False  # the cost is that of one piece, and the size says how many there are
    points: list[tuple[float, float]] = field(default_factory=list)  # size, µs

    @property
    def exponent(self) -> float:
        """Of the whole cost against the size."""
        return slope(self.points) + (1 if self.total else 0)

    @property
    def linear(self) -> bool:
        """Or less."""
        return self.exponent <= _LINEAR

    def sentence(self) -> str:
        """How it grows, in words."""
        (small, first), (large, last) = self.points[0], self.points[-1]
        much = f"{shown(first)} µs {self.unit} at {small:,.0f}, {shown(last)} µs at {large:,.0f}"
        return f"{self.name}: {much}; the whole grows with the power {self.exponent:.2f} of the size."


@dataclass
class Panel:
    """One plot."""

    title: str
    axis: str
    series: list[Series]


def shown(cost: float) -> str:
    """Three digits or so."""
    return f"{cost:,.0f}" if cost >= 100 else f"{cost:.3g}"


def slope(points: list[tuple[float, float]]) -> float:
    """Of the straight line through the logarithms, by least squares."""
    xs, ys = [log(x) for x, _ in points], [log(max(y, 1e-9)) for _, y in points]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / sum((a - x) ** 2 for a in xs)


def measure(bench: Bench, say: Callable[[str], None]) -> list[Panel]:
    """All four, one after another, with fresh gateways."""
    os.sched_setaffinity(0, {LOAD_CORE})  # this process is the client of some of it
    say("streams and tokens")
    with bench.yard.serve(bench.mock) as server:
        panels = [*_streams_and_tokens(bench, server)]
        say("prompts")
        panels.append(_prompts(server))
    panels.append(_traces(bench, say))
    return panels


def _streams_and_tokens(bench: Bench, server: Server) -> Iterator[Panel]:
    wires = [System("/v1", server), System("/chat/stream", server, native=True)]

    def cost(wire: System, model: str, connections: int, requests: int) -> float:
        before = settled_cpu_seconds(server.process.pid)
        report = bench.load(wire, wire.stream(model), connections, requests, "-r", "2000", "-t", "60")
        return (settled_cpu_seconds(server.process.pid) - before) * 1e6 / int(report["tokens"])

    streams = [Series(wire.name, "a token", total=True) for wire in wires]
    for count in STREAMS:
        for wire, series in zip(wires, streams, strict=True):
            series.points.append((count, cost(wire, "mock-100-20ms", count, max(count, 3))))
    yield Panel("Streams at once, one token per 20 ms each", "streams", streams)
    tokens = [Series(wire.name, "a token", total=True) for wire in wires]
    for count in TOKENS:
        for wire, series in zip(wires, tokens, strict=True):
            series.points.append((count, cost(wire, f"mock-{count}-0ms", 16, max(48, 160_000 // count))))
    yield Panel("Tokens in an answer, at full speed", "tokens", tokens)


def _prompts(server: Server) -> Panel:
    one = Series("one message", "a chat")
    many = Series("many messages of 500 bytes", "a chat")
    for size in PROMPTS:
        question = "why " * (size // 4)
        turns = [
            {"role": "user" if n % 2 == 0 else "assistant", "content": "why " * 125} for n in range(size // 500 | 1)
        ]
        for series, messages in ((one, [{"role": "user", "content": question}]), (many, turns)):
            body = json.dumps({"model": "mock-4-0ms", "messages": messages})
            count = max(20, min(300, 3_000_000 // size))
            series.points.append((size, _asked(server, count, lambda n: ("POST", "/chat", body))))  # noqa: B023
    return Panel("Bytes in a prompt", "bytes", [one, many])


def _traces(bench: Bench, say: Callable[[str], None]) -> Panel:
    names = ("a chat", "a rating", "reading ratings back", "reading a session")
    found = [Series(name, "each") for name in names]
    for count in TRACES:
        say(f"{count:,} stored traces")
        with bench.yard.serve(bench.mock, fill=lambda path: fill(path, count)) as server:  # noqa: B023
            chat = json.dumps({"model": "mock-4-0ms", "messages": [{"role": "user", "content": "why"}]})
            trace = [trace_id(n * count // 200) for n in range(200)]
            requests: list[Callable[[int], tuple[str, str, str]]] = [
                lambda n: ("POST", "/v1/chat/completions", chat),  # noqa: B023
                lambda n: ("POST", f"/feedback?trace_id={trace[n % 200]}&user_id=new-{n}", '{"is_correct":true}'),  # noqa: B023
                lambda n: ("GET", f"/feedback?trace_id={trace[n % 200]}&user_id=user-{n % 200}", ""),  # noqa: B023
                lambda n: ("GET", f"/sessions/s-{n % 200 * count // 200 // 4}", ""),  # noqa: B023
            ]
            for series, request in zip(found, requests, strict=True):
                series.points.append((count, _asked(server, 200, request)))
    return Panel("Stored traces", "traces", found)


def trace_id(number: int) -> str:
    """In the order of the numbers, as they are in life."""
    return f"tr-{number:032x}"


def fill(path: Path, count: int) -> None:
    """Traces of twenty days, which none is old enough to be forgotten, straight into the file that the gateway made:
    four to a session, each third one rated."""
    start, step = int((time.time() - 20 * 86_400) * 1000), 20 * 86_400_000 // count
    answer = json.dumps([{"role": "assistant", "content": "Because it is so. " * 12}])
    asked = json.dumps([{"role": "user", "content": "Why is it so, and what follows from it? " * 4}])
    numbers = range(count)
    with sqlite3.connect(path) as store:
        store.execute("PRAGMA synchronous = OFF")
        store.executemany(
            "INSERT INTO sessions (project, session_id, user_id, created) VALUES ('default', ?, NULL, ?)",
            ((f"s-{n}", start + n * 4 * step) for n in range(count // 4 + 1)),
        )
        store.executemany(
            "INSERT INTO traces (trace_id, root_span_id, project, route, state, outcome, request_time, end_time,"
            " duration_ms, first_token_ms, model, answered_model, provider, session_id, user_id, finish_reason,"
            " prompt_tokens, completion_tokens, total_tokens, config_hash, tags, metadata, request_preview,"
            " response_preview, request, response) VALUES (?, '0', 'default', '/chat', 'OK', 'complete', ?, ?, 900,"
            " 100, 'gpt', 'gpt', 'mock', ?, NULL, 'stop', 20, 60, 80, 'x', '{}', '{}', 'Why?', 'So.', ?, ?)",
            ((trace_id(n), start + n * step, start + n * step + 900, f"s-{n // 4}", asked, answer) for n in numbers),
        )
        store.executemany(
            "INSERT INTO assessments (assessment_id, trace_id, project, model, kind, name, value, source_type,"
            " source_id, create_time, last_update_time, valid, metadata)"
            " VALUES (?, ?, 'default', 'gpt', 'feedback', 'user_feedback', 'true', 'HUMAN', ?, ?, ?, 1, '{}')",
            (
                (f"a-{n:032x}", trace_id(n), f"user-{n % _USERS}", start + n * step, start + n * step)
                for n in numbers[::3]
            ),
        )
    store.close()


def _asked(server: Server, count: int, request: Callable[[int], tuple[str, str, str]]) -> float:
    """CPU time of one request, µs: `count` of them over one connection, after a few that don't count."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    headers = dict(header.split(": ", 1) for header in server.headers) | {"Content-Type": "application/json"}

    def ask(first: int, last: int) -> None:
        for number in range(first, last):
            method, path, body = request(number)
            connection.request(method, path, body or None, headers)
            response = connection.getresponse()
            said = response.read()
            if response.status != 200:
                raise BenchError(f"growth: {method} {path}: {response.status} {said[:200]!r}")

    try:
        ask(0, 10)
        before = settled_cpu_seconds(server.process.pid)
        ask(10, 10 + count)
        return (settled_cpu_seconds(server.process.pid) - before) * 1e6 / count
    finally:
        connection.close()
