"""Transaction scripts over people: who has signed in, and until when. See traces.py for what a script is.

Called by web/sign_in.py, by access/stored_keys.py, which keeps the sign-ins in memory fresh, and by gateway/erasure.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from gateway.domain.people import PersonRole, Way
from gateway.storage.engine import Row, Script
from gateway.storage.scripts.traces import insert_into, numbers


class SignIn(msgspec.Struct, frozen=True, kw_only=True):
    """One browser's sign-in as it is stored: never the cookie itself, only its SHA-256. Times are in milliseconds.

    `behind` is the ID of the key or the invitation with which it ends. `ends`: when at the latest, None for never.
    """

    sign_in_hash: str  # hex
    project: str
    user_id: str
    role: PersonRole
    way: Way
    behind: str | None
    created: int
    expires: int
    ends: int | None = None


class Seen(msgspec.Struct, frozen=True):
    """Somebody who signed in or called, and from where."""

    project: str
    user_id: str
    role: PersonRole
    way: Way
    time: int
    address: str


class Person(msgspec.Struct, frozen=True):
    """Whoever was seen: the role and the way of the last time, and when and from where that was."""

    user_id: str
    role: PersonRole
    way: Way
    first_seen: int
    last_seen: int
    last_address: str


_COLUMNS = SignIn.__struct_fields__
_ADD = insert_into("sign_ins", _COLUMNS)
_SEEN = (
    insert_into("people", ("project", "user_id", "role", "way", "first_seen", "last_seen", "last_address"))
    + " ON CONFLICT (project, user_id) DO UPDATE SET role = excluded.role, way = excluded.way,"
    " last_seen = excluded.last_seen, last_address = excluded.last_address"
)


def list_people(project: str) -> Script[list[Person]]:
    """Return whoever was seen in a project."""
    rows = yield "SELECT * FROM people WHERE project = $1 ORDER BY user_id", (project,)
    return [Person(*(row[name] for name in Person.__struct_fields__)) for row in rows]


def list_sign_ins(now: int) -> Script[list[SignIn]]:
    """Return the sign-ins that last."""
    rows = yield "SELECT * FROM sign_ins WHERE expires > $1", (now,)
    return [_sign_in(row) for row in rows]


def find_sign_ins(hashes: Sequence[str]) -> Script[list[SignIn]]:
    """Return the sign-ins with one of these hashes, at most 500."""
    rows = yield f"SELECT * FROM sign_ins WHERE sign_in_hash IN ({numbers(1, len(hashes))})", hashes  # noqa: S608
    return [_sign_in(row) for row in rows]


def _sign_in(row: Row) -> SignIn:
    return SignIn(**{name: row[name] for name in _COLUMNS})


def sign_in(record: SignIn, seen: Seen, instead_of: str | None = None) -> Script[None]:
    """Insert a sign-in, and note who it was. The one with the hash `instead_of` ends, and all that are over go."""
    yield "DELETE FROM sign_ins WHERE expires <= $1 OR sign_in_hash = $2", (record.created, instead_of)
    yield _ADD, [getattr(record, name) for name in _COLUMNS]
    yield from see([seen])


def sign_out(sign_in_hash: str) -> Script[None]:
    """Delete a sign-in, if it is there."""
    yield "DELETE FROM sign_ins WHERE sign_in_hash = $1", (sign_in_hash,)


def see(people: Sequence[Seen]) -> Script[None]:
    """Note who was seen: the first time, the last time, and from where."""
    for each in people:
        yield _SEEN, (each.project, each.user_id, each.role, each.way, each.time, each.time, each.address)


def prolong(expiries: Mapping[str, int]) -> Script[None]:
    """Set until when sign-ins last: milliseconds by hash. One that is no longer there stays away."""
    for sign_in_hash, expires in expiries.items():
        yield (
            "UPDATE sign_ins SET expires = $2 WHERE sign_in_hash = $1 AND expires < $2",
            (sign_in_hash, expires),
        )


def erase_person(user_id: str, project: str | None) -> Script[None]:
    """Delete a person's sign-ins and invitations, and that they were seen; `project` None means every project."""
    name = user_id.strip().lower()
    for table in ("sign_ins", "people", "invites"):
        yield (
            f"DELETE FROM {table} WHERE user_id = $1 AND project = COALESCE($2, project)",  # noqa: S608  three names
            (name, project),
        )
    yield (
        "UPDATE invites SET created_by = '' WHERE created_by = $1 AND project = COALESCE($2, project)",
        (name, project),
    )
