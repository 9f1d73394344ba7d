"""Transaction scripts over API keys, and over the key that signs feedback tokens. See traces.py for what a script is.

Called by app.py, by access/stored_keys.py, which keeps the ring of keys fresh, and by `gateway keys`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from gateway.errors import Conflict, NotFound
from gateway.storage.engine import Row, Script
from gateway.storage.scripts.traces import insert_into, numbers


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An API key as it is stored: never the key itself, only its SHA-256. Times are in milliseconds."""

    key_id: str
    name: str
    role: Literal["chat", "review", "admin"]
    project: str
    key_hash: str  # hex
    hint: str  # the key's first characters, to tell keys apart in a list
    created: int
    revoked: int | None = None
    last_used: int | None = None
    publishable: bool = False  # it may stand in a web page; it can only chat, and only from `origins`
    origins: tuple[str, ...] = ()
    requests_per_minute: int = 0  # 0: as the configuration says
    expires: int | None = None


_KEY_COLUMNS = KeyRecord.__struct_fields__
_ADD_KEY = insert_into("keys", _KEY_COLUMNS)


def list_keys() -> Script[list[KeyRecord]]:
    """Return all keys, revoked ones included, oldest first."""
    rows = yield "SELECT * FROM keys ORDER BY created, key_id", ()
    return [_key(row) for row in rows]


def find_keys(hashes: Sequence[str]) -> Script[list[KeyRecord]]:
    """Return the keys with one of these hashes, at most 500, but for those that were revoked."""
    places = numbers(1, len(hashes))
    rows = yield f"SELECT * FROM keys WHERE revoked IS NULL AND key_hash IN ({places})", hashes  # noqa: S608
    return [_key(row) for row in rows]


def _key(row: Row) -> KeyRecord:
    fields = {name: row[name] for name in _KEY_COLUMNS}
    origins = tuple(msgspec.json.decode(row["origins"]))
    return KeyRecord(**fields | {"publishable": bool(row["publishable"]), "origins": origins})


def add_key(key: KeyRecord) -> Script[None]:
    """Insert a key. Raise Conflict if an active key has its name."""
    taken = yield "SELECT key_id FROM keys WHERE name = $1 AND revoked IS NULL", (key.name,)
    if taken:
        raise Conflict("A key has this name: revoke it first, or choose another name.")
    fields = {name: getattr(key, name) for name in _KEY_COLUMNS}
    origins = msgspec.json.encode(key.origins).decode()
    yield _ADD_KEY, list((fields | {"publishable": int(key.publishable), "origins": origins}).values())


def revoke_key(name: str, now: int) -> Script[KeyRecord]:
    """Revoke the active key with this name, else the one with this ID, and return it. Raise NotFound without one."""
    found = yield (
        "SELECT key_id FROM keys WHERE revoked IS NULL AND (name = $1 OR key_id = $1)"
        " ORDER BY CASE WHEN name = $1 THEN 0 ELSE 1 END LIMIT 1",
        (name,),
    )
    if not found:
        raise NotFound("No active key has this name.")
    rows = yield "UPDATE keys SET revoked = $2 WHERE key_id = $1 RETURNING *", (found[0]["key_id"], now)
    return _key(rows[0])


def touch_keys(used: dict[str, int]) -> Script[None]:
    """Set when keys were last used: milliseconds by key ID. An earlier time than the stored one changes nothing."""
    for key_id, time in used.items():
        yield "UPDATE keys SET last_used = $2 WHERE key_id = $1 AND COALESCE(last_used, 0) < $2", (key_id, time)


def signing_key(fresh: str) -> Script[str]:
    """Return the stored key that signs feedback tokens. Where there is none, store `fresh` and return it."""
    yield "INSERT INTO meta (name, value) VALUES ('signing_key', $1) ON CONFLICT (name) DO NOTHING", (fresh,)
    rows = yield "SELECT value FROM meta WHERE name = 'signing_key'", ()
    return str(rows[0]["value"])
