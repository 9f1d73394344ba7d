"""The scripts over people, on both engines."""

from __future__ import annotations

import pytest

from gateway.access.sign_ins import new_sign_in
from gateway.domain.people import SESSION_MS
from gateway.errors import Conflict
from gateway.storage.engine import Engine
from gateway.storage.scripts.people import (
    Seen,
    SignIn,
    erase_person,
    find_sign_ins,
    list_sign_ins,
    prolong,
    see,
    sign_in,
    sign_out,
)
from tests.support.rows import ask

NOW = 1_000_000_000_000


def seen(record: SignIn, address: str = "::1") -> Seen:
    return Seen(record.project, record.user_id, record.role, record.way, record.created, address)


async def signed_in(engine: Engine, user_id: str = "ann", now: int = NOW, project: str = "default") -> SignIn:
    _, record = new_sign_in(project, user_id, "lead", "key", "key-1", now)
    await engine.write(sign_in, record, seen(record))
    return record


async def test_sign_ins_are_found(engine: Engine) -> None:
    """By their hash, and all that last."""
    ann, ben = await signed_in(engine), await signed_in(engine, "ben")
    assert ann.expires == NOW + SESSION_MS
    assert await engine.read(find_sign_ins, [ann.sign_in_hash, "unknown"]) == [ann]
    assert {each.user_id for each in await engine.read(list_sign_ins, NOW)} == {"ann", "ben"}
    assert await engine.read(list_sign_ins, NOW + SESSION_MS) == []
    with pytest.raises(Conflict):
        await engine.write(sign_in, ben, seen(ben))


async def test_sign_ins_end(engine: Engine) -> None:
    """By signing out, by signing in again, and those that are over go by the way."""
    ann, ben, old = await signed_in(engine), await signed_in(engine, "ben"), await signed_in(engine, "old", 1)
    await engine.write(sign_out, ann.sign_in_hash)
    await engine.write(sign_out, ann.sign_in_hash)
    _, again = new_sign_in("default", "ben", "lead", "key", "key-1", old.expires)
    await engine.write(sign_in, again, seen(again), ben.sign_in_hash)
    found = await engine.read(find_sign_ins, [each.sign_in_hash for each in (ann, ben, old, again)])
    assert found == [again]


async def test_sign_ins_last_longer(engine: Engine) -> None:
    """Never shorter, and one that has ended does not come back."""
    ann, ben = await signed_in(engine), await signed_in(engine, "ben")
    await engine.write(sign_out, ben.sign_in_hash)
    longer, shorter = ann.expires + 5, ann.expires - 5
    await engine.write(prolong, {ann.sign_in_hash: longer, ben.sign_in_hash: longer})
    await engine.write(prolong, {ann.sign_in_hash: shorter})
    assert [(each.user_id, each.expires) for each in await engine.read(list_sign_ins, NOW)] == [("ann", longer)]


async def test_people_are_seen(engine: Engine) -> None:
    """First when, last when, and from where."""
    ann = await signed_in(engine)
    await engine.write(see, [Seen("default", "ann", "admin", "proxy", NOW + 9, "203.0.113.9")])
    rows = await engine.write(ask, "SELECT user_id, role, way, first_seen, last_seen, last_address FROM people")
    assert rows == [(ann.user_id, "admin", "proxy", NOW, NOW + 9, "203.0.113.9")]


@pytest.mark.parametrize(("project", "left"), [("default", 1), (None, 0), ("other", 1)])
async def test_erasing_a_person(engine: Engine, project: str | None, left: int) -> None:
    """Ends the sign-ins, in a project or in all; nobody else's."""
    for of in ("default", "other"):
        await signed_in(engine, "ann", project=of)
    await signed_in(engine, "ben")
    await engine.write(erase_person, " Ann", project)
    for table in ("sign_ins", "people"):
        rows = await engine.write(ask, f"SELECT user_id FROM {table} ORDER BY user_id")  # noqa: S608  our own
        assert rows == [("ann",)] * left + [("ben",)]
