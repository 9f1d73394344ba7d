"""`scripts/bench`: measures direct, nginx, this gateway and its peers in one run and prints them side by side."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from . import capacity, growth, phases, traces
from .goals import NATIVE, V1, goal_table, goals_as_data, verdicts
from .growth_svg import draw
from .machine import BenchError, Steal, facts, freeze, need
from .peers import PEERS, Peer, install, node_version, run_peer
from .phases import Bench
from .report import BESIDE, ratios, summary, table
from .systems import System, Yard

PHASES: dict[str, Callable[[Bench], None]] = {
    "start": capacity.start,
    "idle": capacity.idle,
    "plain": phases.plain,
    "burst": phases.burst,
    "first": phases.first,
    "paced": phases.paced,
    "paced-20": phases.paced_20,
    "ratings": capacity.ratings,
    "streams": capacity.most_streams,
    "memory": capacity.memory,
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measures this gateway beside nginx and the bare upstream. Example: scripts/bench --quick",
    )
    parser.add_argument(
        "--peers",
        choices=PEERS,
        nargs="*",
        metavar="PEER",
        help=f"also installs and measures {', '.join(PEERS)}, or those named (all: twelve minutes, 1.3 GB)",
    )
    parser.add_argument("--only", choices=PHASES, action="append", metavar="PHASE", help=f"of {', '.join(PHASES)}")
    parser.add_argument(
        "--memory", action="store_true", help="also the memory after 100,000 requests (a minute or two)"
    )
    parser.add_argument("--quick", action="store_true", help="one repetition, shorter: a rough look")
    parser.add_argument(
        "--growth",
        type=Path,
        metavar="SVG",
        help="instead: how the cost grows with streams, tokens, prompts and stored traces; draws it (six minutes)",
    )
    parser.add_argument(
        "--traces",
        type=int,
        nargs="?",
        const=1_000_000,
        metavar="COUNT",
        help="instead: how fast a page of traces is found among so many (1,000,000), beside `mlflow server` on what"
        " it takes in five minutes (eight minutes; --quick: on what it takes in twenty seconds)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures as JSON")
    parser.add_argument(
        "--markdown", action="store_true", help="print the tables as docs/benchmarks-appendix.md has them"
    )
    parser.add_argument("--gateway", type=Path, default=Path(".venv/bin/gateway"), help="the command to measure")
    parser.add_argument(
        "--beside", type=Path, metavar="GATEWAY", help="an older gateway's command: measured by turns, with the ratios"
    )
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="medians of so many repetitions (3)")
    parser.add_argument("--tools", type=Path, required=True, help=argparse.SUPPRESS)
    return parser.parse_args()


def _phases(arguments: argparse.Namespace) -> list[str]:
    if arguments.only:
        return [phase for phase in PHASES if phase in arguments.only]
    left_out = {"memory": not arguments.memory, "paced-20": arguments.peers is None}
    return [phase for phase in PHASES if not left_out.get(phase)]


def _peers(arguments: argparse.Namespace) -> list[Peer]:
    if arguments.peers is None:
        return []
    return [peer for name, peer in PEERS.items() if name in (arguments.peers or PEERS)]


def _run(arguments: argparse.Namespace, work: Path) -> int:
    yard, peers = Yard(arguments.tools.resolve(), arguments.gateway.absolute(), work), _peers(arguments)
    for peer in peers:
        install(peer, yard.tools)
    machine = facts(work) | {peer.name: peer.version for peer in peers}
    if any(peer.npm for peer in peers):
        machine["node"] = node_version()
    began, steal = time.monotonic(), Steal()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:4.0f} s  {text}", file=sys.stderr, flush=True)

    with ExitStack() as stack:
        mock = stack.enter_context(yard.mock())
        nginx = stack.enter_context(yard.nginx(mock))
        gateway = stack.enter_context(yard.serve(mock))
        systems = [
            System("direct", mock, measured=False, most=1600),
            System("nginx", nginx, most=1600),
            System(V1, gateway),
            System(NATIVE, gateway, native=True),
        ]
        if arguments.beside:
            older = stack.enter_context(yard.serve(mock, command=arguments.beside.absolute()))
            systems += [System(f"{BESIDE}{V1}", older), System(f"{BESIDE}{NATIVE}", older, native=True)]
        for peer in peers:
            say(f"start {peer.name}")
            server = stack.enter_context(run_peer(peer, yard, mock))
            freeze(server.process.pid, frozen=True)
            systems.append(System(peer.name, server, peer=True, paced=peer.paced, most=peer.most))
        bench = Bench(yard, mock, systems, arguments.quick, arguments.repeat)
        for phase in _phases(arguments):
            say(phase)
            bench.alone(None)
            PHASES[phase](bench)
    say("done")
    machine["stolen"] = steal.text()
    _print(arguments, machine, bench)
    return 1 if bench.faults else 0


def _grow(arguments: argparse.Namespace, work: Path) -> int:
    """Measure how costs grow; 1 where one grows faster than linearly."""
    yard, began = Yard(arguments.tools.resolve(), arguments.gateway.absolute(), work), time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:4.0f} s  {text}", file=sys.stderr, flush=True)

    machine = facts(work)
    with yard.mock() as mock:
        panels = growth.measure(Bench(yard, mock, []), say)
    say("done")
    print("; ".join(f"{name} {value}" for name, value in machine.items()))
    for panel in panels:
        print(f"\n{panel.title}")
        for series in panel.series:
            costs = ", ".join(growth.shown(cost) for _, cost in series.points)
            print(f"  {series.sentence()} ({costs} µs) {'linear or less' if series.linear else 'MORE THAN LINEAR'}")
    arguments.growth.write_text(draw(panels))
    return 0 if all(series.linear for panel in panels for series in panel.series) else 1


def _find(arguments: argparse.Namespace, work: Path) -> int:
    """Measure how fast traces are found."""
    began, machine = time.monotonic(), facts(work)

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:4.0f} s  {text}", file=sys.stderr, flush=True)

    found = traces.compare(work, arguments.traces, 20 if arguments.quick else 300, arguments.markdown, say)
    print("; ".join(f"{name} {value}" for name, value in machine.items()))
    print()
    print(found)
    return 0


def _print(arguments: argparse.Namespace, machine: dict[str, str], bench: Bench) -> None:
    data = summary(bench.figures)
    found = verdicts(data)
    print("; ".join(f"{name} {value}" for name, value in machine.items()))
    print()
    print(table(data, [system.name for system in bench.systems], arguments.markdown))
    print()
    if arguments.beside:
        print(ratios(data, (V1, NATIVE), arguments.markdown))
    else:
        print(goal_table(found, arguments.markdown))
    for remark, times in Counter(bench.remarks).items():
        print(f"remark: {remark}{f' ({times} times)' if times > 1 else ''}")
    if arguments.json:
        everything = {
            "machine": machine,
            "metrics": data,
            "raw": bench.figures,
            "goals": goals_as_data(found),
            "faults": bench.faults,
            "remarks": bench.remarks,
        }
        arguments.json.write_text(json.dumps(everything, indent=1) + "\n")
    for fault in bench.faults:
        print(f"FAULT  {fault}", file=sys.stderr)


def main() -> int:
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is stopped
    try:
        if len(os.sched_getaffinity(0)) < 2:
            raise BenchError("two cores are needed: one for the gateway, one for the load")
        need("nginx", "nginx-light")
        if not arguments.gateway.is_file():
            raise BenchError(f"{arguments.gateway} is missing: scripts/setup makes it")
        # On the same disk as the tools, not in /tmp, which may be memory: a commit must be a real one.
        with TemporaryDirectory(dir=arguments.tools, prefix="run-") as work:
            measure = _grow if arguments.growth else _run if arguments.traces is None else _find
            return measure(arguments, Path(work))
    except BenchError as error:
        print(f"scripts/bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
