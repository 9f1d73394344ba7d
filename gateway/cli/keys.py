"""The words of `gateway keys`: its options, and what it prints. What a key is, is auth.py's; called by the CLI."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway.storage.scripts.keys import KeyRecord

_PUBLISHABLE_RATE = 600  # requests a minute of all the visitors of a page together


def add_options(
    create: argparse.ArgumentParser,
    listing: argparse.ArgumentParser,
    revoke: argparse.ArgumentParser,
    age: Callable[[str], float],
) -> None:
    """The options of the three commands; `age` reads a span of time, in seconds."""
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
    listing.add_argument("--all", action="store_true", help="revoked ones too")
    listing.add_argument("--json", action="store_true", help="one JSON object a line")
    revoke.add_argument("name", help="its name or ID")


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def made(args: argparse.Namespace) -> tuple[str, KeyRecord]:
    """A new key as the options ask for it, and its record. Raises ConfigError for options that don't go together."""
    from gateway.access.keys import new_key
    from gateway.config.schema import ConfigError
    from gateway.domain.ids import now_ms
    from gateway.errors import InvalidValue

    origins = [origin.strip() for given in args.origins or () for origin in given.split(",")]
    if args.publishable != bool(origins):
        raise ConfigError("keys create", "--publishable and --origins go together: the pages that such a key serves")
    if args.role is None and not args.publishable:
        raise ConfigError("keys create", "say what it may do: --role chat, review or admin, or --publishable")
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
        raise ConfigError("keys create", error.message) from None


def show_made(secret: str, record: KeyRecord, *, as_json: bool) -> None:
    """The one time that the key is shown."""
    from gateway.observability.lines import json_line

    if as_json:
        sys.stdout.write(json_line({"id": record.key_id, "key": secret} | _fields(record)) + "\n")
        return
    kind = f"publishable for {', '.join(record.origins)}" if record.publishable else f"role {record.role}"
    sys.stderr.write(f"key {record.name}, {kind}, project {record.project}; shown only now, and\n")
    sys.stderr.write("known to a running server within 2 seconds:\n")
    # The secret alone on stdout: KEY=$(gateway keys create --role chat)
    sys.stdout.write(secret + "\n")


def show(keys: Sequence[KeyRecord], *, as_json: bool) -> None:
    """One a line."""
    from gateway.domain.ids import now_ms
    from gateway.observability.lines import json_line, pretty_row, rfc3339

    if as_json:
        for key in keys:
            times = {name: getattr(key, name) for name in ("created", "last_used", "revoked")}
            sys.stdout.write(json_line({"id": key.key_id} | _fields(key) | {"hint": key.hint} | times) + "\n")
        return
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
