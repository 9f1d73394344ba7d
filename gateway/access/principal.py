"""Who calls, as everybody else sees it: the principal, its role, and what a role may do. Values, without a check.

The authenticator makes principals from what a request bears (authenticator.py); handlers and services take them.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from gateway.domain.people import Way
from gateway.errors import Forbidden

KeyRole = Literal["chat", "review", "admin"]
# A publishable key and a feedback token are roles of their own, and so are people who are no admins.
Role = KeyRole | Literal["publishable", "token", "reviewer", "lead"]


class FeedbackToken(msgspec.Struct, frozen=True, array_like=True):
    """The content of a feedback token. `names` empty: ratings of every name. `expires` in milliseconds, 0 for never.

    `key_id` is the API key that the chat was asked with, or that asked for the token: it ends with that key. `person`
    is the signed-in person that asked: it is good beside that person's sign-in alone.
    """

    project: str
    trace_id: str
    rater: str
    names: tuple[str, ...]
    expires: int
    key_id: str | None
    person: str | None = None


class Principal(msgspec.Struct, frozen=True):
    """The caller. `key_id` None: let in without a key.

    `user_id`: whom the credential speaks for, where it says so; nothing in the request can then say otherwise.
    `ends`: until when it does, in milliseconds; 0 for as long as its key. `token`: the feedback token that let it in,
    which opens this trace alone. `way`: how the person signed in; None for callers who are no people. `sign_in`: the
    hash of the person's cookie. `renewed`: that cookie lasts longer now, so the browser must hear of it.
    """

    key_id: str | None
    role: Role
    project: str
    name: str
    requests_per_minute: int = 0  # this key's own limit; 0: the configured one
    origins: tuple[str, ...] = ()  # of a publishable key: the only ones that it serves
    user_id: str | None = None
    ends: int = 0
    token: FeedbackToken | None = None
    way: Way | None = None
    sign_in: str | None = None
    renewed: bool = False

    @property
    def trace_id(self) -> str | None:
        """Return the ID of the one trace that a feedback token opens."""
        return self.token.trace_id if self.token else None

    def check_trace(self, trace_id: str) -> None:
        """Raise Forbidden where a feedback token is another trace's."""
        if self.token is not None and self.token.trace_id != trace_id:
            raise Forbidden("This feedback token is another answer's.")


KEYLESS = Principal(None, "admin", "default", "keyless")


def require(principal: Principal, *roles: Role) -> None:
    """Let these roles pass; admin always does, and a lead where a key for review does. Raise Forbidden for others."""
    if principal.role in roles or principal.role == "admin" or (principal.role == "lead" and "review" in roles):
        return
    if principal.role == "publishable":
        raise Forbidden("A publishable key only chats. To rate an answer, use the feedback token that came with it.")
    if principal.role == "token":
        raise Forbidden("A feedback token only rates, resumes and stops its own answer.")
    wanted = [role for role in roles if role not in ("publishable", "token", "lead")] or ["admin"]
    if principal.way is not None:
        raise Forbidden("Your role doesn't open this. Ask whoever runs this gateway for another one.")
    raise Forbidden(f"This needs a key with the role {' or '.join(wanted)}.")
