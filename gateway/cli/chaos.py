"""`gateway chaos`: runs the misbehaving upstream of the package gateway/chaos."""

from __future__ import annotations

import argparse

from gateway.cli.common import describe, port


def add_options(parser: argparse.ArgumentParser, summary: str) -> None:
    """Declare the command."""
    describe(parser, run, summary, "gateway chaos --port 9100")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=port, default=8001, help="port to listen on (8001); 0 takes a free one")


def run(args: argparse.Namespace) -> int:
    """Serve until a signal comes. Return 0."""
    from gateway.chaos import main

    return main(args.host, args.port)
