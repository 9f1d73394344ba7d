"""`gateway tail`: chats and ratings, one line each, from the store or from a running gateway's live feed.

The store is read beside the server, by a connection that does not own it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from typing import TextIO
from urllib.parse import urlsplit

import msgspec

from gateway.cli.common import add_since_option, add_store_option, describe, note, since_ms
from gateway.cli.store import with_store
from gateway.domain.activity import Activity, RatingActivity
from gateway.domain.ids import now_ms
from gateway.domain.trace import Outcome
from gateway.errors import GatewayError, Unauthorized
from gateway.observability.feed import Lost
from gateway.observability.lines import OUTCOMES, json_line, pretty_line
from gateway.storage.engine import Engine, Store
from gateway.storage.scripts.ops import recent
from gateway.wire.sse import FrameSplitter, frame_data

POLL_S = 0.5
RETRY_S = 1.0
# A record bears the time at which it happened and shows up when it is committed, a little later as a rule and much
# later where the store had trouble: each poll looks a little back, and one in 20 far back.
LOOK_BACK_MS, FAR_BACK_MS, FAR_EVERY = 3_000, 120_000, 20
_MAX_FRAME = 16_777_216  # bytes; the pings of an idle feed count, some ten a minute
_event = msgspec.json.Decoder(Activity | Lost)


def add_options(parser: argparse.ArgumentParser, summary: str) -> None:
    """Declare the command."""
    describe(parser, run, summary, "gateway tail --follow --errors --since 10m")
    parser.add_argument("--follow", "-f", action="store_true", help="go on with what comes")
    parser.add_argument("--errors", action="store_true", help="only chats that failed")
    parser.add_argument("--feedback", action="store_true", help="only ratings")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    add_since_option(parser, "1h")
    parser.add_argument("--url", help="live from a running gateway; --follow outlasts its restarts")
    parser.add_argument("--key", default=os.environ.get("GATEWAY_KEY"), help="admin key for --url, else GATEWAY_KEY")
    add_store_option(parser)


def run(args: argparse.Namespace) -> int:
    """Print until there is nothing more. Return 0; raise GatewayError where the live feed ended."""
    printer = Printer(sys.stdout, as_json=args.json, errors=args.errors, feedback=args.feedback)

    async def work(store: Store) -> int:
        errors = args.errors and not args.feedback
        if not await from_store(store, printer, since_ms(args.since), follow=args.follow, errors=errors):
            note("Nothing happened in that time. --since 2d looks further back.")
        return 0

    with contextlib.suppress(KeyboardInterrupt):
        if not args.url:
            return with_store(args, work)
        from_url(args.url, args.key, printer, note, follow=args.follow)
        raise GatewayError(f"{args.url} ended the feed.")
    return 0


class Printer:
    """Writes records to `out` in the form that was asked for, leaving out those that weren't."""

    def __init__(self, out: TextIO, *, as_json: bool, errors: bool, feedback: bool) -> None:
        terminal = out.isatty()
        self._out, self._json, self._terminal = out, as_json, terminal
        self._errors, self._feedback = errors, feedback
        self._colour = terminal and not os.environ.get("NO_COLOR")

    def wants(self, record: Activity) -> bool:
        """Return True for failed chats with --errors, for ratings with --feedback, and for all without either."""
        if not self._errors and not self._feedback:
            return True
        if isinstance(record, RatingActivity):
            return self._feedback
        return self._errors and (record.outcome not in set(OUTCOMES) or Outcome(record.outcome).state == "ERROR")

    def show(self, record: Activity) -> None:
        """Write one line, and flush it."""
        if not self.wants(record):
            return
        if self._json:
            line = json_line(record)
        else:
            width = shutil.get_terminal_size().columns if self._terminal else None
            line = pretty_line(record, width=width, colour=self._colour)
        self._out.write(line.encode("utf-8", "backslashreplace").decode() + "\n")
        self._out.flush()


async def from_store(store: Engine, printer: Printer, since_ms: int, *, follow: bool, errors: bool = False) -> int:
    """Show what happened since then; with `follow` go on until cancelled. Returns how many records there were."""
    seen: dict[str, int] = {}
    start, polls = since_ms, 0
    while True:
        for record in await _all_since(store, since_ms, errors=errors, unbounded=polls > 0):
            key = json_line(record)
            if key not in seen:
                seen[key] = record.time
                printer.show(record)
        if not follow:
            return len(seen)
        await asyncio.sleep(POLL_S)
        polls += 1
        oldest = now_ms() - FAR_BACK_MS
        since_ms = max(start, now_ms() - LOOK_BACK_MS if polls % FAR_EVERY else oldest)
        if polls % FAR_EVERY == 0:
            seen = {key: time for key, time in seen.items() if time >= oldest - FAR_BACK_MS}


async def _all_since(store: Engine, since_ms: int, *, errors: bool, unbounded: bool) -> list[Activity]:
    """Return the newest thousand at first, and later all that came between two looks."""
    limit = 1000
    while True:
        records = await store.read(recent, since_ms, limit, errors=errors)
        if len(records) < limit or not unbounded:
            return records
        limit *= 4


def from_url(url: str, key: str | None, printer: Printer, note: Callable[[str], None], *, follow: bool = False) -> None:
    """Show what happens at a running gateway until it ends the feed; with `follow`, a feed that was there and is lost
    is asked for again until it is back. Raises GatewayError where it can't be had."""
    was_open, lost = False, False
    while True:
        try:
            for data in _events(url, key):
                if data is not None:
                    _show(data, printer, note)
                    continue
                if lost:
                    note(f"{url} is back. What happened meanwhile is in the store.")
                was_open, lost = True, False
            why = f"{url} ended the feed."
        except GatewayError as error:
            if not (follow and was_open) or isinstance(error, Unauthorized):
                raise
            why = error.message
        if not follow:
            return
        if not lost:
            note(f"{why} Trying again.")
        lost = True
        time.sleep(RETRY_S)


def _show(data: bytes, printer: Printer, note: Callable[[str], None]) -> None:
    try:
        record = _event.decode(data)
    except msgspec.DecodeError:
        return  # a kind of event that a later release sends
    if isinstance(record, Lost):
        note(f"{record.count} lines were lost here, since this reader was too slow.")
    else:
        printer.show(record)


def _events(url: str, key: str | None) -> Iterator[bytes | None]:
    """None once it is open, then the `data` of each event of URL/events (text/event-stream)."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good or not parts.hostname:
        raise GatewayError(f"{url} is not an http:// or https:// address.")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    headers = {"Accept": "text/event-stream"} | ({"Authorization": f"Bearer {key}"} if key else {})
    connection = kind(parts.hostname, parts.port, timeout=10)
    try:
        connection.connect()
        stream = connection.sock
        connection.request("GET", parts.path.rstrip("/") + "/events", headers=headers)
        response = connection.getresponse()
        if response.status in (401, 403):
            raise Unauthorized(f"{url} wants an admin key: give it by --key or in GATEWAY_KEY.")
        if response.status != 200:
            raise GatewayError(f"{url}/events answered {response.status}. Is it a gateway?")
        # How often pings come is the gateway's configuration: the system finds out about a peer that is gone.
        stream.settimeout(None)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        yield None
        frames = FrameSplitter(_MAX_FRAME)
        while chunk := response.read1(65_536):
            for frame in frames.feed(chunk):
                if data := frame_data(frame):
                    yield data
    except (OSError, ValueError, http.client.HTTPException) as error:  # ValueError: a key that no header can hold
        raise GatewayError(f"{url} can't be read: {error or type(error).__name__}.") from None
    finally:
        connection.close()
