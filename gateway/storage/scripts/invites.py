"""Transaction scripts over invitations, by which people come in. See traces.py for what a script is.

Called by web/people.py and web/sign_in.py, and by `gateway invite`.
"""

from __future__ import annotations

import msgspec

from gateway.domain.people import InvitedRole, outranks
from gateway.errors import Conflict, NotFound
from gateway.storage.engine import Row, Script
from gateway.storage.scripts.people import Seen, SignIn, sign_in
from gateway.storage.scripts.traces import insert_into, to_json

_KEPT_MS = 90 * 86_400_000  # how long one that is over can still be looked at


class Invite(msgspec.Struct, frozen=True, kw_only=True):
    """An invitation as it is stored: never the link, only the SHA-256 of its secret. Times are in milliseconds."""

    invite_id: str
    project: str
    user_id: str
    role: InvitedRole
    labeling_sessions: tuple[str, ...]
    invite_hash: str  # hex
    created: int
    created_by: str
    expires: int
    revoked: int | None = None
    first_used: int | None = None
    last_used: int | None = None
    last_address: str | None = None


_COLUMNS = Invite.__struct_fields__
_ADD = insert_into("invites", _COLUMNS)


def _invite(row: Row) -> Invite:
    fields = {name: row[name] for name in _COLUMNS}
    return Invite(**fields | {"labeling_sessions": tuple(msgspec.json.decode(row["labeling_sessions"]))})


def add_invite(invite: Invite) -> Script[bool]:
    """Insert an invitation. Return whether it took the place of one for a lower role, whose sign-ins ended with it.

    Raise Conflict where the person has a higher role.
    """
    yield "DELETE FROM invites WHERE expires < $1", (invite.created - _KEPT_MS,)
    rows = yield (
        "SELECT invite_id, role FROM invites WHERE project = $1 AND user_id = $2 AND revoked IS NULL AND expires > $3",
        (invite.project, invite.user_id, invite.created),
    )
    if any(outranks(row["role"], invite.role) for row in rows):
        raise Conflict("This person has a higher role. Revoke that invitation first.")
    lower = [row["invite_id"] for row in rows if outranks(invite.role, row["role"])]
    for invite_id in lower:
        yield from _revoke(invite_id, invite.created)
    fields = {name: getattr(invite, name) for name in _COLUMNS}
    yield _ADD, list((fields | {"labeling_sessions": to_json(invite.labeling_sessions)}).values())
    return bool(lower)


def find_invite(invite_hash: str) -> Script[Invite | None]:
    """Return the invitation whose secret has this hash, also one that is over."""
    rows = yield "SELECT * FROM invites WHERE invite_hash = $1", (invite_hash,)
    return _invite(rows[0]) if rows else None


def list_invites(project: str) -> Script[list[Invite]]:
    """Return a project's invitations but for the revoked ones, the newest first."""
    rows = yield (
        "SELECT * FROM invites WHERE project = $1 AND revoked IS NULL ORDER BY created DESC, invite_id",
        (project,),
    )
    return [_invite(row) for row in rows]


def get_invite(project: str, invite_id: str) -> Script[Invite]:
    """Return an invitation of a project. Raise NotFound for one that isn't there, or was revoked."""
    rows = yield "SELECT * FROM invites WHERE project = $1 AND invite_id = $2 AND revoked IS NULL", (project, invite_id)
    if not rows:
        raise NotFound("There is no such invitation.")
    return _invite(rows[0])


def revoke_invite(project: str, invite_id: str, now: int) -> Script[None]:
    """Revoke an invitation, which ends its sign-ins. Raise NotFound."""
    yield from get_invite(project, invite_id)
    yield from _revoke(invite_id, now)


def _revoke(invite_id: str, now: int) -> Script[None]:
    yield "UPDATE invites SET revoked = $2 WHERE invite_id = $1", (invite_id, now)
    yield "DELETE FROM sign_ins WHERE way = 'invite' AND behind = $1", (invite_id,)


def join(record: SignIn, seen: Seen, instead_of: str | None = None) -> Script[None]:
    """Sign somebody in by the invitation that is `behind` it. Raise NotFound where that has ended meanwhile."""
    rows = yield (
        "UPDATE invites SET first_used = COALESCE(first_used, $2), last_used = $2, last_address = $3"
        " WHERE invite_id = $1 AND revoked IS NULL AND expires > $2 RETURNING invite_id",
        (record.behind, record.created, seen.address),
    )
    if not rows:
        raise NotFound("There is no such invitation.")
    yield from sign_in(record, seen, instead_of)
