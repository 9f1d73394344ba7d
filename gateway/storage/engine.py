"""The seam between what is stored and where: an Engine runs transaction scripts, and knows none of them.

A script is a generator that yields statements and receives their rows; `gateway/storage/scripts/` has them by
subject. Services and handlers hand a script to the engine with its arguments. They make ids and times; a script
inserts what it is given. The statements are of the kind that every engine knows: `$1, $2, …`, TEXT ids, BIGINT
times in milliseconds UTC, JSON as TEXT, truth as 0 or 1. Three words stand for what engines say differently:

    json_field(column, $1)   the value under a name, of a column with a JSON object; the name has no double quote
    matches(text, $1)        the text has a part that the regular expression describes, in RE2's syntax
    no_index(column)         the column, without any use of its indexes

LIKE knows case, and its `%` and `_` can't be escaped. Patterns come from callers: an engine answers them in a time
that grows no faster than the text.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, ParamSpec, Protocol, TypeAlias, TypeVar

import msgspec

P = ParamSpec("P")
T = TypeVar("T")


class Row(Protocol):
    """A row by column name."""

    def __getitem__(self, key: str, /) -> Any: ...


Params = Sequence[object]
Statement = tuple[str, Params]
Rows = Sequence[Row]
Script: TypeAlias = Generator[Statement, Rows, T]


def drive(script: Script[T], execute: Callable[[str, Params], Rows]) -> T:
    """Run a script to its end by an `execute` that answers at once; return what the script returns."""
    try:
        sql, params = next(script)
        while True:
            sql, params = script.send(execute(sql, params))
    except StopIteration as end:
        result: T = end.value
        return result


class Engine(Protocol):
    """Runs scripts. Every method raises StoreUnavailable where the store can't be used, and what the script raises."""

    def write(self, script: Callable[P, Script[T]], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """Run one transaction. It takes its place in the queue when this is called; awaiting waits for the commit.

        A commit survives power loss. Where the store can't take a write, nothing of it is stored.
        """

    async def read(self, script: Callable[P, Script[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a script that only reads, and that is short."""

    async def search(self, project: str, script: Callable[P, Script[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a read that may take long, beside the others; whoever leaves ends it.

        Raise InvalidValue (`search_too_slow`) at its limit, and TooManyRequests where too many of a project wait: no
        project has all that searches need.
        """

    async def close(self) -> None:
        """Commit what waits, then let go of the store. A second call does nothing."""


class Stats(msgspec.Struct):
    """Counts of the writer, for metrics. `queued` counts the writes that aren't committed yet."""

    queued: int = 0
    batches: int = 0
    writes: int = 0
    rows: int = 0
    failed_batches: int = 0


class Maintenance(Protocol):
    """What an engine does to its own files or tables, which no script can say."""

    @property
    def stats(self) -> Stats:
        """Return the writer's counts. They go on changing."""

    def end_searches(self) -> None:
        """End the searches that run, and refuse new ones with Unavailable: the server is about to stop."""

    def synchronous(self) -> Awaitable[int]:
        """Return how far a commit waits for the disk, as the writing connection itself says: 2 is to the end."""

    async def used_bytes(self) -> int:
        """Return the bytes in use, free space not counted."""

    async def size_bytes(self) -> int:
        """Return the bytes that the store takes, once what was committed has been moved into it."""

    def trim(self) -> Awaitable[bool]:
        """Give some free space back to the file system. False: there was nothing to give."""

    def purge_deleted(self, *, rewrite: bool) -> Awaitable[bool]:
        """Overwrite what was deleted, also in the log. False: a reader holds an old state; try again.

        `rewrite`: write everything afresh, which leaves nothing of what was deleted and holds up all writes meanwhile.
        """


class Store(Engine, Maintenance, Protocol):
    """One opened store."""


class RowReader(Protocol):
    """A store opened to look, beside whoever owns it: for commands, which wait for each row."""

    def rows(self, statement: Statement) -> Iterator[Row]:
        """Yield what a statement finds; a row is in memory only while it is looked at. Raise StoreUnavailable."""


class Opener(Protocol):
    """One kind of engine: opens its stores by their URLs. Its methods raise StoreUnavailable, in one line."""

    async def open_store(self, url: str, *, own: bool, create: bool = True) -> Store:
        """Open or make a store. `own`: as its one server. Raise Conflict, which says who it is, if there is one."""

    def reading(self, url: str) -> AbstractContextManager[RowReader]:
        """Open a store to look for a while. It takes no lock and writes nothing."""

    def check_unowned(self, url: str) -> None:
        """Raise Conflict if a server owns the store. Nothing is made where there is none."""
