"""Who calls: secret keys, the door for keyless callers on this machine, and roles.

It is not where keys are kept (the store) nor how a refusal looks (the codecs). Every route asks `authenticate` once a
request, so it works from memory: the app refreshes the KeyRing from the store, and writes back when keys were used.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from gateway.config import Auth
from gateway.domain.ids import now_ms
from gateway.errors import Forbidden, InvalidValue, Unauthorized
from gateway.storage.base import KeyRecord

KeyRole = Literal["chat", "review", "admin"]
Headers = Iterable[tuple[bytes, bytes]]  # as ASGI has them: names in lower case

SECRET_PREFIX = "gw-sk-"  # noqa: S105 - the part of a key that is no secret
# A proxy on this machine makes the whole internet look local; any of these says that there is one.
FORWARDING = frozenset(
    b"forwarded via x-real-ip x-client-ip x-cluster-client-ip x-original-host x-original-forwarded-for "
    b"cf-connecting-ip cf-connecting-ipv6 cf-ray cdn-loop true-client-ip fastly-client-ip fly-client-ip".split()
)


class Principal(msgspec.Struct, frozen=True):
    """The caller. `key_id` None: let in without a key."""

    key_id: str | None
    role: KeyRole
    project: str
    name: str


KEYLESS = Principal(None, "admin", "default", "keyless")


def new_key(
    role: KeyRole, project: str = "default", name: str | None = None, *, now: int | None = None
) -> tuple[str, KeyRecord]:
    """A fresh secret, to be shown once, and the record to store. Raises InvalidValue for a bad name or project."""
    name = f"{role}-{secrets.token_hex(3)}" if name is None else name
    for field, text in (("name", name), ("project", project)):
        if not 1 <= len(text) <= 100 or not text.isprintable():
            raise InvalidValue(f"{field}: 1 to 100 printable characters", details=[(field, "not allowed")])
    secret = SECRET_PREFIX + secrets.token_urlsafe(32)
    record = KeyRecord(
        key_id=f"key-{secrets.token_hex(8)}",
        name=name,
        role=role,
        project=project,
        key_hash=hash_key(secret),
        hint=secret[:10],
        created=now_ms() if now is None else now,
    )
    return secret, record


def hash_key(secret: str) -> str:
    """SHA-256, hex. A secret has 256 random bits, so that a slow hash would add nothing."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


class KeyRing:
    """The active keys in memory, by hash, and when each was last used."""

    def __init__(self, records: Sequence[KeyRecord] = ()) -> None:
        self._used: dict[str, int] = {}
        self.refresh(records)

    def __len__(self) -> int:
        return len(self._keys)

    def refresh(self, records: Iterable[KeyRecord]) -> None:
        """Take the store's keys in place of those known; revoked ones are left out."""
        self._keys = {
            record.key_hash: (record, Principal(record.key_id, record.role, record.project, record.name))
            for record in records
            if record.revoked is None
        }

    def find(self, secret: str) -> Principal | None:
        """Whose key that is, and note its use."""
        digest = hash_key(secret)
        record, principal = self._keys.get(digest, (None, None))
        # Found by its hash, which tells nothing of the key by its timing; compared whole all the same.
        if record is None or principal is None or not hmac.compare_digest(record.key_hash, digest):
            return None
        self._used[record.key_id] = now_ms()
        return principal

    def take_used(self) -> dict[str, int]:
        """Last uses since the last call, for `store.touch_keys`."""
        used, self._used = self._used, {}
        return used


def authenticate(
    keyring: KeyRing, auth: Auth, server_host: str, headers: Headers, client_host: str | None
) -> Principal:
    """The caller of one request. Raises Unauthorized."""
    token, hosts, forwarded = "", [], False
    for name, value in headers:
        if name == b"authorization":
            scheme, _, given = value.partition(b" ")
            if scheme.lower() == b"bearer":
                if token:
                    raise Unauthorized("one Authorization header, please")
                token = given.strip().decode("latin-1")
        elif name == b"host":
            hosts.append(value)
        elif name in FORWARDING or name.startswith(b"x-forwarded-"):
            forwarded = True
    if token.startswith("gw-"):
        if principal := keyring.find(token):
            return principal
        raise Unauthorized("this API key is not valid", code="invalid_api_key")
    if auth.require_keys == "never":
        return KEYLESS
    if (
        auth.require_keys == "auto"
        and not forwarded
        and is_loopback(server_host)
        and (client_host is None or is_loopback(client_host))
        and len(hosts) == 1
        and _is_local(hosts[0])
    ):
        return KEYLESS
    # What isn't a key of ours is what an OpenAI client sends for want of one: the door decides, not the word.
    said = "that is no key of this gateway's" if token else "an API key is required"
    raise Unauthorized(f"{said}: Authorization: Bearer gw-sk-…")


def keys_required(auth: Auth, server_host: str) -> bool:
    """Whether even the nearest caller needs a key: then a start without any makes no sense."""
    return auth.require_keys == "always" or (auth.require_keys == "auto" and not is_loopback(server_host))


def require(principal: Principal, *roles: KeyRole) -> None:
    """Let these roles pass; admin always does. Raises Forbidden."""
    if principal.role not in roles and principal.role != "admin":
        raise Forbidden(f"this needs a key with the role {' or '.join(roles or ('admin',))}")


def origin_allowed(headers: Headers, allowed: Sequence[str]) -> bool:
    """Whether a WebSocket's Origin is this server's own or a listed one; none at all is no browser.

    Browsers ask nobody before they open a WebSocket, so that any page could otherwise talk to a local gateway.
    """
    found = {name: value.decode("latin-1") for name, value in headers if name in (b"origin", b"host")}
    origin = found.get(b"origin")
    return origin is None or origin in allowed or origin.partition("://")[2] == found.get(b"host")


@functools.lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """localhost, 127.0.0.0/8 or ::1, in brackets or not."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


@functools.lru_cache(maxsize=256)
def _is_local(host: bytes) -> bool:
    """A Host header: with any port, IPv6 in brackets."""
    text = host.decode("latin-1")
    name, colon, port = text.rpartition(":")
    if colon and not text.endswith("]"):
        return port.isascii() and port.isdigit() and is_loopback(name)
    return is_loopback(text)
