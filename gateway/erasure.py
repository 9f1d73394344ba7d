"""Removes a person: their content, their ID, and what is kept of their answers in memory. The numbers stay.

Only the owner of the store does it, so that nothing of theirs is on its way meanwhile: a running server, by
`DELETE /users/{user_id}` or by a request that `gateway erase` left in the store's mailbox; else that command itself.

    their running streams stop ─▶ traces ─▶ ratings ─▶ replies kept for retries ─▶ sign-ins ─▶ what others keep
                                                                            ─▶ what was deleted is overwritten
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Literal, TypeVar

import msgspec

from gateway.config.current import Current
from gateway.domain.ids import now_ms
from gateway.errors import GatewayError, InvalidValue, StoreUnavailable
from gateway.storage.engine import Store
from gateway.storage.scripts.erase import (
    ErasureTarget,
    drop_note,
    erase_ratings,
    erase_receipts,
    erase_traces,
    notes,
    put_note,
    ratings_by,
    traces_of,
)
from gateway.storage.scripts.erase_copies import (
    erase_labels,
    erase_names,
    erase_naming_ratings,
    erase_records,
    erase_runs,
    erase_sessions,
    ratings_naming,
    records_naming,
    records_of,
    runs_naming,
    sessions_of,
    traces_naming,
)
from gateway.storage.scripts.kept import Declared
from gateway.storage.scripts.ops import ping
from gateway.storage.scripts.people import erase_person
from gateway.streaming.runs import Runs

T = TypeVar("T")
POLL_S = 1.0
SMALL_BYTES = 100_000_000  # a file that is rewritten in a second or so
_BATCH = 100  # traces or ratings in a transaction, so that chats get their turn between two
_TRIES, _PAUSE_S = 40, 0.25  # of overwriting what was deleted, which a long read holds up
_REQUEST, _RESULT = "erase:", "erased:"  # what the names of the mailbox's notes begin with
_log = logging.getLogger("gateway.erasure")


class Erased(msgspec.Struct, frozen=True):
    """How many traces and ratings lost their person; both are 0 where nobody of that ID is known.

    `rewritten`: the whole file was rewritten. Otherwise what was deleted is overwritten, but for pieces of rows that
    the store may have moved; they go with the next rewrite.
    """

    traces: int
    ratings: int
    rewritten: bool
    status: Literal["success"] = "success"


class EraseRequest(msgspec.Struct, frozen=True):
    """Whom to erase. `project` None: in all of them."""

    user_id: str
    project: str | None = None


class EraseResult(msgspec.Struct, frozen=True):
    """How a request of the mailbox ended: one of the two."""

    erased: Erased | None = None
    error: str | None = None


_decode_request = msgspec.json.Decoder(EraseRequest).decode
_decode_result = msgspec.json.Decoder(EraseResult).decode


class Mailbox:
    """Notes in the store by which a command asks the server that owns it. The command makes a request's ID."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def send(self, request_id: str, request: EraseRequest) -> None:
        """Leave a request. Sent again, it does no harm: nothing is erased twice."""
        await self._store.write(put_note, _REQUEST + request_id, msgspec.json.encode(request).decode())

    async def withdraw(self, request_id: str) -> None:
        """Remove a request."""
        await self._store.write(drop_note, _REQUEST + request_id)

    async def requests(self) -> dict[str, str]:
        """Return the requests by ID, as JSON."""
        found = await self._store.read(notes, _REQUEST)
        return {name.removeprefix(_REQUEST): text for name, text in found.items()}

    async def reply(self, request_id: str, result: EraseResult) -> None:
        """Leave a result."""
        await self._store.write(put_note, _RESULT + request_id, msgspec.json.encode(result).decode())

    async def collect(self, request_id: str) -> EraseResult | None:
        """Take the result of a request away and return it; None as long as there is none."""
        name = _RESULT + request_id
        text = (await self._store.read(notes, name)).get(name)
        if text is None:
            return None
        await self._store.write(drop_note, name)
        return _decode_result(text)

    async def clear_results(self) -> None:
        """Remove the results that nobody collected."""
        for name in await self._store.read(notes, _RESULT):
            await self._store.write(drop_note, name)


