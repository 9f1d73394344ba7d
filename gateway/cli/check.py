"""`gateway check`: prints the configuration that comes of the file and the environment, its secrets masked."""

from __future__ import annotations

import argparse
import sys

from gateway.cli.common import config_source, describe, note


def add_options(parser: argparse.ArgumentParser, summary: str) -> None:
    """Declare the command."""
    describe(parser, run, summary, "gateway check --config my.toml")


def run(args: argparse.Namespace) -> int:
    """Print it, and warnings to stderr. Return 0; main.py says what is wrong with one that can't be."""
    from gateway.config.show import masked

    path, load = config_source(args, secrets=True)
    config = load()
    sys.stdout.write(f"# resolved from {path or 'the defaults: there is no config.toml here'}\n{masked(config)}")
    sys.stdout.flush()
    for warning in config.auth.warnings():
        note(f"warning: {warning}")
    note("The configuration is valid. Its providers were not called.")
    return 0
