"""Opening a store: URLs, the owner's lock, and files that can't be one."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.domain.ids import now_ms
from gateway.errors import Conflict, StoreUnavailable
from gateway.storage.scripts.keys import add_key, list_keys
from gateway.storage.scripts.ops import ping
from gateway.storage.scripts.traces import begin_trace, get_trace
from gateway.storage.sqlite import migrate as migrating
from gateway.storage.sqlite.engine import SQLiteStore
from gateway.storage.sqlite.file import parse_url
from gateway.storage.sqlite.readers import Reader
from tests.support.rows import PROJECT, a_key, a_start


def test_urls_name_files() -> None:
    """Three slashes are relative to the working directory, four absolute."""
    assert parse_url("sqlite:///gateway.db") == Path("gateway.db")
    assert parse_url("sqlite:////var/lib/g w.db") == Path("/var/lib/g w.db")


async def test_a_new_store_is_not_the_worlds(tmp_path: Path) -> None:
    """Others of the machine would find the signing key in it, and what was asked."""
    before = os.umask(0o022)
    try:
        store = await SQLiteStore.open(tmp_path / "gateway.db", own=True)
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
        await store.close()
    finally:
        os.umask(before)
    assert {"gateway.db", "gateway.db-wal"} <= set(modes)
    assert not [name for name, mode in modes.items() if mode & 0o007], modes


@pytest.mark.parametrize(
    "url",
    [
        "",
        "gateway.db",
        "postgres://x/y",
        "sqlite://gateway.db",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///dir/",
        "sqlite:///a.db?mode=ro",
        "sqlite:///a\0b",
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    """With an example of a right one."""
    with pytest.raises(StoreUnavailable, match="must look like sqlite:///gateway"):
        parse_url(url)


async def test_one_owner_at_a_time(tmp_path: Path) -> None:
    """The second is told who has it, by whichever link it comes; after the first has closed it may."""
    path = tmp_path / "g.db"
    link = tmp_path / "link.db"
    link.symlink_to(path)
    first = await SQLiteStore.open(path, own=True)
    for name in (path, link):
        with pytest.raises(Conflict, match=f"g.db is in use by process {os.getpid()} \\(started 2"):
            await SQLiteStore.open(name, own=True)
    await first.close()
    second = await SQLiteStore.open(link, own=True)
    await second.close()


async def test_others_read_and_write_beside_the_owner(store: SQLiteStore) -> None:
    """Without the lock, and either sees what the other wrote."""
    beside = await SQLiteStore.open(store.path, own=False, create=False)
    key = a_key()
    await beside.write(add_key, key)
    start = a_start()
    await store.write(begin_trace, start)
    assert await store.read(list_keys) == [key]
    assert await beside.read(get_trace, PROJECT, start.trace_id) is not None
    await beside.close()
    await store.write(ping, now_ms())


async def test_a_lock_outlives_no_process(tmp_path: Path) -> None:
    """A killed owner leaves only the file, and an odd file names nobody."""
    code = (
        "import fcntl, os, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); input()"
    )
    lock = tmp_path / "g.db.lock"
    with subprocess.Popen([sys.executable, "-c", code, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(Conflict, match="in use by another process"):
            await SQLiteStore.open(tmp_path / "g.db", own=True)
        holder.kill()
    store = await SQLiteStore.open(tmp_path / "g.db", own=True)
    await store.close()


async def _refused(path: Path, why: str, *, own: bool = True, create: bool = True) -> None:
    for _ in range(2):  # a refusal leaves nothing behind, the lock included
        with pytest.raises(StoreUnavailable, match=why) as caught:
            await SQLiteStore.open(path, own=own, create=create)
        assert "\n" not in caught.value.message
        assert path.name in caught.value.message


async def test_not_a_database(tmp_path: Path) -> None:
    """A text file stays as it is."""
    path = tmp_path / "notes.txt"
    path.write_text("dear diary, " * 500)
    await _refused(path, "it is not a SQLite database")
    assert path.read_text().startswith("dear diary")


async def test_a_damaged_database(tmp_path: Path) -> None:
    """Its first page is a database's, the rest is not."""
    path = tmp_path / "g.db"
    await (await SQLiteStore.open(path, own=True)).close()
    data = bytearray(path.read_bytes())
    data[100:4096] = b"\xff" * 3996
    path.write_bytes(data)
    await _refused(path, "the file is damaged")


async def test_a_newer_schema(tmp_path: Path) -> None:
    """An older gateway doesn't touch it."""
    path = tmp_path / "g.db"
    await (await SQLiteStore.open(path, own=True)).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    await _refused(path, "written by a newer gateway \\(schema 99; this one knows up to \\d+\\)")


async def test_another_programs_database(tmp_path: Path) -> None:
    """Our tables don't go in beside its own."""
    path = tmp_path / "theirs.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    await _refused(path, "another program's database")


