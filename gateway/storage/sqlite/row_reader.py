"""Reads a store's file row by row, beside whoever owns it: for commands, which may wait for each row.

It keeps no server out and writes nothing, and has one row in memory at a time. Not for the server, which reads by
readers.py. Called by `gateway export` and `gateway report`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.storage.engine import Row, Statement
from gateway.storage.sqlite.errors import reason_of, unusable
from gateway.storage.sqlite.file import locate, parse_url, read_only_uri
from gateway.storage.sqlite.lock import StoreLock
from gateway.storage.sqlite.migrate import migrations
from gateway.storage.sqlite.writer import bind


class SQLiteRowReader:
    """One opened file; see `RowReader`."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path, self._connection = path, connection

    def rows(self, statement: Statement) -> Iterator[Row]:
        """Yield what a statement finds. Raise StoreUnavailable, in one line."""
        try:
            # `yield from` would close the cursor of a caller that left early, after the connection is closed.
            for row in self._connection.execute(*bind(*statement)):  # noqa: UP028
                yield row
        except sqlite3.Error as error:
            raise unusable(self._path, reason_of(error)) from error


@contextmanager
def reading(url: str) -> Iterator[SQLiteRowReader]:
    """Open a store, as `Opener` says. Raise StoreUnavailable if there is no file, or one of another version, and
    Conflict where somebody has it open by another of its names."""
    path = locate(parse_url(url))
    if not path.exists():
        raise unusable(path, "there is no such file.")
    lock = StoreLock.take(path, own=False)
    connection: sqlite3.Connection | None = None
    try:
        connection = sqlite3.connect(read_only_uri(path), uri=True, isolation_level=None, timeout=5)
        connection.row_factory = sqlite3.Row
        reader = SQLiteRowReader(path, connection)
        (version,) = [row["user_version"] for row in reader.rows(("PRAGMA user_version", ()))]
        if version != len(migrations()):
            raise unusable(
                path, f"its schema is {version}, not {len(migrations())}; `gateway serve` brings it up to date."
            )
        yield reader
    finally:
        if connection is not None:
            connection.close()
        lock.release()
