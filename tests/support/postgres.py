"""A real PostgreSQL for tests, and a thin engine on it that runs the store's scripts. The product doesn't use it.

The schema is that of the migrations, less what only SQLite knows in them; each test finds the tables empty.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

import asyncpg

from gateway.errors import Conflict, InvalidValue
from gateway.storage.engine import Script
from gateway.storage.sqlite.migrate import migrations

P = ParamSpec("P")
T = TypeVar("T")
# The three words of the scripts' dialect, see gateway/storage/engine.py.
_WORDS = """
CREATE FUNCTION json_field(json TEXT, name TEXT) RETURNS TEXT LANGUAGE SQL IMMUTABLE AS 'SELECT json::jsonb ->> name';
CREATE FUNCTION matches(text TEXT, pattern TEXT) RETURNS BOOLEAN LANGUAGE SQL IMMUTABLE AS 'SELECT text ~ pattern';
CREATE FUNCTION no_index(value TEXT) RETURNS TEXT LANGUAGE SQL VOLATILE AS 'SELECT value';
"""


class PostgresServer:
    """PostgreSQL in a directory of its own, reached by a socket in it. Stopped, and its files gone, at the end."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._binaries = _binaries()
        self._as_user: dict[str, Any] = {}
        if os.geteuid() == 0:  # it refuses to run as root
            shutil.chown(directory, "postgres", "postgres")
            self._as_user = {"user": "postgres", "group": "postgres", "extra_groups": []}

    def __enter__(self) -> Self:
        data = self.directory / "data"
        self._run("initdb", "--pgdata", data, "--auth", "trust", "--username", "postgres", "--no-sync", "-E", "UTF8")
        # No address, so that two test runs need not look for free ports.
        options = f"-c listen_addresses='' -c unix_socket_directories='{self.directory}' -c fsync=off"
        self._run("pg_ctl", "start", "--wait", "-D", data, "-l", self.directory / "log", "-o", options)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run("pg_ctl", "stop", "--wait", "-D", self.directory / "data", "-m", "immediate")
        shutil.rmtree(self.directory, ignore_errors=True)

    def _run(self, program: str, *arguments: object) -> None:
        command = [str(self._binaries / program), *map(str, arguments)]
        # No pipes: the server that pg_ctl leaves behind would hold them open.
        with (self.directory / f"{program}.out").open("w+") as said:
            done = subprocess.run(
                command, cwd=self.directory, stdout=said, stderr=said, check=False, timeout=60, **self._as_user
            )
            said.seek(0)
            assert done.returncode == 0, f"{program}: {said.read()}"


def _binaries() -> Path:
    """Debian keeps them off the path, by version."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    on_path = shutil.which("initdb")
    assert found or on_path, "PostgreSQL is missing. On Debian: apt-get install postgresql"
    return found[-1].parent if found else Path(str(on_path)).parent


class PostgresEngine:
    """An `Engine`: one connection, one transaction a script. Nothing is made for speed."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._one = asyncio.Lock()

    @classmethod
    async def open(cls, server: PostgresServer) -> Self:
        """Connect, and make or empty the tables."""
        connection = await asyncpg.connect(host=str(server.directory), user="postgres", database="postgres")
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        if tables:
            await connection.execute(f"TRUNCATE {', '.join(row['tablename'] for row in tables)}")
        else:
            await connection.execute(_schema() + _WORDS)
        return cls(connection)

    def write(self, script: Callable[P, Script[T]], *args: P.args, **kwargs: P.kwargs) -> asyncio.Task[T]:
        # A task, since a write takes its place in the queue when it is called.
        return asyncio.ensure_future(self._transact(script(*args, **kwargs), readonly=False))

    async def read(self, script: Callable[P, Script[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._transact(script(*args, **kwargs), readonly=True)

    async def search(self, project: str, script: Callable[P, Script[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._transact(script(*args, **kwargs), readonly=True)

    async def close(self) -> None:
        await self._connection.close()

    async def _transact(self, script: Script[T], *, readonly: bool) -> T:
        async with self._one:
            try:
                async with self._connection.transaction(isolation="serializable", readonly=readonly):
                    return await self._drive(script)
            except asyncpg.UniqueViolationError as error:
                raise Conflict("It exists already.") from error
            except (asyncpg.DataError, UnicodeEncodeError) as error:
                raise InvalidValue("A value can't be stored.") from error

    async def _drive(self, script: Script[T]) -> T:
        try:
            sql, params = next(script)
            while True:
                sql, params = script.send(await self._connection.fetch(sql, *params))
        except StopIteration as end:
            result: T = end.value
            return result


def _schema() -> str:
    """The migrations' tables and indexes. A new store has no rows to fill others from."""
    statements = ";\n".join(migrations()).split(";\n")
    return ";\n".join(each.replace(" WITHOUT ROWID", "") for each in statements if "json_each" not in each) + ";\n"
