"""`gateway check`: prints the configuration that comes of the file and the environment, its secrets masked.

With --probe it asks each provider once instead, and prints a line for each.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from typing import TYPE_CHECKING

from gateway.cli.common import config_source, describe, note, printable, seconds

if TYPE_CHECKING:
    from gateway.config.schema import Config


def add_options(parser: argparse.ArgumentParser, summary: str) -> None:
    """Declare the command."""
    describe(parser, run, summary, "gateway check --config my.toml --probe")
    parser.add_argument("--probe", action="store_true", help="ask each provider once; exit code 1 where one fails")
    parser.add_argument(
        "--timeout", type=seconds, default=30.0, metavar="S", help="how long a provider may take (default 30 s)"
    )


def run(args: argparse.Namespace) -> int:
    """Print it, and warnings to stderr. Return 0, or 1 where a provider fails; main.py says what is wrong with a
    configuration that can't be."""
    from gateway.config.show import masked

    path, load = config_source(args, secrets=True)
    config = load()
    for warning in config.auth.warnings():
        note(f"warning: {warning}")
    if args.probe:
        return _probe(config, args.timeout)
    sys.stdout.write(f"# resolved from {path or 'the defaults: there is no config.toml here'}\n{masked(config)}")
    sys.stdout.flush()
    note("The configuration is valid. Its providers were not called: --probe asks each of them once.")
    return 0


def _probe(config: Config, timeout_s: float) -> int:
    from gateway.providers.probe import probe

    logging.getLogger("gateway.router").addHandler(logging.NullHandler())  # what it would warn of has a line here
    found = asyncio.run(probe(config, timeout_s))
    width = max(len(one.provider) for one in found)
    for one in found:
        said = f"FAILED  {one.asked}: {one.problem}" if one.problem else f"ok      {one.asked} ({one.seconds:.1f} s)"
        sys.stdout.write(f"{printable(one.provider):<{width}}  {printable(said)}\n")
    failed = sum(one.problem is not None for one in found)
    sys.stdout.flush()
    note(f"Providers that failed: {failed} of {len(found)}." if failed else "All providers answered.")
    return 1 if failed else 0
