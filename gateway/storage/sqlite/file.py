"""The store's file: its URL, the connection that writes, and whether it is still the same file.

It runs no scripts. Called by engine.py when it opens a store, and by the commands that read beside a server. Every
problem is a StoreUnavailable of one line that names the file, or a Conflict if another process owns it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from gateway.errors import Conflict, StoreUnavailable
from gateway.storage.sqlite.errors import reason_of, unusable
from gateway.storage.sqlite.lock import OwnerFile, owner_of
from gateway.storage.sqlite.migrate import migrate

_BUSY_MS = 2000
_PURGE_MS = 200
_PREFIX = "sqlite:///"


def parse_url(url: str) -> Path:
    """Return the path in `sqlite:///relative.db` or `sqlite:////absolute.db`. Raise StoreUnavailable for other URLs."""
    name = url.removeprefix(_PREFIX)
    if name == url or not name or name.endswith("/") or name.startswith(":memory:") or "?" in name or "\0" in name:
        raise StoreUnavailable(f"The store URL {url!r} must look like sqlite:///gateway.db or sqlite:////var/lib/g.db.")
    return Path(name)


def locate(path: Path) -> Path:
    """Return the path with links resolved, as the locks want it. Raise if its directory is missing."""
    path = path.resolve()
    if not path.parent.is_dir():
        raise unusable(path, "its directory does not exist.")
    return path


def connect(path: Path) -> sqlite3.Connection:
    """Open the connection that writes: durable, and migrated to the newest schema. Any one thread may use it."""
    if path.is_dir():
        raise unusable(path, "it is a directory.")
    connection: sqlite3.Connection | None = None
    try:
        connection = sqlite3.connect(
            path,
            timeout=_BUSY_MS / 1000,
            isolation_level=None,  # transactions are begun and ended by hand
            check_same_thread=False,
            cached_statements=256,
        )
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA cache_size = -8000")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # lets a new file shrink without a rewrite
        connection.execute("PRAGMA secure_delete = ON")  # overwrite what is deleted
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise unusable(path, "its file system or its mode allows no write-ahead log.")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_size_limit = 67108864")  # or a burst leaves a huge WAL behind
        migrate(connection)
    except BaseException as error:
        if connection is not None:
            connection.close()
        if isinstance(error, sqlite3.Error):
            raise unusable(path, reason_of(error)) from error
        if isinstance(error, StoreUnavailable) and not error.message.startswith("The store"):
            raise unusable(path, error.message) from error
        raise
    return connection


def read_only_uri(path: Path) -> str:
    """Return the URI that opens the file without the right to write."""
    return f"file:{quote(str(path))}?mode=ro"


def same_file(path: Path) -> Callable[[], bool]:
    """Return a check that the path still leads to the same files as now. A check costs two stat calls.

    SQLite goes on writing into files that were unlinked or replaced, and reports success.
    """

    def identity() -> list[tuple[int, int]]:
        found = [os.stat(name) for name in (path, f"{path}-wal")]
        return [(stat.st_dev, stat.st_ino) for stat in found]

    opened = identity()

    def check() -> bool:
        try:
            return identity() == opened
        except OSError:
            return False

    return check


def check_unowned(url: str) -> None:
    """Raise Conflict if a server owns the store, as `Opener` says."""
    path = locate(parse_url(url))
    if Path(f"{path}.lock").exists():
        OwnerFile.take(path).release()
    if path.exists() and (owner := owner_of(path)) is not None:
        raise Conflict(f"The store {path} is in use by {owner}.")


def trim(connection: sqlite3.Connection, pages: int) -> bool:
    """Cut up to `pages` free pages off the file. Return whether it got shorter: one without auto_vacuum can't."""
    before = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA incremental_vacuum({pages:d})").fetchall()
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    return bool(connection.execute("PRAGMA page_count").fetchone()[0] < before)


def purge_deleted(connection: sqlite3.Connection, rewrite: bool) -> bool:
    """Leave nothing of what was deleted in the file or its log. Return False if somebody reads an old state of it.

    Deleted rows are overwritten at once. SQLite may leave a copy of a row that it moved within a page; only a file
    that is rewritten has none.
    """
    if rewrite:
        connection.execute("VACUUM")
    connection.execute(f"PRAGMA busy_timeout = {_PURGE_MS}")  # kept short, since all writes wait for it
    try:
        (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
    return not busy
