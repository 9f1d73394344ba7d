"""API keys, roles, and the rule that lets callers on this machine in without a key.

It is not where keys are kept (the store), nor what else opens the door (door.py, which asks here once a request). It
works from memory: the app refreshes the KeyRing from the store, and writes back when keys were used.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Container, Iterable, Sequence
from typing import Literal

import msgspec

from gateway.access.tokens import FeedbackToken
from gateway.config.schema import ORIGIN, Config
from gateway.domain.ids import now_ms
from gateway.errors import Forbidden, InvalidValue, Unauthorized
from gateway.storage.scripts.keys import KeyRecord

KeyRole = Literal["chat", "review", "admin"]
Role = KeyRole | Literal["publishable", "token"]  # a publishable key and a feedback token are roles of their own
Headers = Iterable[tuple[bytes, bytes]]  # as ASGI has them: names in lower case

SECRET_PREFIX = "gw-sk-"  # noqa: S105 - the part of a key that is no secret
PUBLISHABLE_PREFIX = "gw-pk-"
# A proxy on this machine makes the whole internet look local; any of these says that there is one.
FORWARDING = frozenset(
    b"forwarded via x-real-ip x-client-ip x-cluster-client-ip x-original-host x-original-forwarded-for "
    b"cf-connecting-ip cf-connecting-ipv6 cf-ray cdn-loop true-client-ip fastly-client-ip fly-client-ip".split()
)

_OF_PAGES = frozenset((b"origin", b"host", b"sec-fetch-site", b"sec-fetch-mode"))


class Principal(msgspec.Struct, frozen=True):
    """The caller. `key_id` None: let in without a key.

    `user_id`: whom the credential speaks for, where it says so; nothing in the request can then say otherwise.
    `token`: the feedback token that let it in, which opens this trace alone.
    """

    key_id: str | None
    role: Role
    project: str
    name: str
    requests_per_minute: int = 0  # this key's own limit; 0: the configured one
    origins: tuple[str, ...] = ()  # of a publishable key: the only ones that it serves
    user_id: str | None = None
    token: FeedbackToken | None = None

    @property
    def trace_id(self) -> str | None:
        """The one trace that a feedback token opens."""
        return self.token.trace_id if self.token else None

    def check_trace(self, trace_id: str) -> None:
        """Raises Forbidden where a feedback token is another trace's."""
        if self.token is not None and self.token.trace_id != trace_id:
            raise Forbidden("This feedback token is another answer's.")


KEYLESS = Principal(None, "admin", "default", "keyless")


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
    """A fresh key, to be shown once, and the record to store. Raises InvalidValue for what can't be.

    With `origins` it is a publishable one. `expires` is in milliseconds.
    """
    made_up = f"{'web' if origins else role}-{secrets.token_hex(3)}"
    name = made_up if name is None else name
    for field, text in (("name", name), ("project", project)):
        if not 1 <= len(text) <= 100 or not text.isprintable():
            raise InvalidValue(f"{field}: 1 to 100 printable characters", details=[(field, "not allowed")])
    for origin in origins:
        if not ORIGIN.fullmatch(origin):
            problem = "write it as a browser does: https://app.example.com, with a port if it has one, and no path"
            raise InvalidValue(f"origins: {origin!r}: {problem}", details=[("origins", problem)])
    if origins and role != "chat":
        raise InvalidValue("a publishable key only chats", details=[("role", "must be chat")])
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
    """SHA-256, hex. A secret has 256 random bits, so that a slow hash would add nothing."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


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
        """Take the store's keys in place of those known; revoked ones are left out."""
        active = [record for record in records if record.revoked is None]
        self._keys = {record.key_hash: (record, _principal(record)) for record in active}
        self._ends = {record.key_id: record.expires for record in active}
        self.origins = frozenset(origin for record in active for origin in record.origins)

    def find(self, secret: str) -> Principal:
        """Whose key that is, and note its use. Raises Unauthorized."""
        digest = hash_key(secret)
        record, principal = self._keys.get(digest, (None, None))
        # Found by its hash, which tells nothing of the key by its timing; compared whole all the same.
        if record is None or principal is None or not hmac.compare_digest(record.key_hash, digest):
            raise Unauthorized("this API key is not valid", code="invalid_api_key")
        now = now_ms()
        if record.expires is not None and record.expires <= now:
            raise Unauthorized("this API key has expired", code="invalid_api_key")
        self._used[record.key_id] = now
        return principal

    def active(self, key_id: str | None) -> bool:
        """Whether the key is known, and neither revoked nor expired. None, which is no key, is always active."""
        if key_id is None:
            return True
        ends = self._ends.get(key_id, 0)
        return ends is None or ends > now_ms()

    def take_used(self) -> dict[str, int]:
        """Last uses since the last call, for `store.touch_keys`."""
        used, self._used = self._used, {}
        return used


