"""`gateway conformance`: tries a gateway against the misbehaving upstream, as gateway/chaos/conformance.py does it."""

from __future__ import annotations

import argparse
import os
import sys

from gateway.cli.common import UsageError, describe, port


def add_options(parser: argparse.ArgumentParser, summary: str) -> None:
    """Declare the command."""
    parser.description = (
        "Try a gateway with every misbehaviour of the chaos upstream, which this command starts on --port and which "
        "the gateway must have as its provider: base_url http://HOST:PORT/v1, any key, models by their own names "
        "(--print-config makes a config for this gateway; GET /v1/models of the upstream lists the names)."
    )
    parser.add_argument("--target", metavar="URL", help="URL at which the gateway listens")
    parser.add_argument("--key", default=os.environ.get("GATEWAY_KEY"), help="the gateway's key, else GATEWAY_KEY")
    parser.add_argument("--model-prefix", default="", metavar="P", help="before the models' names: chaos/ for chaos/ok")
    parser.add_argument("--host", default="127.0.0.1", help="address of the upstream (127.0.0.1)")
    parser.add_argument("--port", type=port, default=8001, help="port of the upstream (8001)")
    parser.add_argument("--timeout", type=float, default=90.0, metavar="S", help="how long one answer may take (90)")
    parser.add_argument("--only", action="append", default=[], metavar="CASE", help="just this case; may come twice")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--print-config", action="store_true", help="a config for this gateway, and nothing else")
    describe(parser, run, summary, "gateway conformance --target http://127.0.0.1:8000")


def run(args: argparse.Namespace) -> int:
    """Return 1 where a case failed or the gateway can't be tried. Raise OSError."""
    from gateway.chaos import conformance

    if args.print_config:
        sys.stdout.write(conformance.example_config(f"http://{args.host}:{args.port}/v1"))
        return 0
    if not args.target:
        raise UsageError("--target is needed: the URL of the gateway to try")
    return conformance.main(
        conformance.Options(
            args.target, args.key, args.model_prefix, args.host, args.port, args.timeout, tuple(args.only), args.json
        )
    )
