"""Removes a person: their content, their ID, and what is kept of their answers in memory. The numbers stay.

Only the owner of the store does it, so that nothing of theirs is on its way meanwhile: a running server, by
`DELETE /users/{user_id}` or by a note that `gateway erase` left in the store; else that command itself.

    their running streams stop ─▶ traces ─▶ ratings ─▶ replies kept for retries ─▶ the file is scrubbed
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Literal, TypeVar

import msgspec

from gateway.config.current import Current
from gateway.config.schema import Config
from gateway.domain.ids import now_ms
from gateway.errors import GatewayError, InvalidValue, StoreUnavailable
from gateway.storage.engine import Store
from gateway.storage.scripts.erase import (
    drop_note,
    erase_ratings,
    erase_receipts,
    erase_traces,
    notes,
    put_note,
    ratings_by,
    traces_of,
)
from gateway.storage.scripts.ops import ping
from gateway.streaming.runs import Runs

T = TypeVar("T")
ASKED, ANSWERED = "erase:", "erased:"  # notes in the store: wanted by a command, done by the server
POLL_S = 1.0
SMALL_BYTES = 100_000_000  # are written anew in a second or so
_BATCH = 100  # traces or ratings in a transaction, so that chats get their turn between two
_TRIES, _PAUSE_S = 40, 0.25  # of the scrubbing, which a long read holds up
_log = logging.getLogger("gateway.erasure")


class Erased(msgspec.Struct, frozen=True):
    """How many traces and ratings lost their person; both 0: nobody of that ID is known.

    `rewritten`: the file was written anew. Else what was deleted is overwritten, but for pieces of rows
    that the store may have moved; they go with the next rewrite.
    """

    traces: int
    ratings: int
    rewritten: bool
    status: Literal["success"] = "success"


class Wanted(msgspec.Struct, frozen=True):
    """What a note asks for. `project` None: all of them."""

    user_id: str
    project: str | None = None


class Answer(msgspec.Struct, frozen=True):
    """What became of a note: one of the two."""

    erased: Erased | None = None
    error: str | None = None


_wanted = msgspec.json.Decoder(Wanted)


class Erasure:
    """`runs` is None where no server runs."""

    def __init__(self, store: Store, runs: Runs | None, current: Current) -> None:
        self._store = store
        self._runs = runs
        self._current = current
        self._one = asyncio.Lock()

    async def erase(self, wanted: Wanted, *, note: str | None = None, rewrite: bool = False) -> Erased:
        """Done once nothing of theirs is left, in the file's free pages and its log either.

        `rewrite`: the file however large it is, which holds up all writes; a small one is anyway.
        Raises StoreUnavailable where that can't be said; asking again goes on with what is left. What they ask after
        the call began is not part of it. `note` is dropped before the file is scrubbed, since it names them.
        """
        if not 1 <= len(wanted.user_id) <= 250:
            problem = "must be 1 to 250 characters"
            raise InvalidValue(f"user_id: {problem}", details=[("user_id", problem)])
        async with self._one:
            store, user_id, project = self._store, wanted.user_id, wanted.project
            await store.write(ping, now_ms())  # the rows of their chats that have begun are in
            found = await store.read(traces_of, user_id, project)
            await self._stop(each.trace_id for each in found)
            options = _options(self._current.value)
            for targets in _batches(found):
                await store.write(erase_traces, targets, options)
            ratings = await store.read(ratings_by, user_id, project)
            for assessment_ids in _batches(ratings):
                await store.write(erase_ratings, assessment_ids, options)
            await store.write(erase_receipts, user_id, project, {each.trace_id for each in found})
            if note is not None:
                await store.write(drop_note, note)
            rewrite = rewrite or await store.size_bytes() <= SMALL_BYTES
            await self._scrub(rewrite)
        erased = Erased(sum(not each.shared for each in found), len(ratings), rewrite)
        _log.info("erased a user's content: %d traces, %d ratings", erased.traces, erased.ratings)
        return erased

    async def follow_notes(self) -> None:
        """The background loop of a server: does what `gateway erase` asks for."""
        old = True
        while True:
            try:
                if old:  # answers that nobody fetched before the server stopped last
                    for name in await self._store.read(notes, ANSWERED):
                        await self._store.write(drop_note, name)
                    old = False
                for name, text in (await self._store.read(notes, ASKED)).items():
                    await self._follow(name, text)
            except GatewayError as error:
                _log.warning("erasures wait: %s", error.message)
            except Exception:
                _log.exception("erasures wait")
            await asyncio.sleep(POLL_S)

    async def _follow(self, name: str, text: str) -> None:
        try:
            answer = Answer(await self.erase(_wanted.decode(text), note=name))
        except StoreUnavailable:
            raise  # the note stays, and is followed later
        except (GatewayError, msgspec.DecodeError) as error:
            await self._store.write(drop_note, name)
            why = error.message if isinstance(error, GatewayError) else "The server doesn't understand the note."
            answer = Answer(error=why)
        await self._store.write(put_note, ANSWERED + name.removeprefix(ASKED), msgspec.json.encode(answer).decode())

    async def _stop(self, trace_ids: Iterable[str]) -> None:
        if self._runs is not None and await self._runs.forget(trace_ids):
            raise StoreUnavailable("The record of a stream that was stopped is not stored yet.", retry_after=1)

    async def _scrub(self, rewrite: bool) -> None:
        for _ in range(_TRIES):
            if await self._store.purge_deleted(rewrite=rewrite):
                return
            rewrite = False  # it is anew; what is missing is the end of the log
            await asyncio.sleep(_PAUSE_S)
        raise StoreUnavailable("Erased, but a long read, such as a backup, keeps old pages. Try again.", retry_after=5)


def _options(config: Config) -> set[tuple[str, str]]:
    """(name, value) of the ratings that have a text for a value which the configuration declares."""
    dimensions = config.feedback.dimensions
    return {(f"user_{name}", option) for name, each in dimensions.items() for option in each.options or ()}


def _batches(things: Sequence[T]) -> Iterable[Sequence[T]]:
    return (things[at : at + _BATCH] for at in range(0, len(things), _BATCH))
