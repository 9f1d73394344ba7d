"""`gateway erase`: has a person's content removed by the server that owns the store; without one, does it itself."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys

from gateway.cli.common import UsageError, add_store_option, describe, encodable, note, printable, read_config
from gateway.cli.store import opener
from gateway.config.current import Current
from gateway.config.schema import Config
from gateway.domain import ids
from gateway.erasure import Erased, EraseRequest, Erasure, Mailbox
from gateway.errors import Conflict, GatewayError
from gateway.storage.engine import Opener, Store
from gateway.storage.recovery import recover

_LOOK_S = 0.1
_ROUND_S = 5.0  # then somebody else may own the store, or nobody


def add_options(parser: argparse.ArgumentParser, summary: str) -> None:
    """Declare the command."""
    describe(parser, run, summary, "gateway erase --user jane@example.com")
    parser.add_argument("--user", required=True, help="the user_id that chats and ratings were sent with")
    parser.add_argument("--project", help="only of this project; else of all")
    parser.add_argument("--yes", action="store_true", help="do not ask first; without a terminal it never asks")
    add_store_option(parser)


def run(args: argparse.Namespace) -> int:
    """Ask, where there is a terminal, and erase. Return 0, or 1 where the answer was no."""
    if not (1 <= len(args.user) <= 250 and encodable(args.user)):
        raise UsageError("--user must have 1 to 250 characters, in UTF-8")
    if not args.yes and sys.stdin.isatty() and not _confirmed(args.user, args.project):
        note("Nothing was erased.")
        return 1
    erased = asyncio.run(erase(opener(), read_config(args), EraseRequest(args.user, args.project)))
    sys.stdout.write(f"erased: {erased.traces} traces, {erased.ratings} ratings; their numbers are kept\n")
    if not erased.rewritten:
        note("The store is large, so that its file was not written anew beside the running server. Pieces of old pages")
        note("may be in it until you run this again while the server is stopped.")
    return 0


def _confirmed(user_id: str, project: str | None) -> bool:
    where = f"in project {project}" if project else "in every project"
    sys.stderr.write(printable(f"Erase all content of the user {user_id} {where}? This can't be undone. [y/N] "))
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


async def erase(stores: Opener, config: Config, request: EraseRequest, *, patience_s: float = 600) -> Erased:
    """Erase a person from the configured store, and return how much that was. Raise GatewayError.

    It is raised after `patience_s` too, where a server hasn't got it done; that goes on all the same.
    """
    request_id, url = secrets.token_hex(8), config.store.url
    try:
        async with asyncio.timeout(patience_s):
            while True:
                try:
                    store = await stores.open_store(url, own=True, create=False)
                except Conflict:
                    erased = await _by_the_server(stores, url, request_id, request)
                else:
                    erased = await _here(store, config, request_id, request)
                if erased is not None:
                    return erased
    except TimeoutError:
        raise GatewayError("The server has not done it yet. It will, once its store and its streams let it.") from None


async def _here(store: Store, config: Config, request_id: str, request: EraseRequest) -> Erased:
    """Erase as the store's owner. What a server left open is closed first, so that it is erased too."""
    try:
        await recover(store, ids.now_ms())
        await Mailbox(store).collect(request_id)
        erasure = Erasure(store, None, Current(config))
        return await erasure.erase(request, request_id=request_id, rewrite=True)
    finally:
        await store.close()


async def _by_the_server(stores: Opener, url: str, request_id: str, request: EraseRequest) -> Erased | None:
    """Ask the server, and wait a round for its result; None where there is none yet."""
    store = await stores.open_store(url, own=False, create=False)
    try:
        mailbox = Mailbox(store)
        await mailbox.send(request_id, request)
        for _ in range(round(_ROUND_S / _LOOK_S)):
            await asyncio.sleep(_LOOK_S)
            if result := await mailbox.collect(request_id):
                if result.erased is None:
                    raise GatewayError(result.error or "The server could not do it.")
                return result.erased
        return None
    finally:
        await store.close()
