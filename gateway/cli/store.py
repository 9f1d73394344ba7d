"""How commands open a store by its URL. Here alone the command line knows which engines there are."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.cli.common import read_config

if TYPE_CHECKING:
    from gateway.storage.engine import Opener, RowReader, Store


def opener() -> Opener:
    """Return the engine that opens stores."""
    from gateway.storage.sqlite import engine

    return engine


def with_store(args: argparse.Namespace, work: Callable[[Store], Awaitable[int]], *, create: bool = False) -> int:
    """Do something with the store that the options and the configuration name, beside whoever owns it."""
    url = read_config(args).store.url

    async def run() -> int:
        store = await opener().open_store(url, own=False, create=create)
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())


def reading(args: argparse.Namespace) -> AbstractContextManager[RowReader]:
    """Open the store to read it row by row, beside whoever owns it."""
    return opener().reading(read_config(args).store.url)


def store_path(args: argparse.Namespace) -> Path:
    """Return the file of the store that the options and the configuration name."""
    from gateway.storage.sqlite.file import parse_url

    return parse_url(read_config(args).store.url)