class Erasure:
    """Erases one person at a time. `runs` is None where no server runs."""

    def __init__(self, store: Store, runs: Runs | None, current: Current) -> None:
        self._store = store
        self._runs = runs
        self._current = current
        self._mailbox = Mailbox(store)
        self._one = asyncio.Lock()

    async def erase(self, request: EraseRequest, *, request_id: str | None = None, rewrite: bool = False) -> Erased:
        """Erase a person, and return once nothing of theirs is left, in the file's free pages and its log either.

        What they ask after the call began is not part of it. `request_id` is that of the mailbox, from which the
        request is removed in time, since it names them. `rewrite`: rewrite the file however large it is, which holds
        up all writes; a small one is rewritten anyway.
        Raise InvalidValue for no ID, StoreUnavailable where something may be left: asking again goes on from there.
        """
        if not 1 <= len(request.user_id) <= 250:
            problem = "must be 1 to 250 characters"
            raise InvalidValue(f"user_id: {problem}", details=[("user_id", problem)])
        async with self._one:
            store, user_id, project = self._store, request.user_id, request.project
            await store.write(ping, now_ms())  # the rows of their chats that have begun are in
            found = await store.read(traces_of, user_id, project)
            await self._stop(each.trace_id for each in found)
            declared = self._current.value.feedback.declared
            for some_traces in _batches(found):
                await store.write(erase_traces, some_traces, declared)
            ratings = await store.read(ratings_by, user_id, project)
            for assessment_ids in _batches(ratings):
                await store.write(erase_ratings, assessment_ids, declared)
            await store.write(erase_receipts, user_id, project, {each.trace_id for each in found})
            await store.write(erase_person, user_id, project)
            await self._erase_copies(request, found, declared)
            if request_id is not None:
                await self._mailbox.withdraw(request_id)
            rewrite = rewrite or await store.size_bytes() <= SMALL_BYTES
            await self._purge(rewrite)
        erased = Erased(sum(not each.shared for each in found), len(ratings), rewrite)
        _log.info("A user's content was erased: %d traces, %d ratings.", erased.traces, erased.ratings)
        return erased

    async def serve_mailbox(self) -> None:
        """Do what `gateway erase` asks for, until cancelled."""
        cleared = False
        while True:
            try:
                if not cleared:  # from before the server stopped last
                    await self._mailbox.clear_results()
                    cleared = True
                for request_id, text in (await self._mailbox.requests()).items():
                    await self._serve(request_id, text)
            except GatewayError as error:
                _log.warning("Requests to erase have to wait: %s", error.message)
            except Exception:
                _log.exception("Requests to erase have to wait.")
            await asyncio.sleep(POLL_S)

    async def _serve(self, request_id: str, text: str) -> None:
        try:
            result = EraseResult(await self.erase(_decode_request(text), request_id=request_id))
        except StoreUnavailable:
            raise  # the request stays, and is tried again
        except (GatewayError, msgspec.DecodeError) as error:
            await self._mailbox.withdraw(request_id)
            why = error.message if isinstance(error, GatewayError) else "The server doesn't understand the request."
            result = EraseResult(error=why)
        await self._mailbox.reply(request_id, result)

    async def _erase_copies(self, request: EraseRequest, found: Sequence[ErasureTarget], declared: Declared) -> None:
        """Remove what others keep of the person: records of datasets, and IDs."""
        store, user_id = self._store, request.user_id
        names = {request.project: {user_id: None}}  # by project, as the IDs of conversations are
        for each in found:
            if each.leaves and each.session_id:
                names.setdefault(each.project, {user_id: None})[each.session_id] = None
        taken = await store.read(records_of, [each.trace_id for each in found], user_id, request.project)
        for some_records in _batches(taken):
            await store.write(erase_records, some_records, ())
        for project, of_project in names.items():
            await self._erase_names(list(of_project), project, declared)
        for sessions in _batches(await store.read(sessions_of, user_id, request.project)):
            await store.write(erase_sessions, sessions)

    async def _erase_names(self, names: Sequence[str], project: str | None, declared: Declared) -> None:
        store = self._store
        for some_records in _batches(await store.read(records_naming, names, project)):
            await store.write(erase_records, some_records, names)
        for trace_ids in _batches(await store.read(traces_naming, names, project)):
            await store.write(erase_labels, trace_ids, names)
        for places in _batches(await store.read(ratings_naming, names, project)):
            await store.write(erase_naming_ratings, places, declared)
        for runs in _batches(await store.read(runs_naming, names, project)):
            await store.write(erase_runs, runs)
        await store.write(erase_names, names, project)

    async def _stop(self, trace_ids: Iterable[str]) -> None:
        if self._runs is not None and await self._runs.forget(trace_ids):
            raise StoreUnavailable("The record of a stream that was stopped is not stored yet.", retry_after=1)

    async def _purge(self, rewrite: bool) -> None:
        for _ in range(_TRIES):
            if await self._store.purge_deleted(rewrite=rewrite):
                return
            rewrite = False  # that is done; what is missing is the end of the log
            await asyncio.sleep(_PAUSE_S)
        raise StoreUnavailable("Erased, but a long read, such as a backup, keeps old pages. Try again.", retry_after=5)


def _batches(things: Sequence[T]) -> Iterable[Sequence[T]]:
    return (things[at : at + _BATCH] for at in range(0, len(things), _BATCH))
