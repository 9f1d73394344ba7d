"""`gateway serve`: runs the server, which app.py puts together."""

from __future__ import annotations

import argparse

from gateway.cli.common import add_store_option, config_source, describe, port
from gateway.cli.store import opener


def add_options(parser: argparse.ArgumentParser, summary: str) -> None:
    """Declare the command."""
    describe(parser, run, summary, "gateway serve --port 9000 --store /data/gateway.db")
    parser.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=port, help="port to listen on (default 8000); 0 takes a free one")
    add_store_option(parser)


def run(args: argparse.Namespace) -> int:
    """Serve until a signal comes. Return 0."""
    from gateway.app import serve

    return serve(*config_source(args, secrets=True), opener())
