"""A store's file opened to look, beside whoever owns it: for commands, which wait for each row.

It takes no lock and writes nothing; a row is in memory only while it is looked at. Not for the server, whose readers
are SQLiteStore's.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.storage.engine import Row, Statement
from gateway.storage.sqlite.file import locate, parse_url, problem, read_only_uri, why
from gateway.storage.sqlite.migrate import migrations
from gateway.storage.sqlite.writer import bind


class Reader:
    """Its methods raise StoreUnavailable, in one line."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path, self._connection = path, connection

    def rows(self, statement: Statement) -> Iterator[Row]:
        """What a statement gives, row by row."""
        try:
            # Not by `yield from`, which would close the cursor of a reader that left, when the connection is closed.
            for row in self._connection.execute(*bind(*statement)):  # noqa: UP028
                yield row
        except sqlite3.Error as error:
            raise problem(self._path, why(error)) from error


@contextmanager
def reading(url: str) -> Iterator[Reader]:
    """See `Opener`. Raise StoreUnavailable where there is no file, or one of another version."""
    path = locate(parse_url(url))
    if not path.exists():
        raise problem(path, "there is no such file.")
    connection = sqlite3.connect(read_only_uri(path), uri=True, isolation_level=None, timeout=5)
    try:
        connection.row_factory = sqlite3.Row
        reader = Reader(path, connection)
        (version,) = [row["user_version"] for row in reader.rows(("PRAGMA user_version", ()))]
        if version != len(migrations()):
            raise problem(
                path, f"its schema is {version}, not {len(migrations())}; `gateway serve` brings it up to date."
            )
        yield reader
    finally:
        connection.close()
