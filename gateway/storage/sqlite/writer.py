"""The one writer: a thread with a plain SQLite connection that commits all that waits in one transaction.

There is no timer: a write that comes alone is committed at once, and those that come during a commit share the next
one. Not for reads, which have connections of their own. Called by SQLiteStore from the event loop; awaiting what
`submit` returns waits for the commit of the batch.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import logging
import os
import queue
import re
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Generic, ParamSpec, TypeVar

from gateway.errors import GatewayError
from gateway.storage.engine import Params, Script, Stats, drive
from gateway.storage.sqlite.errors import is_store_fault, script_error, write_error

P = ParamSpec("P")
T = TypeVar("T")
_log = logging.getLogger("gateway.storage")
_PLACE = re.compile(r"\$(\d+)")
_WORDS = (  # of the scripts' dialect, see gateway/storage/engine.py; `matches` is a function of each connection
    (re.compile(r"\bjson_field\(([\w.]+), (\$\d+)\)"), r"""json_extract(\1, '$."' || \2 || '"')"""),
    (re.compile(r"\bno_index\(([\w.]+)\)"), r"+\1"),
)


@functools.lru_cache(maxsize=1024)
def _translated(sql: str) -> tuple[str, bool]:
    """Return the statement in SQLite's words, and whether `?` replaces `$1, $2, …`: each once, and in this order."""
    for word, meaning in _WORDS:
        sql = word.sub(meaning, sql)
    places = _PLACE.findall(sql)
    ordered = places == [str(i + 1) for i in range(len(places))]
    return (_PLACE.sub("?", sql), True) if ordered else (sql, False)


def bind(sql: str, params: Params) -> tuple[str, Params | dict[str, object]]:
    """Return a statement as SQLite takes it. To SQLite `$1` is a name, and by name costs twice as much as by place."""
    translated, ordered = _translated(sql)
    return translated, params if ordered else {str(i): value for i, value in enumerate(params, 1)}


class _Job(Generic[T]):
    """One entry of the queue: a `script` of a transaction, or `work` outside of any. The other of the two is None."""

    __slots__ = ("error", "future", "result", "script", "work")

    def __init__(
        self,
        script: Callable[[], Script[T]] | None,
        future: asyncio.Future[T],
        work: Callable[[sqlite3.Connection], T] | None = None,
    ) -> None:
        self.script = script
        self.work = work
        self.future = future
        self.result: T
        self.error: Exception | None = None

    def settle(self) -> None:
        """Give the caller the result or the error."""
        if self.future.done():  # the caller was cancelled
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Writer:
    """Owns `connection` from here on. `same_file` says whether the file is still the one that was opened."""

    def __init__(self, connection: sqlite3.Connection, same_file: Callable[[], bool], max_queue: int) -> None:
        self.stats = Stats()
        self._connection = connection
        self._same_file = same_file
        self._max_queue = max_queue
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._closed = False
        self._lost = False  # the file was removed or replaced: nothing is acknowledged until a restart
        self._failing = False
        self._thread = threading.Thread(target=self._work, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, script: Callable[P, Script[T]], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """Put a script into the queue. The future fails with StoreUnavailable, or with the script's own error."""
        future: asyncio.Future[T] = self._loop.create_future()
        if self._closed or self.stats.queued >= self._max_queue:
            future.set_exception(write_error())
            return future
        self.stats.queued += 1
        self._queue.put(_Job(partial(script, *args, **kwargs), future))
        return future

    def run_outside_transaction(self, work: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """Put work that can't be in a transaction into the queue. The future fails with StoreUnavailable alone."""
        future: asyncio.Future[T] = self._loop.create_future()
        if self._closed or self.stats.queued >= self._max_queue:
            future.set_exception(write_error())
            return future
        self.stats.queued += 1
        self._queue.put(_Job(None, future, work))
        return future

    async def close(self) -> None:
        """Commit what waits, end the thread, and close the connection."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    # -------------------------------------------------------------- in the thread

    def _work(self) -> None:
        lower_priority()
        closing = False
        while not closing:
            jobs = [self._queue.get()]
            with suppress(queue.Empty):
                while True:
                    jobs.append(self._queue.get_nowait())
            closing = jobs[-1] is None  # nothing is queued after it
            batch = [job for job in jobs if job is not None]
            for work, group in itertools.groupby(batch, lambda job: job.work):
                run = list(group)
                if work is None:
                    self._commit(run)
                else:
                    self._run_outside(run)
                with suppress(RuntimeError):  # the loop was closed first, so nobody is waiting
                    self._loop.call_soon_threadsafe(self._settle, run)
        self._connection.close()  # the last one to close checkpoints the WAL and removes it

    def _settle(self, batch: Sequence[_Job[Any]]) -> None:
        """Settle a batch's futures. It runs on the event loop, once a batch."""
        self.stats.queued -= len(batch)
        for job in batch:
            job.settle()

    def _commit(self, batch: Sequence[_Job[Any]]) -> None:
        before = self._connection.total_changes
        try:
            if not self._lost:
                self._transact(batch)
                if not self._same_file():  # the commit went to a file that has no name any more
                    self._lost = True
                    _log.critical("The store's file was removed or replaced. No write is taken until a restart.")
        except Exception as error:
            self._roll_back()
            self._failed(batch)
            if not self._failing:
                _log.error("The store can't write: %s.", error)
            self._failing = True
            return
        if self._lost:
            self._failed(batch)
            return
        if self._failing:
            _log.warning("The store can write again.")
        self._failing = False
        self.stats.batches += 1
        self.stats.writes += len(batch)
        self.stats.rows += self._connection.total_changes - before

    def _run_outside(self, jobs: Sequence[_Job[Any]]) -> None:
        for job in jobs:
            try:
                if self._lost:
                    raise write_error()
                job.result = job.work(self._connection)  # type: ignore[misc]
            except Exception as error:
                if not isinstance(error, GatewayError):
                    _log.error("The store can't be tidied up: %s.", error)
                job.error = write_error()

    def _failed(self, batch: Sequence[_Job[Any]]) -> None:
        self.stats.failed_batches += 1
        for job in batch:
            job.error = write_error()

    def _transact(self, batch: Sequence[_Job[Any]]) -> None:
        """Commit all scripts but those that fail by themselves. Raise sqlite3.Error if nothing is committed.

        There are no savepoints: scripts raise before they write, so a script that fails has nearly always written
        nothing. If one has, the batch runs once more without it.
        """
        again = True
        while again:
            again = False
            self._connection.execute("BEGIN IMMEDIATE")
            for job in batch:
                if job.error is not None:
                    continue
                before = self._connection.total_changes
                try:
                    job.result = drive(job.script(), self._execute)  # type: ignore[misc]
                except Exception as error:
                    if is_store_fault(error):
                        raise
                    job.error = script_error(error)
                    if self._connection.total_changes != before:
                        again = True
                        break
            self._connection.execute("ROLLBACK" if again else "COMMIT")

    def _execute(self, sql: str, params: Params) -> list[sqlite3.Row]:
        return self._connection.execute(*bind(sql, params)).fetchall()

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:  # some errors roll back by themselves
                self._connection.execute("ROLLBACK")


def lower_priority() -> None:
    """Let the event loop go first: streams mustn't wait for a commit.

    SCHED_IDLE would be wrong: beside other busy processes such a thread is preempted while it holds the interpreter's
    lock, and the streams wait for it (measured: half a second).
    """
    with suppress(AttributeError, OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)  # of this thread only, on Linux
