"""People: their names, their roles, and how long a sign-in lasts. Values, without a check of who calls.

Who is let in is decided in access/people.py; what is stored of people is storage/scripts/people.py's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

PersonRole = Literal["chat", "reviewer", "lead", "admin"]  # `chat`: who signed in with a key of that role
InvitedRole = Literal["reviewer", "lead"]
Way = Literal["key", "invite", "proxy", "oidc"]  # how somebody signed in
MAX_NAME = 250  # characters
SESSION_MS = 7 * 86_400_000  # how long a sign-in lasts without being used
SLIDE_MS = 3_600_000  # a sign-in that is used is prolonged at most this often
_RANKS: dict[str, int] = {"chat": 0, "reviewer": 1, "lead": 2, "admin": 3}


def person_id(text: str) -> str | None:
    """Return a person's name as it is stored and compared: trimmed, in lower case. None for what can't be one."""
    name = text.strip().lower()
    return name if 1 <= len(name) <= MAX_NAME and name.isprintable() else None


def outranks(role: str, other: str) -> bool:
    """Return whether a role opens more than another."""
    return _RANKS[role] > _RANKS[other]


def is_listed(user_id: str, names: Iterable[str]) -> bool:
    """Return whether a list has a person: by name, or by `*@x.com`, whose `*` stands for any beginning."""
    for name in names:
        wanted = name.strip().lower()
        if wanted == user_id:
            return True
        rest = wanted.removeprefix("*")
        if rest != wanted and len(user_id) > len(rest) and user_id.endswith(rest):
            return True
    return False


def prolonged(expires: int, now: int) -> int | None:
    """Return until when a sign-in lasts once it is used, in milliseconds; None where that is soon enough another time.

    `expires` is until when it lasts so far.
    """
    longer = now + SESSION_MS
    return longer if longer - expires >= SLIDE_MS else None
