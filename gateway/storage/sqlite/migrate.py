"""Migrations: bring a SQLite file to the newest schema by numbered .sql files, each in a transaction of its own.

A file's number is the version that it makes, and `PRAGMA user_version` holds the number of the last one that ran. A
file that was released is never changed, renamed or renumbered: add the next one. Called once by whoever opens the
file, before anything else reads it.
"""

from __future__ import annotations

import sqlite3
from importlib.resources import files

from gateway.errors import StoreUnavailable

_FOLDER = files(__package__).joinpath("migrations")


def migrations() -> list[str]:
    """Return the scripts in order: the first one makes version 1."""
    names = sorted(entry.name for entry in _FOLDER.iterdir() if entry.name.endswith(".sql"))
    return [_FOLDER.joinpath(name).read_text(encoding="utf-8") for name in names]


def migrate(connection: sqlite3.Connection) -> None:
    """Run what is missing.

    Raise StoreUnavailable for a file from a newer version or of another program, and sqlite3.Error if it fails.
    """
    scripts = migrations()
    version = -1
    while version < len(scripts):
        # IMMEDIATE takes the write lock before the look at the version, since another process may be migrating.
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = _version(connection)
            if version > len(scripts):
                raise StoreUnavailable(
                    f"it was written by a newer gateway (schema {version}; this one knows up to {len(scripts)})."
                )
            if version == 0 and connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
                raise StoreUnavailable("it is another program's database.")
            if version < len(scripts):
                script = _early() if version == 2 and _has_datasets(connection) else scripts[version]
                for statement in script.split(";\n"):
                    connection.execute(statement)
                version += 1
            # Also if the version stays the same: on a read-only file BEGIN IMMEDIATE succeeds, but this fails.
            connection.execute(f"PRAGMA user_version = {version}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _early() -> str:
    """Return the third script for a store of the one commit that counted the tables of datasets as version 2."""
    return _FOLDER.joinpath("early", "0003_keys.sql").read_text(encoding="utf-8")


def _has_datasets(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'datasets'").fetchone() is not None
