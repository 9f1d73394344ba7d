"""The Store, in small groups of methods by subject. Everything above reads and writes through these alone.

Methods that return `Awaitable` take their place in the write queue when they are *called*; awaiting them waits for
the commit. A commit survives power loss. Where the store can't take a write, StoreUnavailable is raised and
nothing of that write is stored. Handlers and services make ids and times; the store inserts what it is given.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Generator, Sequence
from typing import Any, Literal, ParamSpec, Protocol, TypeAlias, TypeVar

import msgspec

from gateway.domain.activity import Activity
from gateway.domain.trace import Assessment, Checkpoint, Span, Trace, TraceEnd, TraceStart

P = ParamSpec("P")
T = TypeVar("T")


class Row(Protocol):
    """A row of either engine, by column name."""

    def __getitem__(self, key: str, /) -> Any: ...


Params = Sequence[object]
Statement = tuple[str, Params]
Rows = Sequence[Row]
Script: TypeAlias = Generator[Statement, Rows, T]  # one transaction, see sql.py


class Session(msgspec.Struct, frozen=True):
    """A conversation's owner. `user_id` None: it belongs to the whole project."""

    session_id: str
    project: str
    user_id: str | None


class FeedbackWrite(msgspec.Struct, frozen=True, kw_only=True):
    """Ratings of one rater on one trace, stored all or not at all.

    Exactly one of `trace_id` and `client_request_id` is set. `source_id` None is the anonymous rater of that trace
    (`anonymous:<trace_id>`). The assessments' own trace_id, source_id and overrides are filled in by the store.
    """

    project: str
    trace_id: str | None
    client_request_id: str | None
    source_id: str | None
    assessments: tuple[Assessment, ...]
    idempotency_key: str | None = None
    body_hash: str = ""  # tells a replay from another request with the same key
    now: int


class FeedbackReceipt(msgspec.Struct, frozen=True):
    """What was committed; a replay by Idempotency-Key gives the first one again, with `replayed` set."""

    trace_id: str
    assessments: tuple[Assessment, ...]
    replayed: bool = False


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An API key as it is stored: never the key, only its SHA-256."""

    key_id: str
    name: str
    role: Literal["chat", "review", "admin"]
    project: str
    key_hash: str  # hex
    hint: str  # the first characters, to tell keys apart in a list
    created: int
    revoked: int | None = None
    last_used: int | None = None
    publishable: bool = False  # it may stand in a web page: it only chats, and only from `origins`
    origins: tuple[str, ...] = ()
    requests_per_minute: int = 0  # 0: what the configuration says
    expires: int | None = None


class Belonging(msgspec.Struct, frozen=True):
    """A trace that an erasure clears; `shared`: it is another's, of a conversation that they took part in."""

    trace_id: str
    project: str
    session_id: str
    shared: bool = False


class TraceStore(Protocol):
    def begin_trace(self, start: TraceStart) -> Awaitable[None]:
        """Insert the running trace, and its session if new. NotFound if the session is another user's."""

    def checkpoint(self, deltas: Sequence[Checkpoint]) -> Awaitable[None]:
        """Append to the kept text of running traces, in one transaction."""

    def finish_trace(self, end: TraceEnd) -> Awaitable[None]:
        """Write the terminal state and the spans, and drop the checkpoints. A second call changes nothing."""

    async def get_trace(self, project: str, trace_id: str) -> Trace | None: ...

    async def get_spans(self, trace_id: str) -> list[Span]: ...

    async def get_session(self, project: str, session_id: str) -> Session | None: ...

    async def session_traces(self, project: str, session_id: str, limit: int = 200) -> list[Trace]:
        """The newest `limit` traces of a conversation, oldest first; fewer where they are very long."""


class FeedbackStore(Protocol):
    def record_feedback(self, write: FeedbackWrite) -> Awaitable[FeedbackReceipt]:
        """NotFound for an unknown trace; InvalidValue (`idempotency_key_reused`) for a key with another body.

        The same rater, trace and name again: the new assessment overrides the valid one, which becomes invalid.
        """

    async def replayed_feedback(self, write: FeedbackWrite) -> FeedbackReceipt | None:
        """What `record_feedback` would give again, where it has had this Idempotency-Key. InvalidValue as there."""

    def retract_feedback(
        self,
        project: str,
        trace_id: str | None,
        client_request_id: str | None,
        source_id: str | None,
        name: str,
        now: int,
    ) -> Awaitable[tuple[str, int]]:
        """Invalidate this rater's whole chain of that name: (trace_id, how many were valid). NotFound: the trace."""

    async def feedback_of(
        self, project: str, trace_ids: Sequence[str], source_id: str | None
    ) -> dict[str, list[Assessment]]:
        """This rater's valid feedback by trace, oldest first (source_id None: each trace's anonymous rater)."""

    async def resolve_trace(self, project: str, trace_id: str | None, client_request_id: str | None) -> str | None:
        """The trace's ID if it exists: by its own, or the newest with that client request ID."""


