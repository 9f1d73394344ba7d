"""The server's reading connections to a SQLite file, each with a thread of its own. Called by SQLiteStore."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite
import re2

from gateway.storage.engine import Params, Rows, Script
from gateway.storage.sqlite.errors import read_error
from gateway.storage.sqlite.file import read_only_uri
from gateway.storage.sqlite.writer import bind

T = TypeVar("T")


async def open_reader(path: Path) -> aiosqlite.Connection:
    """Open a connection that only reads. It has what SQLite lacks: LIKE that knows case, and `matches`."""
    reader = aiosqlite.connect(read_only_uri(path), uri=True, isolation_level=None, timeout=2)
    reader._thread.daemon = True  # or a process that fails before close() would never end
    await reader
    reader.row_factory = sqlite3.Row
    await reader.execute_fetchall("PRAGMA query_only = 1")
    await reader.execute_fetchall("PRAGMA case_sensitive_like = 1")  # as every other engine has it
    await reader.create_function("matches", 2, _matches, deterministic=True)
    return reader


def _matches(text: Any, pattern: str) -> bool:
    """Answer the word `matches` in linear time: no pattern of a caller's can stop the server."""
    return text is not None and re2.search(pattern, str(text)) is not None


async def run_on(reader: aiosqlite.Connection, script: Script[T]) -> T:
    """Run a script that only reads. Raise StoreUnavailable, InvalidValue, and what the script raises."""
    try:
        statement, params = next(script)
        while True:
            statement, params = script.send(await _fetch(reader, statement, params))
    except StopIteration as end:
        result: T = end.value
        return result


async def _fetch(reader: aiosqlite.Connection, statement: str, params: Params) -> Rows:
    try:
        return list(await reader.execute_fetchall(*bind(statement, params)))
    except (sqlite3.Error, ValueError, OverflowError) as error:  # ValueError: the connection is closed
        raise read_error(error) from error
