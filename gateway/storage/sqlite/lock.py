"""Who has a store's file open: one server at most, and nobody by another name of it. It opens no database.

The log (`-wal`) lies beside the name by which a file was opened. Whoever opens one file by two names, by a hard link or
a bind mount, has two logs and loses what was committed. So the locks that count are on the file itself, and the file
`.lock` beside it, which a person can read and can delete, says who the server is. Used by engine.py and row_reader.py.

The locks are Linux's open file description locks (fcntl(2), F_OFD_SETLK): they belong to a descriptor, are seen through
every name, container and mount, and end with the process. They are on bytes far beyond those that SQLite locks, which
begin at 0x40000000 (https://www.sqlite.org/c3ref/c_fcntl_begin_atomic_write.html, os_unix.c). SQLite's own are locks of
the process: closing *any* descriptor of the file drops them. So a descriptor is shared by all who use the file in this
process, and closed late. Elsewhere than on Linux there is the file `.lock` alone.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from gateway.domain import ids
from gateway.errors import Conflict
from gateway.storage.sqlite.errors import unusable

# The server locks as many bytes from here on as its process ID says: whoever meets the lock learns who has it.
_OWNER = 1 << 62
_NAMES, _MOST_NAMES = _OWNER + (1 << 48), 1 << 40  # a byte for each name by which the file is open
_FLOCK = "hhqqi4x"  # struct flock of 64-bit Linux: type, whence, start, length, process
_MOST_IDLE = 8


class StoreLock:
    """What one opened store holds until it is closed: the file under its name and, as the server, the file alone."""

    def __init__(self) -> None:
        self._name = -1
        self._file: _File | None = None
        self._owns = False
        self._owner_file: OwnerFile | None = None

    @classmethod
    def take(cls, path: Path, *, own: bool, create: bool = False) -> Self:
        """Take the locks before the file is opened; with `create` make it. `own`: as its one server.

        Raise Conflict, which says who it is, where another server has the file, or anybody has it by another name.
        """
        lock = cls()
        try:
            if own:
                lock._owner_file = OwnerFile.take(path)
            lock._file = file = _File.of(path, create=create)
            if file is not None:
                if own:
                    file.own(path)
                    lock._owns = True
                name = _key_of(path)
                file.add_name(path, name)
                lock._name = name
        except BaseException:
            lock.release()
            raise
        return lock

    def release(self) -> None:
        """Give the locks back, after the last connection was closed. A second call does nothing."""
        if self._file is not None:
            self._file.leave(self._name, owned=self._owns)
            self._file = None
        if self._owner_file is not None:
            self._owner_file.release()
            self._owner_file = None


def owner_of(path: Path) -> str | None:
    """Return which process has the file as its server, by whatever name; None where none has, or there is no file."""
    file = _File.of(path, create=False)
    if file is None:
        return None
    try:
        return file.owner()
    finally:
        file.leave(-1, owned=False)


class _File:
    """One database file, as this process has it open beside SQLite. `of` gives everybody the same one."""

    _mutex = threading.Lock()
    _open: dict[tuple[int, int], _File] = {}  # by device and inode, the least recently used first

    def __init__(self, descriptor: int, key: tuple[int, int]) -> None:
        self._descriptor, self._key = descriptor, key
        self._users = 0
        self._owned = False
        self._names: list[int] = []

    @classmethod
    def of(cls, path: Path, *, create: bool) -> _File | None:
        """Return the file for one more user, made if need be; None where that can't be, which SQLite then explains.

        The signing key is in a store, so only the file's owner and group may read it; SQLite gives its other files the
        same mode.
        """
        if sys.platform != "linux" or path.is_dir():
            if create and not path.is_dir():
                with suppress(OSError):
                    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o640))
            return None
        with cls._mutex:
            found = None
            with suppress(OSError):
                found = cls._open.pop(_inode(os.stat(path)), None)
            if found is None and (descriptor := _open_file(path, create)) >= 0:
                found = cls(descriptor, _inode(os.fstat(descriptor)))
            if found is not None:
                found._users += 1
                cls._open[found._key] = found
            return found

    def leave(self, name: int, *, owned: bool) -> None:
        """Let one user go. The descriptor stays for a while: others in this process may have the file by SQLite."""
        with self._mutex:
            self._users -= 1
            if owned and self._owned:
                self._owned = False
                self._unlock(_OWNER, os.getpid())
            if name in self._names:
                self._drop_name(name)
            idle = [file for file in self._open.values() if not file._users]
            for file in idle[: max(0, len(idle) - _MOST_IDLE)]:
                del self._open[file._key]
                os.close(file._descriptor)

    def own(self, path: Path) -> None:
        """Lock the file as its server. Raise Conflict."""
        with self._mutex:
            found = self.owner()
            if found is None:
                try:
                    self._lock(fcntl.F_WRLCK, _OWNER, os.getpid())
                    self._owned = True
                    return
                except (BlockingIOError, PermissionError):  # somebody was faster
                    found = self.owner() or "another process"
                except OSError:  # a file that can't be written, or locked: SQLite says so
                    return
            raise Conflict(f"The store {path} is in use by {found}.")

    def owner(self) -> str | None:
        """Return which process has the file as its server."""
        if self._owned:
            return f"process {os.getpid()}"
        found = self._holder(_OWNER, _NAMES - _OWNER)
        return None if found is None else f"process {found[1]}"

    def add_name(self, path: Path, name: int) -> None:
        """Note by which name the file is open. Raise Conflict where somebody has it by another one."""
        with self._mutex:
            with suppress(OSError):
                self._lock(fcntl.F_RDLCK, _NAMES + name, 1)
            self._names.append(name)
            others = any(other != name for other in self._names)
            before, after = self._holder(_NAMES, name), self._holder(_NAMES + name + 1, _MOST_NAMES - name)
            if others or before or after:
                self._drop_name(name)
                who = self.owner() or "another process"
                raise Conflict(f"The store {path} is in use by {who} under another name of the same file.")

    def _drop_name(self, name: int) -> None:
        self._names.remove(name)
        if name not in self._names:
            self._unlock(_NAMES + name, 1)

    def _unlock(self, start: int, length: int) -> None:
        with suppress(OSError):
            self._lock(fcntl.F_UNLCK, start, length)

    def _lock(self, kind: int, start: int, length: int) -> None:
        fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLK, struct.pack(_FLOCK, kind, os.SEEK_SET, start, length, 0))

    def _holder(self, start: int, length: int) -> tuple[int, int] | None:
        """Return start and length of another descriptor's lock that lies in these bytes."""
        if length <= 0:
            return None
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
        try:
            kind, _, at, found, _ = struct.unpack(_FLOCK, fcntl.fcntl(self._descriptor, fcntl.F_OFD_GETLK, asked))
        except OSError:
            return None
        return None if kind == fcntl.F_UNLCK else (at, found)


