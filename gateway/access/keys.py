"""API keys: how one is made, and the ring of the active ones.

It is not where keys are kept (the store), nor what else lets a caller in (authenticator.py, which asks here once a
request). It works from memory: stored_keys.py refreshes the ring from the store, and writes back when keys were used.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
import secrets
from collections.abc import Iterable, Sequence

from gateway.access.principal import KeyRole, Principal, Role
from gateway.config.schema import ORIGIN
from gateway.domain.ids import now_ms
from gateway.errors import InvalidValue, Unauthorized
from gateway.storage.scripts.keys import KeyRecord

SECRET_PREFIX = "gw-sk-"  # noqa: S105 - the part of a key that is no secret
PUBLISHABLE_PREFIX = "gw-pk-"
_FORM = re.compile(r"gw-[sp]k-[A-Za-z0-9_-]{43}")
_INVALID = "This API key is not valid."


def new_key(
    role: KeyRole,
    project: str = "default",
    name: str | None = None,
    *,
    now: int | None = None,
    origins: Sequence[str] = (),
    requests_per_minute: int = 0,
    expires: int | None = None,
) -> tuple[str, KeyRecord]:
    """Return a fresh key, to be shown once, and the record to store. Raise InvalidValue for what can't be.

    With `origins` it is a publishable key. `now` and `expires` are in milliseconds.
    """
    made_up = f"{'web' if origins else role}-{secrets.token_hex(3)}"
    name = made_up if name is None else name
    for field, text in (("name", name), ("project", project)):
        if not 1 <= len(text) <= 100 or not text.isprintable():
            problem = "must have 1 to 100 printable characters"
            raise InvalidValue(f"The {field} {problem}.", details=[(field, problem)])
    for origin in origins:
        if not ORIGIN.fullmatch(origin):
            form = "as a browser does: https://app.example.com, with a port if it has one, and no path"
            details = [("origins", f"must be written {form}")]
            raise InvalidValue(f"Write the origin {origin!r} {form}.", details=details)
    if origins and role != "chat":
        raise InvalidValue("A publishable key must have the role chat.", details=[("role", "must be chat")])
    secret = (PUBLISHABLE_PREFIX if origins else SECRET_PREFIX) + secrets.token_urlsafe(32)
    record = KeyRecord(
        key_id=f"key-{secrets.token_hex(8)}",
        name=name,
        role=role,
        project=project,
        key_hash=hash_key(secret),
        hint=secret[:10],
        created=now_ms() if now is None else now,
        publishable=bool(origins),
        origins=tuple(origins),
        requests_per_minute=requests_per_minute,
        expires=expires,
    )
    return secret, record


def hash_key(secret: str) -> str:
    """Return its SHA-256 in hex. A secret has 256 random bits, so that a slow hash would add nothing."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


class UnknownKey(Unauthorized):
    """The key isn't in the ring. It has the form of one, so that it may be in the store by now (stored_keys.py)."""

    def __init__(self, digest: str, message: str = _INVALID, code: str = "invalid_api_key") -> None:
        super().__init__(message, code=code)
        self.digest = digest


class KeyRing:
    """The active keys in memory, by hash, and when each was last used.

    `origins` are those of all publishable keys: their pages may read what the gateway answers them.
    """

    def __init__(self, records: Sequence[KeyRecord] = ()) -> None:
        self._used: dict[str, int] = {}
        self.origins: frozenset[str] = frozenset()
        self.refresh(records)

    def __len__(self) -> int:
        return len(self._keys)

    def refresh(self, records: Iterable[KeyRecord]) -> None:
        """Replace all keys by the store's, leaving out those that were revoked."""
        active = [record for record in records if record.revoked is None]
        self._keys = {record.key_hash: (record, _principal(record)) for record in active}
        self._by_id = {record.key_id: self._keys[record.key_hash] for record in active}
        self.origins = frozenset(origin for record in active for origin in record.origins)

    def add(self, record: KeyRecord) -> None:
        """Add one key of the store's."""
        self._keys[record.key_hash] = (record, _principal(record))
        self._by_id[record.key_id] = self._keys[record.key_hash]
        self.origins |= frozenset(record.origins)

    def has(self, digest: str) -> bool:
        """Return True where a key with this hash is in the ring, even an expired one."""
        return digest in self._keys

    def find(self, secret: str) -> Principal:
        """Return whose key that is, and note its use. Raise Unauthorized, or UnknownKey for what may be a new one."""
        digest = hash_key(secret)
        record, principal = self._keys.get(digest, (None, None))
        # Found by its hash, which tells nothing of the key by its timing; compared whole all the same.
        if record is None or principal is None or not hmac.compare_digest(record.key_hash, digest):
            if _FORM.fullmatch(secret):
                raise UnknownKey(digest)
            raise Unauthorized(_INVALID, code="invalid_api_key")
        now = now_ms()
        if record.expires is not None and record.expires <= now:
            raise Unauthorized("This API key has expired.", code="invalid_api_key")
        self._used[record.key_id] = now
        return principal

    def holder(self, key_id: str) -> Principal | None:
        """Return whose key has this ID; None where it is unknown, revoked or expired. It is no use of the key."""
        record, principal = self._by_id.get(key_id, (None, None))
        return None if record is None or (record.expires or math.inf) <= now_ms() else principal

    def active(self, key_id: str | None) -> bool:
        """Return True where the key is known, and neither revoked nor expired. None, no key, is always active."""
        return key_id is None or self.holder(key_id) is not None

    def take_used(self) -> dict[str, int]:
        """Return the last uses since the last call, for `store.touch_keys`, by key ID in milliseconds."""
        used, self._used = self._used, {}
        return used


def _principal(record: KeyRecord) -> Principal:
    role: Role = "publishable" if record.publishable else record.role
    return Principal(
        record.key_id, role, record.project, record.name, record.requests_per_minute, origins=record.origins
    )
