"""The Store on SQLite: writes go to one writer thread, reads to connections of their own.

Opened by the composition root, and by the commands that read or write beside a running server. The SQL is in the
scripts (sql.py and its siblings); this file binds them to the engine.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path
from typing import ParamSpec, Self, TypeVar

import aiosqlite

from gateway.domain import ids
from gateway.domain.activity import Activity
from gateway.domain.trace import Assessment, Checkpoint, Span, Trace, TraceEnd, TraceStart
from gateway.errors import InvalidValue, StoreUnavailable
from gateway.storage.engine import Belonging, FeedbackReceipt, FeedbackWrite, KeyRecord, Session
from gateway.storage.scripts import erase as sql_erase
from gateway.storage.scripts import feedback as sql_feedback
from gateway.storage.scripts import ops as sql_ops
from gateway.storage.scripts import traces as sql
from gateway.storage.scripts.traces import Script
from gateway.storage.sqlite import file as sqlite_file
from gateway.storage.sqlite.file import OwnerLock, connect, locate, still_in_place
from gateway.storage.sqlite.readers import open_reader, run_on
from gateway.storage.sqlite.writer import Writer, WriterStats

P = ParamSpec("P")
T = TypeVar("T")
_READERS, _SEARCHERS = 2, 1
_SEARCH_S = 10
_RECOVER_BATCH = 50


class SQLiteStore:
    """See the Store protocol for what the methods promise."""

    def __init__(self, path: Path, writer: Writer, readers: list[aiosqlite.Connection], lock: OwnerLock | None) -> None:
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
        """Open or make the file. `own`: as its one server, under the lock; a Conflict says who has it.

        StoreUnavailable, in one line, for a file that can't be used.
        """
        path = locate(path)
        lock = OwnerLock.take(path) if own else None
        connection: sqlite3.Connection | None = None
        readers: list[aiosqlite.Connection] = []
        try:
            connection = await asyncio.to_thread(connect, path, create=create)
            in_place = still_in_place(path)
            for _ in range(_READERS + _SEARCHERS):
                readers.append(await open_reader(path))
            return cls(path, Writer(connection, in_place, max_queue), readers, lock)
        except BaseException:
            for reader in readers:
                await reader.close()
            if connection is not None:
                connection.close()
            if lock is not None:
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
            if self._lock is not None:
                self._lock.release()

    @property
    def stats(self) -> WriterStats:
        return self._writer.stats

    def synchronous(self) -> Awaitable[int]:
        """What the writer's own connection says of its durability: 2 is FULL."""
        return self._writer.submit(_synchronous)

    async def recover(self, now: int) -> int:
        """Close the traces that a crash left open; only for the owner, before it takes any. Returns how many."""
        closed = 0
        while some := await self._writer.submit(sql_ops.recover, now, _RECOVER_BATCH):
            closed += some
        return closed

    def write(self, script: Callable[P, Script[T]], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        return self._writer.submit(script, *args, **kwargs)

    async def read(self, script: Script[T]) -> T:
        return await self._read(script)

    async def search(self, script: Script[T]) -> T:
        reader = await self._searches.get()
        loop = asyncio.get_running_loop()
        late: list[asyncio.Task[None]] = []
        timer = loop.call_later(_SEARCH_S, lambda: late.append(loop.create_task(reader.interrupt())))
        try:
            return await run_on(reader, script)
        except StoreUnavailable:
            if late:
                raise InvalidValue(
                    "This search takes too long: narrow it, by timestamp_ms for one.", code="search_too_slow"
                ) from None
            raise
        finally:
            timer.cancel()
            self._searches.put_nowait(reader)

    async def _read(self, script: Script[T]) -> T:
        reader = await self._free.get()
        try:
            return await run_on(reader, script)
        finally:
            self._free.put_nowait(reader)

    # -------------------------------------------------------------- traces

    def begin_trace(self, start: TraceStart) -> Awaitable[None]:
        return self._writer.submit(sql.begin_trace, start)

    def checkpoint(self, deltas: Sequence[Checkpoint]) -> Awaitable[None]:
        return self._writer.submit(sql.checkpoint, deltas, ids.now_ms())

    def finish_trace(self, end: TraceEnd) -> Awaitable[None]:
        return self._writer.submit(sql.finish_trace, end)

    async def get_trace(self, project: str, trace_id: str) -> Trace | None:
        return await self._read(sql.get_trace(project, trace_id))

    async def get_spans(self, trace_id: str) -> list[Span]:
        return await self._read(sql.get_spans(trace_id))

    async def get_session(self, project: str, session_id: str) -> Session | None:
        return await self._read(sql.get_session(project, session_id))

    async def session_traces(self, project: str, session_id: str, limit: int = 200) -> list[Trace]:
        return await self._read(sql.session_traces(project, session_id, limit))

    # -------------------------------------------------------------- feedback

    def record_feedback(self, write: FeedbackWrite) -> Awaitable[FeedbackReceipt]:
        return self._writer.submit(sql_feedback.record_feedback, write)

    async def replayed_feedback(self, write: FeedbackWrite) -> FeedbackReceipt | None:
        return await self._read(sql_feedback.replayed_feedback(write))

    def retract_feedback(
        self,
        project: str,
        trace_id: str | None,
        client_request_id: str | None,
        source_id: str | None,
        name: str,
        now: int,
    ) -> Awaitable[tuple[str, int]]:
        return self._writer.submit(
            sql_feedback.retract_feedback, project, trace_id, client_request_id, source_id, name, now
        )

    async def feedback_of(
        self, project: str, trace_ids: Sequence[str], source_id: str | None
    ) -> dict[str, list[Assessment]]:
        if not trace_ids:
            return {}
        return await self._read(sql_feedback.feedback_of(project, trace_ids, source_id))

    async def resolve_trace(self, project: str, trace_id: str | None, client_request_id: str | None) -> str | None:
        return await self._read(sql.resolve_trace(project, trace_id, client_request_id))

    # -------------------------------------------------------------- keys

    async def list_keys(self) -> list[KeyRecord]:
        return await self._read(sql_ops.list_keys())

    def add_key(self, key: KeyRecord) -> Awaitable[None]:
        return self._writer.submit(sql_ops.add_key, key)

    def revoke_key(self, name: str, now: int) -> Awaitable[KeyRecord]:
        return self._writer.submit(sql_ops.revoke_key, name, now)

    def touch_keys(self, used: dict[str, int]) -> Awaitable[None]:
        return self._writer.submit(sql_ops.touch_keys, used)

    def signing_key(self, fresh: str) -> Awaitable[str]:
        return self._writer.submit(sql_ops.signing_key, fresh)

    # -------------------------------------------------------------- ops

    async def recent(self, since_ms: int, limit: int = 1000, *, errors: bool = False) -> list[Activity]:
        return await self._read(sql_ops.recent(since_ms, limit, errors))

    def ping(self) -> Awaitable[None]:
        return self._writer.submit(sql_ops.ping, ids.now_ms())

    def expire(self, before_ms: int, idempotency_before_ms: int, limit: int) -> Awaitable[int]:
        return self._writer.submit(_expire, before_ms, idempotency_before_ms, limit)

    async def size_bytes(self) -> int:
        pages, free, size = await self._read(_pages())
        return (pages - free) * size

    async def file_bytes(self) -> int:
        pages, _, size = await self._read(_pages())
        return pages * size

    def trim(self, pages: int) -> Awaitable[bool]:
        return self._writer.alone(lambda connection: sqlite_file.trim(connection, pages))

    def expire_oldest(self, limit: int) -> Awaitable[int]:
        return self._writer.submit(sql_ops.expire, None, limit)

    # -------------------------------------------------------------- erasure

    async def traces_of(self, user_id: str, project: str | None) -> list[Belonging]:
        return await self._read(sql_erase.traces_of(user_id, project))

    def erase_traces(self, belongings: Sequence[Belonging], options: Collection[tuple[str, str]]) -> Awaitable[None]:
        return self._writer.submit(sql_erase.erase_traces, belongings, options)

    async def ratings_by(self, user_id: str, project: str | None) -> list[str]:
        return await self._read(sql_erase.ratings_by(user_id, project))

    def erase_ratings(self, assessment_ids: Sequence[str], options: Collection[tuple[str, str]]) -> Awaitable[None]:
        return self._writer.submit(sql_erase.erase_ratings, assessment_ids, options)

    def erase_receipts(self, user_id: str, project: str | None, trace_ids: Collection[str]) -> Awaitable[None]:
        return self._writer.submit(sql_erase.erase_receipts, user_id, project, trace_ids)

    def scrub(self, *, rewrite: bool) -> Awaitable[bool]:
        return self._writer.alone(lambda connection: sqlite_file.scrub(connection, rewrite))

    def put_note(self, name: str, value: str) -> Awaitable[None]:
        return self._writer.submit(sql_erase.put_note, name, value)

    async def notes(self, prefix: str) -> dict[str, str]:
        return await self._read(sql_erase.notes(prefix))

    def drop_note(self, name: str) -> Awaitable[None]:
        return self._writer.submit(sql_erase.drop_note, name)


def _expire(before: int, idempotency_before: int, limit: int) -> Script[int]:
    yield from sql_ops.expire_idempotency(idempotency_before)
    return (yield from sql_ops.expire(before, limit))


# SQLite's own words, which no other engine knows


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
