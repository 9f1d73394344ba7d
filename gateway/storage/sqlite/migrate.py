"""Brings a SQLite file to the newest schema. Numbered .sql files, each in a transaction of its own.

Called once by whoever opens the file, before anything else reads it. The number of the last one that ran is in
`PRAGMA user_version`.
"""

from __future__ import annotations

import sqlite3
from importlib.resources import files

from gateway.errors import StoreUnavailable


def migrations() -> list[str]:
    """The scripts in order: the first one makes version 1."""
    folder = files(__package__).joinpath("migrations")
    found = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda entry: entry.name)
    return [entry.read_text(encoding="utf-8") for entry in found]


def migrate(connection: sqlite3.Connection) -> None:
    """Raises StoreUnavailable for a file from a newer version, or of another program; sqlite3.Error if it fails."""
    scripts = migrations()
    while True:
        # takes the write lock before it looks, as another process may be migrating
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = _version(connection)
            if version > len(scripts):
                raise StoreUnavailable(
                    f"it was written by a newer gateway (schema {version}; this one knows up to {len(scripts)})."
                )
            if version == 0 and connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
                raise StoreUnavailable("it is another program's database.")
            following = min(version + 1, len(scripts))
            for script in scripts[version:following]:
                for statement in script.split(";\n"):
                    connection.execute(statement)
            # also where it stays the same: BEGIN IMMEDIATE succeeds on a read-only file, this doesn't
            connection.execute(f"PRAGMA user_version = {following}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        if version == len(scripts):
            return


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
