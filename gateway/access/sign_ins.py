"""Sign-ins of people in memory: found by the cookie's hash, and prolonged while they are used.

It is not who may do what: people.py asks here, and decides. The store has the same sign-ins; stored_keys.py refreshes
this from there, and writes back how long they last.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable

import msgspec

from gateway.access.keys import UnknownKey, hash_key
from gateway.domain.ids import now_ms
from gateway.domain.people import PersonRole, Way, prolonged
from gateway.errors import Unauthorized
from gateway.storage.scripts.people import Seen, SignIn

_PREFIX = "gw-si-"
_FORM = re.compile(r"gw-si-[A-Za-z0-9_-]{43}")
_OVER = "You are signed out. Please sign in again."


class UnknownSignIn(UnknownKey):
    """The sign-in isn't in memory. Its cookie has the form of one, so that it may be in the store."""

    def __init__(self, digest: str) -> None:
        super().__init__(digest, _OVER, signed_out().code)


def signed_out() -> Unauthorized:
    """Return the error for a sign-in that is over."""
    return Unauthorized(_OVER, code="signed_out")


def new_sign_in(
    project: str, user_id: str, role: PersonRole, way: Way, behind: str | None, now: int, ends: int | None = None
) -> tuple[str, SignIn]:
    """Return a fresh cookie's value, and the record to store. `ends` as in SignIn."""
    secret = _PREFIX + secrets.token_urlsafe(32)
    expires = min(prolonged(0, now) or 0, ends or 2**62)
    record = SignIn(
        sign_in_hash=hash_key(secret),
        project=project,
        user_id=user_id,
        role=role,
        way=way,
        behind=behind,
        created=now,
        expires=expires,
        ends=ends,
    )
    return secret, record


class SignIns:
    """The sign-ins that last, by the hash of their cookie."""

    def __init__(self, records: Iterable[SignIn] = ()) -> None:
        self._longer: dict[str, int] = {}
        self._seen: dict[tuple[str, str], Seen] = {}
        self.refresh(records)

    def refresh(self, records: Iterable[SignIn]) -> None:
        """Replace all by the store's, but for those whose longer life isn't stored yet."""
        self._records = {record.sign_in_hash: self._with_longer(record) for record in records}

    def add(self, record: SignIn) -> None:
        """Add one of the store's."""
        self._records[record.sign_in_hash] = self._with_longer(record)

    def drop(self, digest: str) -> None:
        """Forget one that has ended."""
        self._records.pop(digest, None)

    def has(self, digest: str) -> bool:
        """Return True where a sign-in with this hash is in memory."""
        return digest in self._records

    def find(self, secret: str) -> SignIn:
        """Return the sign-in of a cookie. Raise Unauthorized, or UnknownSignIn for what may be a new one."""
        if not _FORM.fullmatch(secret):
            raise signed_out()
        record = self._records.get(digest := hash_key(secret))
        if record is None:
            raise UnknownSignIn(digest)
        if record.expires <= now_ms():
            raise signed_out()
        return record

    def lasting(self, digest: str) -> SignIn | None:
        """Return the sign-in with this hash, where it still lasts. It is no use of it."""
        record = self._records.get(digest)
        return record if record is not None and record.expires > now_ms() else None

    def lasting_of(self, project: str) -> list[SignIn]:
        """Return the sign-ins of a project that last."""
        now = now_ms()
        return [each for each in self._records.values() if each.project == project and each.expires > now]

    def use(self, record: SignIn, address: str) -> bool:
        """Let a sign-in that is used last longer, and note from where. False: it does so for long enough."""
        now = now_ms()
        longer = prolonged(record.expires, now)
        if longer is None or record.expires == record.ends:
            return False
        self._longer[record.sign_in_hash] = min(longer, record.ends or longer)
        self.add(record)
        self.see(Seen(record.project, record.user_id, record.role, record.way, now, address))
        return True

    def see(self, seen: Seen) -> None:
        """Note somebody for `take_seen`."""
        self._seen[seen.project, seen.user_id] = seen

    def take_longer(self) -> dict[str, int]:
        """Return how long sign-ins last by now, for `people.prolong`; those of the last call are not in it again."""
        longer, self._longer = self._longer, {}
        return longer

    def take_seen(self) -> list[Seen]:
        """Return who was seen since the last call, for `people.see`."""
        seen, self._seen = self._seen, {}
        return list(seen.values())

    def _with_longer(self, record: SignIn) -> SignIn:
        longer = self._longer.get(record.sign_in_hash, 0)
        return msgspec.structs.replace(record, expires=longer) if longer > record.expires else record
