"""Invitations: how one is made, who may make it, and whether it is still good. It stores nothing; called by web/."""

from __future__ import annotations

import secrets

from gateway.access.keys import hash_key
from gateway.access.principal import Principal
from gateway.domain.people import InvitedRole
from gateway.errors import Forbidden, Unauthorized
from gateway.storage.scripts.invites import Invite

_PREFIX = "gw-in-"
DAY_MS = 86_400_000


def new_invite(
    project: str,
    user_id: str,
    role: InvitedRole,
    *,
    by: str,
    now: int,
    days: float,
    labeling_sessions: tuple[str, ...] = (),
) -> tuple[str, Invite]:
    """Return a fresh invitation's secret, to be shown once, and the record to store. `now` is in milliseconds."""
    secret = _PREFIX + secrets.token_urlsafe(32)
    invite = Invite(
        invite_id=f"in-{secrets.token_hex(8)}",
        project=project,
        user_id=user_id,
        role=role,
        labeling_sessions=labeling_sessions,
        invite_hash=hash_key(secret),
        created=now,
        created_by=by,
        expires=now + max(1, round(days * DAY_MS)),
    )
    return secret, invite


def link(base: str, secret: str) -> str:
    """Return the link for the person. What stands behind `#` reaches no server and no log."""
    return f"{base}/#/join?invite={secret}"


def check_inviter(principal: Principal, role: InvitedRole) -> None:
    """Raise Forbidden where a lead, or a key of the role review, invites or uninvites another lead."""
    if role != "reviewer" and principal.role != "admin":
        raise Forbidden("A lead invites reviewers. To invite another lead, ask an admin.")


def good(invite: Invite | None, now: int) -> Invite:
    """Return an invitation that lets somebody in. Raise Unauthorized for none, a revoked one and one that is over."""
    if invite is None or invite.revoked is not None:
        raise Unauthorized("This invitation is not valid. Please ask for another one.", code="invalid_invite")
    if invite.expires <= now:
        raise Unauthorized("This invitation has expired. Please ask for another one.", code="invite_expired")
    return invite