def _principal(record: KeyRecord) -> Principal:
    role: Role = "publishable" if record.publishable else record.role
    return Principal(
        record.key_id, role, record.project, record.name, record.requests_per_minute, origins=record.origins
    )


def bearer_of(headers: Headers) -> str:
    """What stands in `Authorization: Bearer`; empty where nothing does. Raises Unauthorized for two of them."""
    token = ""
    for name, value in headers:
        if name == b"authorization":
            scheme, _, given = value.partition(b" ")
            if scheme.lower() == b"bearer":
                if token:
                    raise Unauthorized("one Authorization header, please")
                token = given.strip().decode("latin-1")
    return token


def keyless(config: Config, headers: Headers, client_host: str | None) -> bool:
    """Whether this caller needs no key: anybody's under "never", one on this machine under "auto"."""
    if config.auth.require_keys != "auto":
        return config.auth.require_keys == "never"
    hosts = []
    for name, value in headers:
        if name == b"host":
            hosts.append(value)
        elif name in FORWARDING or name.startswith(b"x-forwarded-"):
            return False
    return (
        is_loopback(config.server.host)
        and (client_host is None or is_loopback(client_host))
        and len(hosts) == 1
        and _is_local(hosts[0])
    )


def keys_required(config: Config) -> bool:
    """Whether even the nearest caller needs a key: then a start without any makes no sense."""
    require = config.auth.require_keys
    return require == "always" or (require == "auto" and not is_loopback(config.server.host))


def require(principal: Principal, *roles: Role) -> None:
    """Let these roles pass; admin always does. Raises Forbidden."""
    if principal.role in roles or principal.role == "admin":
        return
    if principal.role == "publishable":
        raise Forbidden("A publishable key only chats; what rates an answer is the feedback token that came with it.")
    if principal.role == "token":
        raise Forbidden("A feedback token only rates, resumes and stops its own answer.")
    wanted = [role for role in roles if role not in ("publishable", "token")] or ["admin"]
    raise Forbidden(f"this needs a key with the role {' or '.join(wanted)}")


def origin_allowed(headers: Headers, allowed: Container[str]) -> bool:
    """Whether a request's Origin is this server's own, a listed one, or on this machine; none at all is no web page.

    A browser asks nobody before it opens a WebSocket or sends a plain form, so that any page could otherwise talk to
    a gateway that lets its machine's callers in without a key. A page from this machine may: a development server's
    proxy often names the gateway as Host, and leaves the page's Origin. What a page loads as a script or an image
    bears no Origin, and the page learns whether that was there; browsers say of it that it is another site's.
    """
    found = {name: value.decode("latin-1") for name, value in headers if name in _OF_PAGES}
    origin = found.get(b"origin")
    if origin is None:
        elsewhere = found.get(b"sec-fetch-site") in ("cross-site", "same-site")
        return not elsewhere or found.get(b"sec-fetch-mode") == "navigate"
    host = origin.partition("://")[2]
    return origin in allowed or host == found.get(b"host") or _is_local(host.encode("latin-1"))


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
