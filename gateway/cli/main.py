"""The command line: `gateway COMMAND`. This is the table of the commands, and where their errors are printed.

Only the module of the command that was asked for is imported. Errors are one line on stderr; the exit code is 2 for bad
usage or a bad configuration, 1 for a failure.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Sequence

from gateway import __version__
from gateway.cli.common import Parser, UsageError, note

COMMANDS = {
    "serve": "run the server",
    "check": "print the resolved config, or what is wrong",
    "tail": "show chats and ratings",
    "keys": "make, list and revoke API keys",
    "invite": "print a link by which a reviewer or lead comes in",
    "report": "show how many chats were rated, and how",
    "export": "write traces or ratings for other programs",
    "erase": "remove a person's content, and keep the ratings' numbers",
    "chaos": "run an upstream that misbehaves",
    "conformance": "try any gateway against that upstream",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code."""
    argv = sys.argv[1:] if argv is None else argv
    args = _parser(next((text for text in argv if not text.startswith("-")), "")).parse_args(argv)
    from gateway.config.schema import ConfigError
    from gateway.errors import GatewayError

    try:
        code: int = args.run(args)
        sys.stdout.flush()
        return code
    except UsageError as error:
        parser: Parser = args.parser
        parser.error(str(error))
    except ConfigError as error:
        return _fail(str(error), 2)
    except GatewayError as error:
        return _fail(error.message, 1)
    except BrokenPipeError:  # `gateway tail | head`
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except OSError as error:
        return _fail(str(error), 1)
    except KeyboardInterrupt:
        return 130


def _parser(chosen: str) -> Parser:
    """Return a parser that knows all commands, and the options of the chosen one."""
    top = Parser(
        prog="gateway",
        description="Streams LLM answers, traces each, and takes what users think of them.",
        epilog="example: gateway serve --port 9000",
    )
    top.add_argument("--version", action="version", version=f"gateway {__version__}")
    commands = top.add_subparsers(required=True, metavar="command")
    for name, summary in COMMANDS.items():
        parser = commands.add_parser(name, help=summary)
        if name == chosen:
            importlib.import_module(f"gateway.cli.{name}").add_options(parser, summary)
    return top


def _fail(text: str, code: int) -> int:
    note(f"gateway: {text}")
    return code
