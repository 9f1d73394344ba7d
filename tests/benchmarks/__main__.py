"""`scripts/bench`: measures direct, nginx and this gateway in one run and prints them side by side."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from .machine import BenchError, facts, need
from .phases import PHASES, Bench
from .report import as_data, table
from .systems import System, Yard


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measures this gateway beside nginx and the bare upstream. Example: scripts/bench --quick",
    )
    parser.add_argument("--only", choices=PHASES, action="append", metavar="PHASE", help=f"of {', '.join(PHASES)}")
    parser.add_argument(
        "--memory", action="store_true", help="also the memory after 100,000 requests (a minute or two)"
    )
    parser.add_argument("--quick", action="store_true", help="one repetition, shorter: a rough look")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures as JSON")
    parser.add_argument("--markdown", action="store_true", help="print the table as docs/benchmarks.md has it")
    parser.add_argument("--gateway", type=Path, default=Path(".venv/bin/gateway"), help="the command to measure")
    parser.add_argument("--tools", type=Path, required=True, help=argparse.SUPPRESS)
    return parser.parse_args()


def _phases(arguments: argparse.Namespace) -> list[str]:
    if arguments.only:
        return [phase for phase in PHASES if phase in arguments.only]
    return [phase for phase in PHASES if phase != "memory" or arguments.memory]


def _run(arguments: argparse.Namespace, work: Path) -> int:
    machine = facts()
    yard = Yard(arguments.tools.resolve(), arguments.gateway.absolute(), work)
    began = time.monotonic()
    with ExitStack() as stack:
        mock = stack.enter_context(yard.mock())
        nginx = stack.enter_context(yard.nginx(mock))
        gateway = stack.enter_context(yard.serve(mock))
        systems = [
            System("direct", mock, measured=False),
            System("nginx", nginx),
            System("gateway /v1", gateway),
            System("gateway /chat/stream", gateway, native=True),
        ]
        bench = Bench(yard, mock, systems, arguments.quick)
        for phase in _phases(arguments):
            print(f"{time.monotonic() - began:4.0f} s  {phase}", file=sys.stderr, flush=True)
            PHASES[phase](bench)
    print(f"{time.monotonic() - began:4.0f} s  done", file=sys.stderr, flush=True)
    print("; ".join(f"{name} {value}" for name, value in machine.items()))
    print()
    print(table(bench.figures, [system.name for system in systems], arguments.markdown))
    if arguments.json:
        arguments.json.write_text(json.dumps(as_data(machine, bench.figures, bench.faults), indent=1) + "\n")
    for fault in bench.faults:
        print(f"FAULT  {fault}", file=sys.stderr)
    return 1 if bench.faults else 0


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
            return _run(arguments, Path(work))
    except BenchError as error:
        print(f"scripts/bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
