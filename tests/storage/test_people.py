"""The scripts over people, on both engines."""

from __future__ import annotations

import msgspec
import pytest

from gateway.access.invites import new_invite
from gateway.access.sign_ins import new_sign_in
from gateway.domain.people import SESSION_MS, InvitedRole
from gateway.errors import Conflict, NotFound
from gateway.storage.engine import Engine
from gateway.storage.scripts.invites import (
    Invite,
    add_invite,
    find_invite,
    get_invite,
    join,
    list_invites,
    revoke_invite,
)
from gateway.storage.scripts.people import (
    Seen,
    SignIn,
    erase_person,
    find_sign_ins,
    list_people,
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


def an_invite(user_id: str = "ann", role: InvitedRole = "reviewer", now: int = NOW) -> Invite:
    return new_invite("default", user_id, role, by="ben", now=now, days=1, labeling_sessions=("ls-1",))[1]


async def joined(engine: Engine, invite: Invite, now: int = NOW + 1) -> SignIn:
    _, record = new_sign_in("default", invite.user_id, invite.role, "invite", invite.invite_id, now, invite.expires)
    await engine.write(join, record, seen(record, "203.0.113.9"))
    return record


async def test_invitations(engine: Engine) -> None:
    """Are found, listed, and know when they were used, and from where."""
    invite = an_invite()
    assert await engine.write(add_invite, invite) is False
    assert await engine.read(find_invite, invite.invite_hash) == invite
    assert await engine.read(find_invite, "unknown") is None
    await joined(engine, invite)
    await joined(engine, invite, NOW + 2)
    used = {"first_used": NOW + 1, "last_used": NOW + 2, "last_address": "203.0.113.9"}
    assert await engine.read(list_invites, "default") == [msgspec.structs.replace(invite, **used)]
    assert await engine.read(list_invites, "other") == []
    (ann,) = await engine.read(list_people, "default")
    assert (ann.user_id, ann.role, ann.way, ann.first_seen, ann.last_seen) == (
        "ann", "reviewer", "invite", NOW + 1, NOW + 2,
    )  # fmt: skip


async def test_an_invitation_ends(engine: Engine) -> None:
    """By being revoked, which ends its sign-ins, or by its time; then nobody comes by it."""
    invite, other = an_invite(), an_invite("ben")
    for each in (invite, other):
        await engine.write(add_invite, each)
    gone, stays = await joined(engine, invite), await joined(engine, other)
    for project, invite_id in (("other", invite.invite_id), ("default", "in-unknown")):
        with pytest.raises(NotFound):
            await engine.write(revoke_invite, project, invite_id, NOW + 2)
    await engine.write(revoke_invite, "default", invite.invite_id, NOW + 2)
    assert await engine.read(find_sign_ins, [gone.sign_in_hash, stays.sign_in_hash]) == [stays]
    with pytest.raises(NotFound):
        await engine.read(get_invite, "default", invite.invite_id)
    for each, now in ((invite, NOW + 3), (other, other.expires)):
        with pytest.raises(NotFound):
            await joined(engine, each, now)


async def test_a_higher_role_takes_the_place_of_a_lower(engine: Engine) -> None:
    """And a lower one is refused, until the higher is over."""
    reviewer, lead = an_invite(), an_invite(role="lead")
    await engine.write(add_invite, reviewer)
    signed = await joined(engine, reviewer)
    assert await engine.write(add_invite, lead) is True
    assert await engine.read(find_sign_ins, [signed.sign_in_hash]) == []
    assert [each.role for each in await engine.read(list_invites, "default")] == ["lead"]
    with pytest.raises(Conflict):
        await engine.write(add_invite, an_invite())
    later = an_invite(now=lead.expires)
    assert await engine.write(add_invite, later) is False
    much_later = an_invite("ben", now=NOW + 100 * 86_400_000)
    await engine.write(add_invite, much_later)
    assert await engine.read(list_invites, "default") == [much_later]  # what is long over is deleted