def _open_file(path: Path, create: bool) -> int:
    """Return a descriptor of the file, to write if it may be written; -1 for none."""
    for flags in (os.O_RDWR | (os.O_CREAT if create else 0), os.O_RDONLY):
        with suppress(OSError):
            return os.open(path, flags | os.O_CLOEXEC, 0o640)
    return -1


def _inode(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_dev, stat.st_ino


def _key_of(path: Path) -> int:
    """Return a number for the name by which a file is opened: its directory, however that is reached, and its name."""
    directory = os.stat(path.parent)
    text = f"{directory.st_dev} {directory.st_ino} {path.name}"
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()[:5])


class OwnerFile:
    """The file `.lock` beside the store, locked by its server: it says who that is."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: Path) -> Self:
        """Take the lock. Raise Conflict, which names the holder, if another process has it."""
        lock = f"{path}.lock"
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise unusable(path, f"{lock} can't be written ({error.strerror}).") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip() or "another process"
            os.close(descriptor)
            raise Conflict(f"The store {path} is in use by {holder}.") from error
        started = datetime.fromtimestamp(ids.now_ms() / 1000, UTC).isoformat(timespec="seconds")
        with suppress(OSError):  # on a full disk the lock holds all the same
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} (started {started})\n".encode(), 0)
        return cls(descriptor)

    def release(self) -> None:
        """Give the lock back. The empty file stays: unlinking it would let two owners lock two files of one name."""
        with suppress(OSError):
            os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)
