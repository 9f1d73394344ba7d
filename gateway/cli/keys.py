"""`gateway keys create | list | revoke`: makes, lists and ends API keys. What a key is, is access/keys.py's."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from gateway.cli.common import Run, UsageError, add_store_option, age, describe, note, printable, read_config
from gateway.cli.store import opener, store_path, with_store

if TYPE_CHECKING:
    from gateway.storage.engine import Store
    from gateway.storage.scripts.keys import KeyRecord

_PUBLISHABLE_RATE = 600  # requests a minute of all the visitors of a page together


def add_options(parser: argparse.ArgumentParser, summary: str) -> None:
    """Declare the command and its three commands."""
    parser.description = f"{summary[0].upper()}{summary[1:]}."
    parser.epilog = "example: gateway keys create --role chat --name my-app"
    group = parser.add_subparsers(required=True, metavar="command")

    def command(name: str, run: Run, summary: str, example: str) -> argparse.ArgumentParser:
        parser = group.add_parser(name, help=summary)
        describe(parser, run, summary, example)
        add_store_option(parser)
        return parser

    create = command("create", _create, "make a key", "gateway keys create --role chat --name my-app")
    create.add_argument("--role", choices=["chat", "review", "admin"], help="what the key may do")
    create.add_argument("--publishable", action="store_true", help="a key for web pages: it only chats (see --origins)")
    create.add_argument(
        "--origins",
        action="extend",
        nargs="+",
        metavar="O",
        help="whose pages it serves: https://a.example,https://b.example",
    )
    create.add_argument("--project", default="default", help="whose traces it makes and sees")
    create.add_argument("--name", help="unique among the active keys; one is made up otherwise")
    create.add_argument(
        "--rate", type=_count, metavar="N", help=f"requests a minute ({_PUBLISHABLE_RATE} for a publishable key)"
    )
    create.add_argument("--expires", type=age, metavar="AGE", help="when it ends by itself: 12h, 30d")
    create.add_argument("--json", action="store_true", help="print one JSON object")

    listing = command("list", _list, "list the active keys", "gateway keys list --json")
    listing.add_argument("--all", action="store_true", help="revoked ones too")
    listing.add_argument("--json", action="store_true", help="one JSON object a line")

    revoke = command("revoke", _revoke, "end a key, also at a running server", "gateway keys revoke my-app")
    revoke.add_argument("name", help="its name or ID")


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def _create(args: argparse.Namespace) -> int:
    from gateway.storage.scripts.keys import add_key

    secret, record = _new_key(args)
    path = store_path(args)
    fresh = not path.exists()

    async def work(store: Store) -> int:
        await store.write(add_key, record)
        if record.publishable:  # pages ask first, without the key, whether their origin is served
            await _tell_server(args, store)
        if fresh:  # in another directory than the server's, the key would open nothing
            note(f"No store was there, so {path.resolve()} was made.")
        _show_secret(secret, record, as_json=args.json)
        return 0

    return with_store(args, work, create=True)


def _list(args: argparse.Namespace) -> int:
    from gateway.storage.scripts.keys import list_keys

    async def work(store: Store) -> int:
        keys = [key for key in await store.read(list_keys) if args.all or key.revoked is None]
        if args.json:
            _show_json(keys)
        else:
            _show_table(keys)
        return 0

    return with_store(args, work)


def _revoke(args: argparse.Namespace) -> int:
    from gateway.domain.ids import now_ms
    from gateway.storage.scripts.keys import revoke_key

    async def work(store: Store) -> int:
        record = await store.write(revoke_key, args.name, now_ms())
        await _tell_server(args, store)
        sys.stdout.write(f"revoked {printable(record.name)} ({record.key_id})\n")
        return 0

    return with_store(args, work)


async def _tell_server(args: argparse.Namespace, store: Store) -> None:
    """Return once a running server has read the keys again; say so where it doesn't."""
    from gateway.access.stored_keys import wait_for_server
    from gateway.errors import Conflict

    try:
        opener().check_unowned(read_config(args).store.url)
    except Conflict:
        if not await wait_for_server(store):
            note("The running server has not read the keys again yet. It does so as soon as it can.")


def _new_key(args: argparse.Namespace) -> tuple[str, KeyRecord]:
    """Return a new key as the options ask for it, and its record. Raise UsageError for what can't be."""
    from gateway.access.keys import new_key
    from gateway.domain.ids import now_ms
    from gateway.errors import InvalidValue

    origins = [origin.strip() for given in args.origins or () for origin in given.split(",")]
    if args.publishable != bool(origins):
        raise UsageError("--publishable and --origins go together: a publishable key serves the pages of its origins")
    if args.role is None and not args.publishable:
        raise UsageError("one of --role chat, --role review, --role admin or --publishable is needed")
    rate = args.rate if args.rate is not None else _PUBLISHABLE_RATE if args.publishable else 0
    expires = None if args.expires is None else now_ms() + round(args.expires * 1000)
    try:
        return new_key(
            args.role or "chat",
            args.project,
            args.name,
            origins=origins,
            requests_per_minute=rate,
            expires=expires,
        )
    except InvalidValue as error:
        raise UsageError(error.message) from None


def _show_secret(secret: str, record: KeyRecord, *, as_json: bool) -> None:
    """Print the key, this once. The secret alone goes to stdout: KEY=$(gateway keys create --role chat)."""
    from gateway.observability.lines import json_line

    if as_json:
        sys.stdout.write(json_line({"id": record.key_id, "key": secret} | _fields(record)) + "\n")
        return
    kind = f"publishable for {', '.join(record.origins)}" if record.publishable else f"role {record.role}"
    note(f"The key {record.name} ({kind}, project {record.project}) is shown only now.")
    note("It works at once, also at a running server.")
    sys.stdout.write(secret + "\n")


def _show_json(keys: Iterable[KeyRecord]) -> None:
    from gateway.observability.lines import json_line

    for key in keys:
        times = {name: getattr(key, name) for name in ("created", "last_used", "revoked")}
        sys.stdout.write(json_line({"id": key.key_id} | _fields(key) | {"hint": key.hint} | times) + "\n")


def _show_table(keys: Iterable[KeyRecord]) -> None:
    from gateway.domain.ids import now_ms
    from gateway.observability.lines import pretty_row, rfc3339

    rows = [("name", "role", "project", "begins with", "created", "ends", "last used")]
    for key in keys:
        if key.revoked or (key.expires and key.expires <= now_ms()):
            used = "revoked" if key.revoked else "expired"
        else:
            used = rfc3339(key.last_used)[:19] if key.last_used else "never"
        ends = rfc3339(key.expires)[:10] if key.expires else "never"
        role = "web" if key.publishable else key.role
        rows.append((key.name, role, key.project, f"{key.hint}…", rfc3339(key.created)[:10], ends, used))
    for row in rows:
        sys.stdout.write(pretty_row(row, (18, 7, 12, 12, 11, 11, 20)) + "\n")


def _fields(record: KeyRecord) -> dict[str, Any]:
    names = ("role", "project", "name", "publishable", "origins", "requests_per_minute", "expires")
    return {name: getattr(record, name) for name in names}