async def test_a_directory(tmp_path: Path) -> None:
    """Where the file should be."""
    await _refused(tmp_path, "it is a directory")


async def test_no_directory(tmp_path: Path) -> None:
    """Where the file should lie."""
    await _refused(tmp_path / "none" / "g.db", "its directory does not exist")


async def test_nothing_to_read(tmp_path: Path) -> None:
    """A command that only looks doesn't make a store."""
    await _refused(tmp_path / "g.db", "there is no such file", own=False, create=False)
    assert list(tmp_path.iterdir()) == []


async def test_a_locked_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a program that doesn't know of the owner's lock."""
    monkeypatch.setattr("gateway.storage.sqlite.file._BUSY_MS", 20)
    other = sqlite3.connect(tmp_path / "g.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    await _refused(tmp_path / "g.db", "another program has locked it")
    other.close()


@contextmanager
def _unprivileged(*modes: tuple[Path, int]) -> Iterator[None]:
    """Change modes, and for a while be a user to whom they apply."""
    for path, mode in modes:
        path.chmod(mode)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        for path, _ in modes:
            path.chmod(0o777)


@pytest.fixture
def shared() -> Iterator[Path]:
    """A directory that others may enter, which pytest's own is not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


async def test_a_read_only_directory(shared: Path) -> None:
    """Nothing can be made in it."""
    with _unprivileged((shared, 0o555)):
        await _refused(shared / "g.db", "g.db.lock can't be written \\(Permission denied\\)")
        await _refused(shared / "g.db", "it can't be opened or made there", own=False)


async def test_a_read_only_file(shared: Path) -> None:
    """It could be read, but a store is written."""
    path = shared / "g.db"
    await (await SQLiteStore.open(path, own=False)).close()
    with _unprivileged((path, 0o444)):
        await _refused(path, "it is read-only")


async def test_a_file_system_without_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What can't keep a write-ahead log can't keep the store's promises."""
    monkeypatch.setattr("gateway.storage.sqlite.file.sqlite3.connect", _memory)
    await _refused(tmp_path / "g.db", "allows no write-ahead log")


_connect = sqlite3.connect


def _memory(_: Path, **options: object) -> sqlite3.Connection:
    return _connect(":memory:", check_same_thread=False, isolation_level=None)


async def test_readers_that_fail_to_open_let_go_of_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock, the writer's connection, and the readers that did open."""
    real = Reader.open
    opened: list[Reader] = []

    async def second_fails(path: Path, *, steps_back: bool) -> Reader:
        if opened:
            raise OSError("no more files")
        opened.append(await real(path, steps_back=steps_back))
        return opened[0]

    with monkeypatch.context() as patch:
        patch.setattr(Reader, "open", second_fails)
        with pytest.raises(OSError, match="no more files"):
            await SQLiteStore.open(tmp_path / "g.db", own=True)
    await (await SQLiteStore.open(tmp_path / "g.db", own=True)).close()


async def test_migrations_run_once_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later version takes up a file where an earlier one left it."""
    path = tmp_path / "g.db"
    store = await SQLiteStore.open(path, own=True)
    await store.write(add_key, a_key())
    await store.close()
    more = [*migrating.migrations(), "CREATE TABLE extra (x TEXT);\n\nINSERT INTO extra VALUES ('a;b');\n"]
    monkeypatch.setattr(migrating, "migrations", lambda: more)
    for _ in range(2):
        store = await SQLiteStore.open(path, own=True)
        assert len(await store.read(list_keys)) == 1
        await store.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT * FROM extra").fetchall() == [("a;b",)]
        assert connection.execute("PRAGMA user_version").fetchone() == (len(more),)
    connection.close()


async def test_a_store_of_the_first_version_is_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its keys are what they were: secret, for ever, without a rate of their own."""
    path = tmp_path / "g.db"
    first = migrating.migrations()[:1]
    with monkeypatch.context() as earlier:
        earlier.setattr(migrating, "migrations", lambda: first)
        await (await SQLiteStore.open(path, own=True)).close()
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO keys VALUES ('key-1', 'old', 'chat', 'p', 'hash', 'gw-sk-x', 1, NULL, NULL)")
    connection.close()
    store = await SQLiteStore.open(path, own=True)
    (key,) = await store.read(list_keys)
    await store.close()
    assert (key.name, key.publishable, key.origins, key.requests_per_minute, key.expires) == ("old", False, (), 0, None)


async def test_a_failing_migration_leaves_the_version_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole, with nothing of the failed one."""
    path = tmp_path / "g.db"
    await (await SQLiteStore.open(path, own=True)).close()
    with monkeypatch.context() as patch:
        more = [*migrating.migrations(), "CREATE TABLE extra (x TEXT);\nCREATE TABLE traces (x TEXT);\n"]
        patch.setattr(migrating, "migrations", lambda: more)
        await _refused(path, "table traces already exists")
    await (await SQLiteStore.open(path, own=True)).close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'extra'").fetchone() is None
    connection.close()
