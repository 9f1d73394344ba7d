"""The ring of keys beside its store: new keys at once, guesses for nothing, and commands that wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.access import stored_keys
from gateway.access.keys import KeyRing, UnknownKey, new_key
from gateway.access.sign_ins import SignIns
from gateway.access.stored_keys import StoredKeys, wait_for_server
from gateway.errors import StoreUnavailable, Unauthorized
from gateway.storage.scripts.erase import notes
from gateway.storage.scripts.keys import add_key, find_keys, revoke_key
from gateway.storage.sqlite.engine import SQLiteStore


class Store(SQLiteStore):
    """A real store that counts the looks for single keys; `broken` lets them fail."""

    looks: int
    broken: bool

    async def read(self, script: Any, *args: Any, **kwargs: Any) -> Any:
        if script is find_keys:
            self.looks += 1
            if self.broken:
                raise StoreUnavailable("The store can't be read right now.")
        return await super().read(script, *args, **kwargs)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """An empty store."""
    opened = await Store.open(tmp_path / "gateway.db", own=True)
    opened.looks, opened.broken = 0, False
    try:
        yield opened
    finally:
        await opened.close()


class Callers:
    """A running server's ring, and what it says to a key."""

    def __init__(self, store: Store) -> None:
        self.ring = KeyRing()
        self.stored = StoredKeys(store, self.ring, SignIns())

    async def admits(self, secret: str) -> bool:
        try:
            await self.stored.repeated(lambda: self.ring.find(secret))
        except Unauthorized:
            return False
        return True


async def test_a_new_key_works_without_waiting(store: Store) -> None:
    """It is looked for once; from then on it is in the ring, with its pages' origins."""
    callers = Callers(store)
    secret, record = new_key("chat", origins=["https://a.example"])
    await store.write(add_key, record)
    assert await callers.admits(secret)
    assert await callers.admits(secret)
    assert store.looks == 1
    assert callers.ring.active(record.key_id)
    assert callers.ring.origins == {"https://a.example"}


async def test_a_revoked_key_is_not_found(store: Store) -> None:
    """Neither before the ring is read again nor after."""
    callers = Callers(store)
    secret, record = new_key("chat")
    await store.write(add_key, record)
    await store.write(revoke_key, record.name, 5)
    assert not await callers.admits(secret)
    await callers.stored.refresh()
    assert not await callers.admits(secret)


async def test_an_unknown_key_is_looked_for_once(store: Store) -> None:
    """Keys are random: one that was tried before it was made can't become one later."""
    callers = Callers(store)
    secret, _ = new_key("chat")
    for _ in range(3):
        assert not await callers.admits(secret)
    assert store.looks == 1


async def test_what_has_not_the_form_of_a_key_is_not_looked_for(store: Store) -> None:
    """A cut-off key, another kind of secret, odd characters."""
    callers = Callers(store)
    secret, _ = new_key("chat")
    for text in (secret[:-1], secret + "a", "gw-", secret[:-1] + "é", secret[:-1] + "\udcff"):
        assert not await callers.admits(text)
    assert store.looks == 0


async def test_many_guesses_are_one_look(store: Store) -> None:
    """And a real key among them is found, also beside one that nobody has to look for."""
    callers = Callers(store)
    secret, record = new_key("chat")
    await store.write(add_key, record)
    guesses = [new_key("chat")[0] for _ in range(100)]
    answers = await asyncio.gather(*map(callers.admits, [*guesses, secret, secret]))
    assert answers == [False] * 100 + [True, True]
    assert store.looks == 1


async def test_looks_have_a_pause_between_them(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """However fast a caller guesses."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    callers = Callers(store)
    assert not await callers.admits(new_key("chat")[0])
    monkeypatch.setattr("gateway.access.stored_keys.asyncio.sleep", sleep)
    monkeypatch.setattr(stored_keys, "LOOK_EVERY_S", 100.0)
    assert not await callers.admits(new_key("chat")[0])
    assert not await callers.admits(new_key("chat")[0])
    assert pauses[-1] > 99


async def test_what_is_remembered_of_guesses_is_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest is forgotten, and looked for again; beyond the most that wait, nobody is looked for."""
    monkeypatch.setattr(stored_keys, "MOST_ABSENT", 2)
    callers = Callers(store)
    guesses = [new_key("chat")[0] for _ in range(3)]
    for guess in [*guesses, guesses[2], guesses[0]]:
        assert not await callers.admits(guess)
    assert store.looks == 4
    monkeypatch.setattr(stored_keys, "MOST_WAITING", 0)
    assert not await callers.admits(new_key("chat")[0])
    assert store.looks == 4


async def test_a_look_that_failed_proves_nothing(store: Store) -> None:
    """The key is refused, and found when the store can be read again."""
    callers = Callers(store)
    secret, record = new_key("chat")
    await store.write(add_key, record)
    store.broken = True
    assert not await callers.admits(secret)
    store.broken = False
    assert await callers.admits(secret)


async def test_a_look_that_was_cancelled_is_done_by_the_next(store: Store) -> None:
    """A caller that leaves takes no answer from those who wait with it."""
    callers = Callers(store)
    secret, record = new_key("chat")
    await store.write(add_key, record)
    leaving = asyncio.create_task(callers.stored.learn(UnknownKey("0" * 64)))
    staying = asyncio.create_task(callers.admits(secret))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying
    assert leaving.cancelled() or await asyncio.gather(leaving, return_exceptions=True)


async def test_a_command_waits_until_the_server_has_read_the_keys(store: Store) -> None:
    """The note is gone only when a key that was revoked before it is out of the ring."""
    callers = Callers(store)
    secret, record = new_key("chat")
    await store.write(add_key, record)
    await callers.stored.refresh()
    await store.write(revoke_key, record.name, 5)
    waiting = asyncio.create_task(wait_for_server(store))
    while not waiting.done():
        await callers.stored.refresh()
        await asyncio.sleep(0.01)
    assert waiting.result()
    assert not await callers.admits(secret)


async def test_a_command_does_not_wait_for_ever(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody reads the keys again it says so, and leaves no note behind."""
    monkeypatch.setattr(stored_keys, "_WAIT_S", 0.1)
    assert not await wait_for_server(store)
    assert not await store.read(notes, "keys:")
