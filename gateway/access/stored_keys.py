"""Keeps the ring of keys, and people's sign-ins, as the store has them.

It decides nothing about callers: authenticator.py does, by the ring.

The ring is read anew every second. Two things don't wait for that:

    a caller's key isn't in the ring ─▶ `learn` looks for it in the store, at most every LOOK_EVERY_S for all callers
                                        together, and remembers for good what isn't there
    `gateway keys` changed the store ─▶ it leaves a note, and waits (`wait_for_server`) until the server that owns the
                                        store has read the keys again and taken the note away

Made by app.py, called by web/ and by `gateway keys`.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable

from gateway.access.keys import KeyRing, UnknownKey
from gateway.access.principal import Principal
from gateway.access.sign_ins import SignIns
from gateway.domain.ids import now_ms
from gateway.errors import GatewayError
from gateway.storage.engine import Engine
from gateway.storage.scripts.erase import drop_note, notes, put_note
from gateway.storage.scripts.keys import find_keys, list_keys, touch_keys
from gateway.storage.scripts.people import find_sign_ins, list_sign_ins, prolong, see

LOOK_EVERY_S = 0.05  # so that guessing costs the store no more than this, however often it is done
MOST_ABSENT = 10_000  # hashes that are remembered, of about 200 bytes each
MOST_WAITING = 500  # hashes of one look; whoever comes beyond that waits for the next second's
_EVERY_S = 1.0
_READ_AGAIN = "keys:"  # what the names of the notes begin with
_WAIT_S, _ASK_EVERY_S = 5.0, 0.05
_log = logging.getLogger("gateway.access")


class StoredKeys:
    """Owns the refreshing of `ring` and of `sign_ins`."""

    def __init__(self, store: Engine, ring: KeyRing, sign_ins: SignIns) -> None:
        self._store = store
        self._ring = ring
        self._sign_ins = sign_ins
        self._turn = asyncio.Lock()  # one at a time, or an older state could come after a newer one
        self._wanted: set[str] = set()
        self._absent: OrderedDict[str, None] = OrderedDict()
        self._next_look = 0.0

    async def learn(self, unknown: UnknownKey) -> None:
        """Return where the store has the caller's key or sign-in, which is in memory from then on.

        Raise `unknown` otherwise.
        """
        digest = unknown.digest
        if digest in self._absent or len(self._wanted) >= MOST_WAITING:
            raise unknown
        self._wanted.add(digest)
        async with self._turn:
            if digest in self._wanted:  # nobody who had their turn before has looked for it, too
                await self._look()
        if not (self._ring.has(digest) or self._sign_ins.has(digest)):
            raise unknown

    async def repeated(self, ask: Callable[[], Principal]) -> Principal:
        """Return whom `ask` returns, asked again where the key is new. Raise what it raises."""
        try:
            return ask()
        except UnknownKey as unknown:
            await self.learn(unknown)
            return ask()

    async def refresh(self) -> None:
        """Read all keys again, and answer the commands that wait for it. Raise StoreUnavailable."""
        async with self._turn:
            asked = await self._store.read(notes, _READ_AGAIN)  # before the keys, so that none is answered too early
            self._ring.refresh(await self._store.read(list_keys))
            self._sign_ins.refresh(await self._store.read(list_sign_ins, now_ms()))
        for name in asked:
            await self._store.write(drop_note, name)

    async def refresh_forever(self) -> None:
        """Refresh every second, and write back what was used, until cancelled."""
        while True:
            await asyncio.sleep(_EVERY_S)
            try:
                await self.refresh()
                await self.write_back()
            except GatewayError as error:
                _log.warning("The keys can't be read again: %s", error.message)
            except Exception:
                _log.exception("The keys can't be read again.")

    async def forget(self, digest: str) -> None:
        """Drop a sign-in that the store has no longer, also where it is being read again just now."""
        async with self._turn:
            self._sign_ins.drop(digest)

    async def write_back(self) -> None:
        """Store when keys and sign-ins were used last. Raise StoreUnavailable."""
        if used := self._ring.take_used():
            await self._store.write(touch_keys, used)
        if longer := self._sign_ins.take_longer():
            await self._store.write(prolong, longer)
        if seen := self._sign_ins.take_seen():
            await self._store.write(see, seen)

    async def _look(self) -> None:
        """Look for all that are wanted by now, as soon as it is time for another look."""
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(max(0.0, self._next_look - clock()))
        wanted = frozenset(self._wanted)
        try:
            found = await self._store.read(find_keys, tuple(wanted))
            sign_ins = await self._store.read(find_sign_ins, tuple(wanted))
        except GatewayError:
            self._wanted -= wanted  # nothing was learned of any of them
            return
        finally:
            self._next_look = clock() + LOOK_EVERY_S
        self._wanted -= wanted
        for record in found:
            self._ring.add(record)
        for each in sign_ins:
            self._sign_ins.add(each)
        known = {record.key_hash for record in found} | {each.sign_in_hash for each in sign_ins}
        for digest in wanted - known:
            self._absent[digest] = None
            if len(self._absent) > MOST_ABSENT:
                self._absent.popitem(last=False)


async def wait_for_server(store: Engine) -> bool:
    """Ask the server that owns the store to read the keys again, and wait until it has. False: it doesn't answer."""
    name = _READ_AGAIN + secrets.token_hex(8)
    await store.write(put_note, name, "")
    for _ in range(round(_WAIT_S / _ASK_EVERY_S)):
        await asyncio.sleep(_ASK_EVERY_S)
        if not await store.read(notes, name):
            return True
    await store.write(drop_note, name)
    return False
