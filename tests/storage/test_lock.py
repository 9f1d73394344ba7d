"""Who may have a store's file open: one server, whatever name it comes by, and everybody by the same name."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from gateway.errors import Conflict, StoreUnavailable
from gateway.storage.scripts.keys import add_key, list_keys
from gateway.storage.scripts.ops import ping
from gateway.storage.sqlite.engine import SQLiteStore, check_unowned, reading
from tests.support.rows import a_key

Way = Callable[[Path], Path]
Renamed = Callable[[Way, Path], Path]
HOLDER = """
import asyncio, sys
from pathlib import Path
from gateway.storage.sqlite.engine import SQLiteStore

async def hold():
    store = await SQLiteStore.open(Path(sys.argv[1]), own=sys.argv[2] == "own")
    print("open", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await store.close()

asyncio.run(hold())
"""


@contextmanager
def held(path: Path, how: str = "own") -> Iterator[subprocess.Popen[bytes]]:
    """Another process that has the store open, until the end of the block at the latest."""
    command = [sys.executable, "-c", HOLDER, str(path), how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        yield holder
        with suppress(BrokenPipeError):
            holder.communicate(b"\n")


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """The file of a store with nothing in it."""
    (tmp_path / "here").mkdir()
    path = tmp_path / "here" / "g.db"
    await (await SQLiteStore.open(path, own=True)).close()
    return path


def hard_link(path: Path) -> Path:
    other = path.parent.parent / "hard.db"
    os.link(path, other)
    return other


def symbolic_link(path: Path) -> Path:
    other = path.parent.parent / "soft.db"
    other.symlink_to(path)
    return other


def without_its_lock_file(path: Path) -> Path:
    Path(f"{path}.lock").unlink(missing_ok=True)
    return path


def bind_mount(what: Path, where: Path) -> None:
    if subprocess.run(["mount", "--bind", what, where], capture_output=True).returncode:
        pytest.skip("mounting wants root")


def of_a_mounted_directory(path: Path) -> Path:
    where = path.parent.parent / "there"
    where.mkdir()
    bind_mount(path.parent, where)
    return where / path.name


def of_a_mounted_file(path: Path) -> Path:
    where = path.parent.parent / "bound.db"
    where.touch()
    bind_mount(path, where)
    return where


@pytest.fixture
def renamed() -> Iterator[Renamed]:
    """Gives a file another name, and takes mounts away at the end."""
    made: list[Path] = []

    def rename(way: Way, path: Path) -> Path:
        made.append(way(path))
        return made[-1]

    yield rename
    for name in made:
        for mounted in (name, name.parent):
            subprocess.run(["umount", mounted], capture_output=True)


WAYS = [hard_link, symbolic_link, without_its_lock_file, of_a_mounted_directory, of_a_mounted_file]


@pytest.mark.parametrize("way", WAYS)
async def test_a_second_server_is_refused(path: Path, renamed: Renamed, way: Way) -> None:
    """By whatever name it comes to the file, and told which process has it; it may once that one is gone."""
    with held(path) as first:
        other = renamed(way, path)
        with pytest.raises(Conflict, match=f"in use by process {first.pid}"):
            await SQLiteStore.open(other, own=True)
        with pytest.raises(Conflict, match=f"in use by process {first.pid}"):
            check_unowned(f"sqlite:///{other}")
        first.kill()
    check_unowned(f"sqlite:///{other}")
    await (await SQLiteStore.open(other, own=True)).close()


@pytest.mark.parametrize("way", [hard_link, of_a_mounted_file])
@pytest.mark.parametrize("how", ["own", "beside"])
async def test_nobody_opens_it_by_another_name(path: Path, renamed: Renamed, way: Way, how: str) -> None:
    """It would have a log of its own, and overwrite what the others commit: neither to read, to write nor to own."""
    with held(path, how):
        other = renamed(way, path)
        for own in (False, True):
            with pytest.raises(Conflict, match="in use by"):
                await SQLiteStore.open(other, own=own)
        with pytest.raises(Conflict, match="another name of the same file"), reading(f"sqlite:///{other}"):
            pass
        assert not Path(f"{other}-wal").exists()
        beside = await SQLiteStore.open(path, own=False)
        await beside.close()


@pytest.mark.parametrize("way", [symbolic_link, without_its_lock_file, of_a_mounted_directory])
async def test_commands_come_by_any_name_with_the_same_log(path: Path, renamed: Renamed, way: Way) -> None:
    """A link to the name, and another way to the directory, lead to the same log."""
    with held(path):
        beside = await SQLiteStore.open(renamed(way, path), own=False)
        await beside.write(add_key, a_key())
        await beside.close()
        with reading(f"sqlite:///{path}") as reader:
            assert len(list(reader.rows(("SELECT * FROM keys", ())))) == 1


async def test_the_same_process_is_no_exception(path: Path) -> None:
    """A second server in it is refused by another name, too, and costs the first none of SQLite's own locks."""
    store = await SQLiteStore.open(path, own=True)
    other = hard_link(path)
    for own in (True, False):
        with pytest.raises(Conflict, match=f"in use by process {os.getpid()}"):
            await SQLiteStore.open(other, own=own)
    beside = await SQLiteStore.open(path, own=False)
    await beside.close()
    # SQLite holds a shared lock of the whole process on the file as long as it is open: nobody else may move the log
    # into the file and remove it.
    code = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT 1 FROM meta').fetchall(); c.close()"
    )
    subprocess.run([sys.executable, "-c", code, path], check=True)
    assert Path(f"{path}-wal").exists()
    await store.write(ping, 7)
    await store.close()
    await (await SQLiteStore.open(other, own=True)).close()


