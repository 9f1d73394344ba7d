"""`gateway invite`: prints a link by which somebody comes in."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from gateway.cli.common import UsageError, add_store_option, age, describe, note, read_config
from gateway.cli.store import with_store

if TYPE_CHECKING:
    from gateway.storage.engine import Store

_DAY_S = 86_400


def add_options(parser: argparse.ArgumentParser, summary: str) -> None:
    """Declare the command's options."""
    describe(parser, run, summary, "gateway invite ann@example.com --role lead")
    parser.add_argument("user_id", metavar="EMAIL", help="whom: an e-mail address, or any name")
    parser.add_argument("--role", choices=["reviewer", "lead"], default="reviewer", help="what they may do (reviewer)")
    parser.add_argument(
        "--labeling-session", action="append", default=[], metavar="ID", help="what they are to review; may be repeated"
    )
    parser.add_argument("--expires", type=age, default=age("14d"), metavar="AGE", help="when it ends: 12h, 14d (14d)")
    parser.add_argument("--project", default="default", help="whose traces they see")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_store_option(parser)


def run(args: argparse.Namespace) -> int:
    """Make the invitation. Raise UsageError, GatewayError."""
    from gateway.access.invites import link, new_invite
    from gateway.access.people import configured_role
    from gateway.domain.ids import now_ms
    from gateway.domain.people import MAX_NAME, person_id
    from gateway.errors import Conflict
    from gateway.observability.lines import json_line, rfc3339
    from gateway.observability.logs import local_url
    from gateway.storage.scripts.invites import add_invite

    if (user_id := person_id(args.user_id)) is None:
        raise UsageError(f"a name has 1 to {MAX_NAME} printable characters")
    config = read_config(args)
    if configured_role(config.auth.people, user_id) is not None:
        raise Conflict("This person has a role by [auth.people] of the configuration.")
    secret, invite = new_invite(
        args.project,
        user_id,
        args.role,
        by="gateway invite",
        now=now_ms(),
        days=args.expires / _DAY_S,
        labeling_sessions=tuple(args.labeling_session),
    )
    base = config.server.public_url.rstrip("/") or local_url(config.server.host, config.server.port).rstrip("/")
    url = link(base, secret)

    async def work(store: Store) -> int:
        await store.write(add_invite, invite)
        if args.json:
            shown = {"id": invite.invite_id, "url": url, "user_id": user_id, "role": args.role}
            sys.stdout.write(json_line(shown | {"expires": invite.expires}) + "\n")
            return 0
        note(f"The link for {user_id} ({args.role}) is shown only now. It works until {rfc3339(invite.expires)[:16]}.")
        if not config.server.public_url:
            note(
                "It is made for the configuration's host and port. Set [server] public_url where people come elsewhere."
            )
        sys.stdout.write(url + "\n")
        return 0

    return with_store(args, work)
