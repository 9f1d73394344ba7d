"""The engine on SQLite: writes go to one writer thread, reads to connections of their own.

This module is an `Opener`, and what it opens is a `Store`: see gateway/storage/engine.py for what both promise. The
command line chooses it, for the server and for the commands that read or write beside one.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import ParamSpec, Self, TypeVar

import aiosqlite

from gateway.errors import InvalidValue, StoreUnavailable
from gateway.storage.engine import Script, Stats
from gateway.storage.sqlite import file
from gateway.storage.sqlite.errors import unusable
from gateway.storage.sqlite.file import check_unowned, connect, locate, parse_url, same_file
from gateway.storage.sqlite.lock import StoreLock
from gateway.storage.sqlite.readers import open_reader, run_on
from gateway.storage.sqlite.row_reader import reading
from gateway.storage.sqlite.writer import Writer

__all__ = ["SQLiteStore", "check_unowned", "open_store", "reading"]
P = ParamSpec("P")
T = TypeVar("T")
_READERS, _SEARCHERS = 2, 1
_SEARCH_S = 10
_TRIM_PAGES = 1000  # given back to the file system at once


async def open_store(url: str, *, own: bool, create: bool = True) -> SQLiteStore:
    """Open or make a store, as `Opener` says."""
    return await SQLiteStore.open(parse_url(url), own=own, create=create)


class SQLiteStore:
    """One opened file; see `Engine` and `Maintenance` for what the methods promise."""

    def __init__(self, path: Path, writer: Writer, readers: list[aiosqlite.Connection], lock: StoreLock) -> None:
        self.path = path
        self._writer = writer
        self._readers = readers
        self._free: asyncio.LifoQueue[aiosqlite.Connection] = asyncio.LifoQueue()
        self._searches: asyncio.LifoQueue[aiosqlite.Connection] = asyncio.LifoQueue()
        for at, reader in enumerate(readers):
            (self._free if at < _READERS else self._searches).put_nowait(reader)
        self._lock = lock

    @classmethod
    async def open(cls, path: Path, *, own: bool, create: bool = True, max_queue: int = 10_000) -> Self:
        """Open or make the file. `own`: as its one server.

        Raise Conflict if another process is that, or has the file by another of its names, and StoreUnavailable, in one
        line, for a file that can't be used.
        """
        path = locate(path)
        if not create and not path.exists():
            raise unusable(path, "there is no such file.")
        lock = StoreLock.take(path, own=own, create=create)
        connection: sqlite3.Connection | None = None
        readers: list[aiosqlite.Connection] = []
        try:
            connection = await asyncio.to_thread(connect, path)
            is_same = same_file(path)
            for _ in range(_READERS + _SEARCHERS):
                readers.append(await open_reader(path))
            return cls(path, Writer(connection, is_same, max_queue), readers, lock)
        except BaseException:
            for reader in readers:
                await reader.close()
            if connection is not None:
                connection.close()
            lock.release()
            raise

    async def close(self) -> None:
        """Commit what waits, then let go of the file. A second call does nothing."""
        try:
            readers, self._readers = self._readers, []
            for reader in readers:
                await reader.close()
        finally:
            await self._writer.close()
            self._lock.release()

    @property
    def stats(self) -> Stats:
        return self._writer.stats

    def synchronous(self) -> Awaitable[int]:
        """Return what the writing connection says of its durability: 2 is FULL."""
        return self._writer.submit(_synchronous)

    def write(self, script: Callable[P, Script[T]], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        return self._writer.submit(script, *args, **kwargs)

    async def read(self, script: Callable[P, Script[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        reader = await self._free.get()
        try:
            return await run_on(reader, script(*args, **kwargs))
        finally:
            self._free.put_nowait(reader)

    async def search(self, script: Callable[P, Script[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        reader = await self._searches.get()
        loop = asyncio.get_running_loop()
        late: list[asyncio.Task[None]] = []
        timer = loop.call_later(_SEARCH_S, lambda: late.append(loop.create_task(reader.interrupt())))
        try:
            return await run_on(reader, script(*args, **kwargs))
        except StoreUnavailable:
            if late:
                raise InvalidValue(
                    "This search takes too long: narrow it, by timestamp_ms for one.", code="search_too_slow"
                ) from None
            raise
        finally:
            timer.cancel()
            self._searches.put_nowait(reader)

    async def used_bytes(self) -> int:
        pages, free, size = await self.read(_pages)
        return (pages - free) * size

    async def size_bytes(self) -> int:
        pages, _, size = await self.read(_pages)
        return pages * size

    def trim(self) -> Awaitable[bool]:
        return self._writer.run_outside_transaction(lambda connection: file.trim(connection, _TRIM_PAGES))

    def purge_deleted(self, *, rewrite: bool) -> Awaitable[bool]:
        return self._writer.run_outside_transaction(lambda connection: file.purge_deleted(connection, rewrite))


def _synchronous() -> Script[int]:
    rows = yield "PRAGMA synchronous", ()
    return int(rows[0]["synchronous"])


def _pages() -> Script[tuple[int, int, int]]:
    values = []
    for name in ("page_count", "freelist_count", "page_size"):
        rows = yield f"PRAGMA {name}", ()
        values.append(int(rows[0][name]))
    pages, free, size = values
    return pages, free, size