async def test_a_refusal_costs_others_of_the_process_no_lock(path: Path) -> None:
    """Closing a descriptor of the file would drop all locks that the process has on it."""
    with closing(sqlite3.connect(path)) as beside:
        beside.execute("SELECT * FROM meta").fetchall()
        with held(path), pytest.raises(Conflict):
            await SQLiteStore.open(path, own=True)
        shared = "0x40000002, os.SEEK_SET"  # the bytes that SQLite locks as long as a log may be in use
        lock = f"fcntl.lockf(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB, 510, {shared})"
        refused = subprocess.run([sys.executable, "-c", f"import fcntl, os, sys; {lock}", path], capture_output=True)
        assert b"BlockingIOError" in refused.stderr


async def test_descriptors_do_not_pile_up(tmp_path: Path) -> None:
    """Of files that nobody uses any more a few stay open, not all."""
    for number in range(20):
        await (await SQLiteStore.open(tmp_path / f"{number}.db", own=True)).close()
    ours = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if _is_there(fd)]
    assert len([name for name in ours if name.startswith(f"{tmp_path}/")]) <= 8


def _is_there(descriptor: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{descriptor}")


async def test_a_system_without_such_locks(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There the file beside the store has to do."""
    monkeypatch.setattr("gateway.storage.sqlite.lock.sys.platform", "other")
    store = await SQLiteStore.open(path.parent / "new.db", own=True)
    assert (path.parent / "new.db").stat().st_mode & 0o007 == 0
    with pytest.raises(Conflict, match=f"process {os.getpid()}"):
        check_unowned(f"sqlite:///{path.parent}/new.db")
    assert await store.read(list_keys) == []
    await store.close()


async def test_a_file_system_without_such_locks(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They fail there; SQLite says what it makes of it."""

    def fail(*_: object) -> bytes:
        raise OSError("no locks here")

    monkeypatch.setattr("gateway.storage.sqlite.lock.fcntl.fcntl", fail)
    store = await SQLiteStore.open(path, own=True)
    await store.close()
    with pytest.raises(StoreUnavailable):
        await SQLiteStore.open(path.parent, own=False)
