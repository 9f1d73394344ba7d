"""`gateway chaos`: runs the chaos upstream of server.py until a signal ends it. Called by the CLI."""

from __future__ import annotations

import asyncio
import contextlib
import signal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway.chaos.cases import rows
from gateway.chaos.server import ChaosServer, start

_CONFIG = """\
[providers.chaos]
base_url = "{url}"

[models.default]
targets = ["chaos/reset-after-3"]"""


def main(host: str, port: int, console: Console | None = None) -> int:
    """Serve until SIGTERM or SIGINT, and return the exit code: 1 if it can't listen. Port 0 takes a free one."""
    try:
        return asyncio.run(_run(host, port, console or Console()))
    except OSError as problem:
        Console(stderr=True, soft_wrap=True).print(f"Cannot listen on {host}:{port}: {problem.strerror}.", markup=False)
        return 1


async def _run(host: str, port: int, console: Console) -> int:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    server = await start(host, port)
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, ended.set)
    _greet(server, console)
    try:
        await ended.wait()
    finally:
        for number in signals:
            with contextlib.suppress(ValueError):
                loop.remove_signal_handler(number)
        await server.close()
    return 0


def _greet(server: ChaosServer, console: Console) -> None:
    table = Table("model", "does", box=None, pad_edge=False)
    for pattern, description, *_ in rows():
        table.add_row(pattern, escape(description))
    console.print(table)
    console.print(f"\nbase URL {server.url}", f"nobody listens on {server.refused_url}", sep="\n", markup=False)
    console.print(f"counters {server.url.removesuffix('/v1')}/stats\n", markup=False)
    console.print(_CONFIG.format(url=server.url), markup=False, highlight=False, soft_wrap=True)
