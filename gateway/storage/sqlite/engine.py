"""The engine on SQLite: writes go to one writer thread, reads to connections of their own.

This module is an `Opener`, and what it opens is a `Store`: see gateway/storage/engine.py for what both promise. The
command line chooses it, for the server and for the commands that read or write beside one.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import ParamSpec, Self, TypeVar

from gateway.errors import InvalidValue
from gateway.storage.engine import Script, Stats
from gateway.storage.sqlite import file
from gateway.storage.sqlite.errors import unusable
from gateway.storage.sqlite.file import check_unowned, connect, locate, parse_url, same_file
from gateway.storage.sqlite.lock import StoreLock
from gateway.storage.sqlite.readers import CutOff, Reader
from gateway.storage.sqlite.row_reader import reading
from gateway.storage.sqlite.writer import Writer
from gateway.storage.turns import Turns

__all__ = ["SQLiteStore", "check_unowned", "open_store", "reading"]
P = ParamSpec("P")
T = TypeVar("T")
_READERS, _SEARCHERS = 2, 3
_SEARCH_S, _WAIT_S = 10, 30  # that a search may take, and may wait for others
_TRIM_PAGES = 1000  # given back to the file system at once


async def open_store(url: str, *, own: bool, create: bool = True) -> SQLiteStore:
    """Open or make a store, as `Opener` says."""
    return await SQLiteStore.open(parse_url(url), own=own, create=create)


class SQLiteStore:
    """One opened file; see `Engine` and `Maintenance` for what the methods promise."""

    def __init__(self, path: Path, writer: Writer, readers: list[Reader], lock: StoreLock) -> None:
        self.path = path
        self._writer = writer
        self._readers = readers
        self._free: asyncio.LifoQueue[Reader] = asyncio.LifoQueue()
        for reader in readers[:_READERS]:
            self._free.put_nowait(reader)
        self._idle = readers[_READERS:]  # of those that search
        self._searching: set[Reader] = set()
        self._turns = Turns(_SEARCHERS, patience_s=_WAIT_S)
        self._searches_end = False
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
        readers: list[Reader] = []
        try:
            connection = await asyncio.to_thread(connect, path)
            is_same = same_file(path)
            for at in range(_READERS + _SEARCHERS):
                readers.append(await Reader.open(path, steps_back=at >= _READERS))
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
        running = reader.run(partial(script, *args, **kwargs))
        running.add_done_callback(lambda _: self._free.put_nowait(reader))
        return await _shielded(running)  # a caller that leaves doesn't leave a busy reader to the next

    async def search(self, project: str, script: Callable[P, Script[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._searches_end:
            raise CutOff
        await self._turns.take(project)
        reader = self._idle.pop()
        self._searching.add(reader)
        running = reader.run(partial(script, *args, **kwargs))
        running.add_done_callback(lambda _: self._searched(project, reader))
        late = False

        def too_slow() -> None:
            nonlocal late
            late = True
            reader.cut()

        timer = asyncio.get_running_loop().call_later(_SEARCH_S, too_slow)
        try:
            return await _shielded(running)
        except asyncio.CancelledError:
            if not running.done():
                reader.cut()
            raise
        except CutOff:
            if late:
                raise InvalidValue(
                    "This search takes too long: narrow it, by timestamp_ms for one.", code="search_too_slow"
                ) from None
            raise
        finally:
            timer.cancel()

    def _searched(self, project: str, reader: Reader) -> None:
        self._searching.discard(reader)
        self._idle.append(reader)
        self._turns.give_back(project)

    def end_searches(self) -> None:
        self._searches_end = True
        for reader in self._searching:
            reader.cut()

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


async def _shielded(running: asyncio.Future[T]) -> T:
    """Wait for what goes on where the caller doesn't; what it then fails with is nobody's."""
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        running.add_done_callback(lambda done: done.exception())
        raise


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
