"""The server's reading connections to a SQLite file, each with a thread of its own. Called by SQLiteStore.

A script runs in the thread from its first statement to what it returns, so that neither SQLite nor what is made of its
rows holds up the event loop. A script can be cut off: between statements, within one, and within a pattern.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, TypeVar

from gateway.domain.patterns import like, regex_matches
from gateway.errors import Unavailable
from gateway.storage.engine import Params, Rows, Script, drive
from gateway.storage.sqlite.errors import read_error
from gateway.storage.sqlite.file import read_only_uri
from gateway.storage.sqlite.writer import bind, lower_priority

T = TypeVar("T")
_AGAIN_S = 0.1  # an interruption that comes between two statements of SQLite's is lost
_Job = tuple[Callable[[], Script[Any]], "asyncio.Future[Any]"]


class CutOff(Unavailable):
    """The script was ended before its time."""

    def __init__(self) -> None:
        super().__init__("The server is shutting down.", retry_after=1)


class Reader:
    """One connection that only reads. It has what SQLite lacks: `matches`, and a LIKE that knows case and is linear."""

    def __init__(self, connection: sqlite3.Connection, *, steps_back: bool) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._over = self._closed = False
        self._ends: asyncio.TimerHandle | None = None
        connection.create_function("like", 2, self._like, deterministic=True)
        connection.create_function("matches", 2, self._matches, deterministic=True)
        # A process that fails before close() must end all the same.
        self._thread = threading.Thread(target=self._work, args=(steps_back,), name="store-reader", daemon=True)
        self._thread.start()

    @classmethod
    async def open(cls, path: Path, *, steps_back: bool = False) -> Self:
        """Open a connection. `steps_back`: its thread lets the event loop go first."""
        return cls(await asyncio.to_thread(_connect, path), steps_back=steps_back)

    def run(self, script: Callable[[], Script[T]]) -> asyncio.Future[T]:
        """Run a script in the thread; one at a time. The future fails with what the script raises, or CutOff."""
        future: asyncio.Future[T] = self._loop.create_future()
        if self._closed:
            future.set_exception(read_error(sqlite3.ProgrammingError("The connection is closed.")))
            return future
        self._over = False
        self._jobs.put((script, future))
        return future

    def cut(self) -> None:
        """End what runs. Its future is done soon."""
        self._over = True
        with suppress(sqlite3.ProgrammingError):  # it was closed a moment ago
            self._connection.interrupt()
        self._ends = self._loop.call_later(_AGAIN_S, self.cut)

    def _done(self, future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
        if self._ends is not None:
            self._ends.cancel()
            self._ends = None
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)

    async def close(self) -> None:
        """End what runs, and let go of the file."""
        self._closed = True
        self._jobs.put(None)
        self.cut()
        await asyncio.to_thread(self._thread.join)
        if self._ends is not None:
            self._ends.cancel()

    # -------------------------------------------------------------- in the thread

    def _work(self, steps_back: bool) -> None:
        if steps_back:
            lower_priority()
        while (job := self._jobs.get()) is not None:
            script, future = job
            result, failed = None, None
            try:
                result = drive(script(), self._execute)
            except Exception as error:
                failed = error
            with suppress(RuntimeError):  # the loop was closed first, so nobody is waiting
                self._loop.call_soon_threadsafe(self._done, future, result, failed)
            del job, script, future, result, failed  # while it waits, it holds on to nothing
        self._connection.close()

    def _execute(self, statement: str, params: Params) -> Rows:
        self._check()
        try:
            return self._connection.execute(*bind(statement, params)).fetchall()
        except (sqlite3.Error, ValueError, OverflowError) as error:
            if self._over:
                raise CutOff from None
            raise read_error(error) from error

    def _check(self) -> None:
        if self._over:
            raise CutOff

    def _like(self, pattern: Any, text: Any) -> bool | None:
        """Answer `text LIKE pattern`. With each `%` SQLite's own may take as many times longer as the text is long."""
        if pattern is None or text is None:
            return None
        return like(str(pattern)).matches(str(text), self._check)

    def _matches(self, text: Any, pattern: Any) -> bool:
        """Answer the word `matches`."""
        self._check()
        return text is not None and regex_matches(pattern, str(text))


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        read_only_uri(path), uri=True, isolation_level=None, timeout=2, check_same_thread=False, cached_statements=256
    )
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA query_only = 1")
    except BaseException:
        connection.close()
        raise
    return connection
