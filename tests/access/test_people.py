"""Signed-in people beside the store: cookies, whose pages they serve, and what a server remembers of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.access.address import Headers
from gateway.access.keys import KeyRing, new_key
from gateway.access.people import People, cookie_of
from gateway.access.principal import Principal
from gateway.access.sign_ins import SignIns, UnknownSignIn, new_sign_in
from gateway.access.stored_keys import StoredKeys
from gateway.config.current import Current
from gateway.config.schema import Config, Server
from gateway.domain import ids
from gateway.domain.people import SESSION_MS
from gateway.errors import Forbidden, Unauthorized
from gateway.storage.scripts.keys import add_key
from gateway.storage.scripts.people import Seen, SignIn, list_sign_ins, sign_in
from gateway.storage.sqlite.engine import SQLiteStore

HOST = (b"host", b"gateway.example:8443")
OWN = (b"origin", b"https://gateway.example:8443")
HOUR_MS = 3_600_000


def a_sign_in(ring: KeyRing, now: int | None = None) -> tuple[tuple[bytes, bytes], SignIn]:
    """A cookie's header and its record, of a lead with the first key of the ring."""
    (key_id,) = ring._by_id
    secret, record = new_sign_in("default", "ann", "lead", "key", key_id, ids.now_ms() if now is None else now)
    return (b"cookie", f"a=b; gw_session={secret}".encode()), record


@pytest.fixture
def ring() -> KeyRing:
    return KeyRing([new_key("review")[1]])


def people(ring: KeyRing, *records: SignIn, **server: object) -> People:
    return People(ring, SignIns(records), Current(Config(server=Server(**server))))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ([], None),
        ([(b"cookie", b"a=b")], None),
        ([(b"cookie", b"gw_sessions=x; xgw_session=y")], None),
        ([(b"cookie", b"gw_session")], None),
        ([(b"cookie", b"gw_session=x")], "x"),
        ([(b"cookie", b"a=b;gw_session= x ;c=d")], "x"),
        ([(b"cookie", b"a=b"), (b"cookie", b"gw_session=x"), (b"cookie", b"gw_session=y")], "x"),
        ([(b"cookie", b"gw_session=\xff")], "\xff"),
    ],
)
def test_the_cookie_is_found(headers: Headers, found: str | None) -> None:
    """Among others of the same host; the first of several."""
    assert cookie_of(headers) == found


def test_public_url_is_an_own_page(ring: KeyRing) -> None:
    """Beside the Host: its scheme, name and port, and nothing that only begins so."""
    cookie, record = a_sign_in(ring)
    found = people(ring, record, public_url="https://public.example/below/")
    for origin in (b"https://public.example", b"https://gateway.example:8443", b"http://gateway.example:8443"):
        person = found.find([HOST, cookie, (b"origin", origin)], None, "POST")
        assert person is not None
        assert (person.user_id, person.role, person.way) == ("ann", "lead", "key")
    for origin in (b"http://public.example", b"https://public.example.evil", b"https://gateway.example", b""):
        with pytest.raises(Forbidden):
            found.find([HOST, cookie, (b"origin", origin)], None, "POST")
        assert found.find([HOST, cookie, (b"origin", origin)], None, "GET") is None


def test_what_is_no_cookie_of_ours_asks_no_store(ring: KeyRing) -> None:
    """Only what has the form of one may be new."""
    cookie, _ = a_sign_in(ring)
    with pytest.raises(UnknownSignIn):
        people(ring).find([HOST, cookie], None, "GET")
    with pytest.raises(Unauthorized) as caught:
        people(ring).find([HOST, (b"cookie", b"gw_session=gw-si-x")], None, "GET")
    assert not isinstance(caught.value, UnknownSignIn)


def test_it_ends_with_its_key(ring: KeyRing) -> None:
    """At the next request, and for what is still open."""
    cookie, record = a_sign_in(ring)
    found = people(ring, record)
    person = found.find([HOST, cookie], None, "GET")
    assert person is not None
    assert not found.ended(person)
    ring.refresh([])
    assert found.ended(person)
    with pytest.raises(Unauthorized):
        found.find([HOST, cookie], None, "GET")


def test_it_slides(ring: KeyRing, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once an hour at most; a refresh that still has the old end takes nothing back."""
    now = ids.now_ms()
    cookie, record = a_sign_in(ring, now)
    found = people(ring, record)

    def renewed(at: int) -> bool:
        monkeypatch.setattr("gateway.access.sign_ins.now_ms", lambda: at)
        person = found.find([HOST, cookie], "203.0.113.9", "GET")
        assert person is not None
        return person.renewed

    assert [renewed(now + minutes * 60_000) for minutes in (1, 59, 60, 61)] == [False, False, True, False]
    found.sign_ins.refresh([record])
    assert not renewed(now + HOUR_MS)
    assert found.sign_ins.take_longer() == {record.sign_in_hash: now + HOUR_MS + SESSION_MS}
    assert found.sign_ins.take_seen() == [Seen("default", "ann", "lead", "key", now + HOUR_MS, "203.0.113.9")]
    with pytest.raises(Unauthorized):
        renewed(now + HOUR_MS + SESSION_MS)


def test_it_never_outlasts_its_end(ring: KeyRing, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it is used."""
    now = ids.now_ms()
    secret, record = new_sign_in("default", "ann", "lead", "key", next(iter(ring._by_id)), now, now + SESSION_MS + 5)
    found = people(ring, record)
    monkeypatch.setattr("gateway.access.sign_ins.now_ms", lambda: now + 2 * HOUR_MS)
    headers = [HOST, (b"cookie", b"gw_session=" + secret.encode())]
    for renewed in (True, False):
        person = found.find(headers, None, "GET")
        assert person is not None
        assert person.renewed is renewed
    assert found.sign_ins.take_longer() == {record.sign_in_hash: now + SESSION_MS + 5}


async def test_beside_the_store(tmp_path: Path) -> None:
    """A sign-in of another process is looked for, is written back when it is used, and is gone once forgotten."""
    store = await SQLiteStore.open(tmp_path / "gateway.db", own=True)
    try:
        _, key = new_key("review")
        await store.write(add_key, key)
        ring, sign_ins = KeyRing([key]), SignIns()
        stored = StoredKeys(store, ring, sign_ins)
        found = People(ring, sign_ins, Current(Config()))
        cookie, record = a_sign_in(ring, ids.now_ms() - 2 * HOUR_MS)
        await store.write(sign_in, record, Seen("default", "ann", "lead", "key", 1, "::1"))

        def ask() -> Principal:
            person = found.find([HOST, cookie], None, "GET")
            assert person is not None
            return person

        callers = await asyncio.gather(*(stored.repeated(ask) for _ in range(5)))
        assert [caller.user_id for caller in callers] == ["ann"] * 5
        await stored.write_back()
        (later,) = await store.read(list_sign_ins, 0)
        assert later.expires > record.expires + HOUR_MS
        await stored.refresh()
        assert sign_ins.has(record.sign_in_hash)
        await stored.forget(record.sign_in_hash)
        assert sign_ins.lasting(record.sign_in_hash) is None
    finally:
        await store.close()
