"""The command line: `gateway serve | check | tail | keys | report | export | erase | chaos | conformance`.

It parses, and calls what does the work; that is imported late, so that `--help` is quick. Errors are one line on
stderr; the exit code is 2 for bad usage or a bad configuration, 1 for a failure.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import os
import re
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from gateway import __version__
from gateway.cli import commands as commands_of_ops
from gateway.cli import conformance, keys
from gateway.storage.scripts.keys import add_key, list_keys, revoke_key

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.config.schema import Config
    from gateway.storage.engine import Store


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    args = _parser().parse_args(argv)
    from gateway.config.schema import ConfigError
    from gateway.errors import GatewayError

    try:
        code: int = args.run(args)
        sys.stdout.flush()
        return code
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


def _fail(text: str, code: int) -> int:
    from gateway.observability.lines import printable

    sys.stderr.write(f"gateway: {printable(text)}\n")
    return code


# --- what can be said ------------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    top = _Parser(
        prog="gateway",
        description="Streams LLM answers, traces each, and takes what users think of them.",
        epilog="example: gateway serve --port 9000",
    )
    top.add_argument("--version", action="version", version=f"gateway {__version__}")
    commands = top.add_subparsers(required=True, metavar="command")

    serve = _command(commands, "serve", _serve, "run the server", "gateway serve --port 9000 --store /data/gateway.db")
    serve.add_argument("--host", help="address to listen on")
    serve.add_argument("--port", type=_port, help="port to listen on; 0 takes a free one")
    _store_option(serve)

    _command(commands, "check", _check, "print the resolved config, or what is wrong", "gateway check --config my.toml")

    tail = _command(commands, "tail", _tail, "show chats and ratings", "gateway tail --follow --errors --since 10m")
    tail.add_argument("--follow", "-f", action="store_true", help="go on with what comes")
    tail.add_argument("--errors", action="store_true", help="only chats that failed")
    tail.add_argument("--feedback", action="store_true", help="only ratings")
    tail.add_argument("--json", action="store_true", help="one JSON object a line")
    tail.add_argument(
        "--since", type=_seconds, default=3600.0, metavar="AGE", help="how far back: 30s, 10m, 1h (default), 2d"
    )
    tail.add_argument("--url", help="live from a running gateway; --follow outlasts its restarts")
    tail.add_argument("--key", default=os.environ.get("GATEWAY_KEY"), help="admin key for --url, else GATEWAY_KEY")
    _store_option(tail)

    group = commands.add_parser(
        "keys", help="make, list and revoke API keys", epilog="example: gateway keys create --role chat --name my-app"
    ).add_subparsers(required=True, metavar="command")
    create = _command(group, "create", _keys_create, "make a key", "gateway keys create --role chat --name my-app")
    listing = _command(group, "list", _keys_list, "list the active keys", "gateway keys list --json")
    revoke = _command(group, "revoke", _keys_revoke, "end a key; servers act in 2 s", "gateway keys revoke my-app")
    keys.add_options(create, listing, revoke, _seconds)
    for command in (create, listing, revoke):
        _store_option(command)

    chaos = _command(commands, "chaos", _chaos, "run an upstream that misbehaves", "gateway chaos --port 9100")
    chaos.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    chaos.add_argument("--port", type=_port, default=8001, help="port to listen on (8001); 0 takes a free one")

    commands_of_ops.add_commands(functools.partial(_command, commands), _seconds, _config)
    example = "gateway conformance --target http://127.0.0.1:8000"
    conformance.add_options(_command(commands, "conformance", _conformance, "try any gateway", example), _port)
    return top


def _command(
    into: Any, name: str, run: Callable[[argparse.Namespace], int], what: str, example: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = into.add_parser(
        name, help=what, description=f"{what[0].upper()}{what[1:]}.", epilog=f"example: {example}"
    )
    parser.add_argument("--config", metavar="F", help="config file (./config.toml if it exists)")
    parser.set_defaults(run=run)
    return parser


def _store_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", metavar="URL", help="sqlite:///file.db, or just the file")


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65_535):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port (0 to 65535)")
    return int(text)


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d{1,9}(?:\.\d+)?)([smhd])", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is not an age such as 30s, 10m, 1h or 2d")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[match[2]]


# --- what is done ----------------------------------------------------------------------------------------------------


def _config(args: argparse.Namespace) -> tuple[Config, Path | None]:
    from gateway.config.load import find_config, load

    path = find_config(args.config)
    # Of a server's secrets only the server needs to know: the other commands run in any shell.
    return load(path, os.environ, _overrides(args), secrets=args.run is _check), path


def _overrides(args: argparse.Namespace) -> dict[str, Any]:
    keys = {"$.server.host": "host", "$.server.port": "port", "$.store.url": "store"}
    given = {key: value for key, name in keys.items() if (value := getattr(args, name, None)) is not None}
    if "://" not in given.get("$.store.url", "://"):
        given["$.store.url"] = f"sqlite:///{args.store}"
    return given


def _serve(args: argparse.Namespace) -> int:
    from gateway.app import serve
    from gateway.config.load import find_config, load

    path = find_config(args.config)
    from gateway.storage.sqlite import engine

    return serve(path, functools.partial(load, path, os.environ, _overrides(args)), engine)


def _check(args: argparse.Namespace) -> int:
    config, path = _config(args)
    from gateway.config.show import masked

    sys.stdout.write(f"# resolved from {path or 'the defaults: there is no config.toml here'}\n{masked(config)}")
    sys.stdout.flush()
    for warning in config.auth.warnings():
        sys.stderr.write(f"warning: {warning}\n")
    sys.stderr.write("ok (providers are not called)\n")
    return 0


def _chaos(args: argparse.Namespace) -> int:
    from gateway.chaos import main as chaos

    return chaos(args.host, args.port)


def _conformance(args: argparse.Namespace) -> int:
    return conformance.command(args)


def _with_store(
    args: argparse.Namespace, work: Callable[[Store], Coroutine[Any, Any, int]], *, create: bool = False
) -> int:
    config, _ = _config(args)
    from gateway.storage.sqlite.engine import SQLiteStore
    from gateway.storage.sqlite.file import parse_url

    async def run() -> int:
        store = await SQLiteStore.open(parse_url(config.store.url), own=False, create=create)
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())


def _tail(args: argparse.Namespace) -> int:
    from gateway.cli import tail

    printer = tail.Printer(sys.stdout, as_json=args.json, errors=args.errors, feedback=args.feedback)
    if args.url:
        with contextlib.suppress(KeyboardInterrupt):
            tail.from_url(args.url, args.key, printer, tail.stderr_note, follow=args.follow)
            return _fail(f"{args.url} ended the feed", 1)
        return 0

    async def work(store: Store) -> int:
        from gateway.domain.ids import now_ms

        since = now_ms() - round(args.since * 1000)
        errors = args.errors and not args.feedback
        if not await tail.from_store(store, printer, since, follow=args.follow, errors=errors):
            tail.stderr_note("nothing happened in that time (--since 2d looks further back)")
        return 0

    with contextlib.suppress(KeyboardInterrupt):
        return _with_store(args, work)
    return 0


def _keys_create(args: argparse.Namespace) -> int:
    from gateway.storage.sqlite.file import parse_url

    secret, record = keys.made(args)
    path = parse_url(_config(args)[0].store.url)
    fresh = not path.exists()

    async def work(store: Store) -> int:
        await store.write(add_key, record)
        if fresh:  # in another directory than the server's, the key would open nothing
            sys.stderr.write(f"made the store {path.resolve()}, as none was there\n")
        keys.show_made(secret, record, as_json=args.json)
        return 0

    return _with_store(args, work, create=True)


def _keys_list(args: argparse.Namespace) -> int:
    async def work(store: Store) -> int:
        keys.show([key for key in await store.read(list_keys) if args.all or key.revoked is None], as_json=args.json)
        return 0

    return _with_store(args, work)


def _keys_revoke(args: argparse.Namespace) -> int:
    async def work(store: Store) -> int:
        from gateway.domain.ids import now_ms
        from gateway.observability.lines import printable

        record = await store.write(revoke_key, args.name, now_ms())
        sys.stdout.write(f"revoked {printable(record.name)} ({record.key_id})\n")
        return 0

    return _with_store(args, work)