class KeyStore(Protocol):
    async def list_keys(self) -> list[KeyRecord]: ...

    def add_key(self, key: KeyRecord) -> Awaitable[None]:
        """Conflict if an active key has the name."""

    def revoke_key(self, name: str, now: int) -> Awaitable[KeyRecord]:
        """NotFound if no active key has the name (or ID)."""

    def touch_keys(self, used: dict[str, int]) -> Awaitable[None]:
        """Last use by key ID, in milliseconds."""

    def signing_key(self, fresh: str) -> Awaitable[str]:
        """The key that signs feedback tokens where none is configured: the stored one, else `fresh` from now on."""


class OpsStore(Protocol):
    async def recent(self, since_ms: int, limit: int = 1000, *, errors: bool = False) -> list[Activity]:
        """What finished or was rated at or after `since_ms`: the newest `limit`, oldest first."""

    def ping(self) -> Awaitable[None]:
        """Prove that a write commits."""

    def expire(self, before_ms: int, idempotency_before_ms: int, limit: int) -> Awaitable[int]:
        """Delete up to `limit` finished traces older than `before_ms`; ratings keep their numbers. Returns how many."""

    async def size_bytes(self) -> int:
        """Bytes in use, free pages not counted."""

    async def file_bytes(self) -> int:
        """Bytes of the file, once what was committed has been moved into it."""

    def trim(self, pages: int) -> Awaitable[bool]:
        """Give up to so many free pages back to the file system. False: there was nothing to give."""

    def expire_oldest(self, limit: int) -> Awaitable[int]:
        """Delete the oldest `limit` finished traces, as `expire` does."""


class ScriptStore(Protocol):
    """Runs scripts of its callers' choice: for subjects that only one package knows."""

    def write(self, script: Callable[P, Script[T]], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """As one transaction in the write queue."""

    async def read(self, script: Script[T]) -> T: ...

    async def search(self, script: Script[T]) -> T:
        """A read that may take long: beside the others, and cut off by InvalidValue (`search_too_slow`)."""


class EraseStore(Protocol):
    """`project` None: all of them. `options`: (name, value) of ratings whose text is a declared option."""

    async def traces_of(self, user_id: str, project: str | None) -> list[Belonging]:
        """What a user said and was told, shared conversations included. Reads every trace."""

    def erase_traces(self, belongings: Sequence[Belonging], options: Collection[tuple[str, str]]) -> Awaitable[None]:
        """Clear these traces, their spans and their ratings of all that isn't a number, in one transaction."""

    async def ratings_by(self, user_id: str, project: str | None) -> list[str]:
        """IDs of the ratings that a user gave. Reads every rating."""

    def erase_ratings(self, assessment_ids: Sequence[str], options: Collection[tuple[str, str]]) -> Awaitable[None]:
        """Clear these ratings of the rater and of all that isn't a number."""

    def erase_receipts(self, user_id: str, project: str | None, trace_ids: Collection[str]) -> Awaitable[None]:
        """Drop what is kept for retries by this user, or about these traces."""

    def scrub(self, *, rewrite: bool) -> Awaitable[bool]:
        """Overwrite what was deleted, in the file and in its log. False: a reader holds an old state; try again.

        `rewrite`: write the whole file anew, which leaves no trace of anything and holds up all writes meanwhile.
        """

    async def file_bytes(self) -> int:
        """Bytes of the file."""

    def put_note(self, name: str, value: str) -> Awaitable[None]:
        """A small text under a name, for whoever owns the store, or from them."""

    async def notes(self, prefix: str) -> dict[str, str]:
        """All whose name begins so."""

    def drop_note(self, name: str) -> Awaitable[None]: ...

    def ping(self) -> Awaitable[None]:
        """Done once everything submitted before is committed."""


class Store(TraceStore, FeedbackStore, KeyStore, OpsStore, EraseStore, ScriptStore, Protocol):
    """All of it, as one engine offers it."""

    async def close(self) -> None:
        """Commit what waits, then let go of the file."""
