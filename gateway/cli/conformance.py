"""The words of `gateway conformance`; its work is in gateway/chaos/conformance.py, imported late. Called by the CLI."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable


def add_options(parser: argparse.ArgumentParser, port: Callable[[str], int]) -> None:
    """The options of the command; `port` reads a port."""
    parser.description = (
        "Tries a gateway with every misbehaviour of the chaos upstream, which this command starts on --port and which "
        "the gateway must have as its provider: base_url http://HOST:PORT/v1, any key, models by their own names "
        "(--print-config makes a config for this gateway; GET /v1/models of the upstream lists the names)."
    )
    parser.add_argument("--target", metavar="URL", help="where the gateway listens")
    parser.add_argument("--key", default=os.environ.get("GATEWAY_KEY"), help="the gateway's key, else GATEWAY_KEY")
    parser.add_argument("--model-prefix", default="", metavar="P", help="before the models' names: chaos/ for chaos/ok")
    parser.add_argument("--host", default="127.0.0.1", help="address of the upstream (127.0.0.1)")
    parser.add_argument("--port", type=port, default=8001, help="port of the upstream (8001)")
    parser.add_argument("--timeout", type=float, default=90.0, metavar="S", help="how long one answer may take (90)")
    parser.add_argument("--only", action="append", default=[], metavar="CASE", help="just this case; may come twice")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--print-config", action="store_true", help="a config for this gateway, and nothing else")


def command(args: argparse.Namespace) -> int:
    """The exit code: 1 where a case failed or the gateway can't be tried, 2 for bad usage. Raises OSError."""
    from gateway.chaos import conformance

    if args.print_config:
        sys.stdout.write(conformance.example_config(f"http://{args.host}:{args.port}/v1"))
        return 0
    if not args.target:
        sys.stderr.write("gateway conformance: --target is needed (see gateway conformance --help)\n")
        return 2
    return conformance.main(
        conformance.Options(
            args.target, args.key, args.model_prefix, args.host, args.port, args.timeout, tuple(args.only), args.json
        )
    )
