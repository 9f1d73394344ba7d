"""Who is signed in: by a proxy that knows people, or by the cookie that this gateway gave.

    `user_header` of a trusted proxy ─▶ a person whom [auth.people] gives a role ────────────────────┬─▶ Principal
    cookie ─▶ a sign-in, as long as the key or invitation behind it is good ──────────────────────────┘

Both come along unasked, whatever page makes the browser send them. So they count for nothing on what a page of another
origin reads, and what changes anything must come from a page of this gateway's own address.

Made by app.py, asked by authenticator.py where a request bears no Authorization; a key's request never comes here.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from gateway.access.address import Headers, client_address, parse_networks, sent_by
from gateway.access.keys import KeyRing
from gateway.access.local import is_elsewhere, is_own_page
from gateway.access.principal import KEYLESS, Principal, Role
from gateway.access.sign_ins import SignIns, signed_out
from gateway.config.current import Current
from gateway.config.schema import Config, PeopleRoles
from gateway.domain.ids import now_ms
from gateway.domain.people import SLIDE_MS, PersonRole, Way, is_listed, outranks, person_id
from gateway.errors import Conflict, Forbidden, Unauthorized
from gateway.storage.scripts.invites import Invite
from gateway.storage.scripts.people import Seen, SignIn

COOKIE = "gw_session"
PROJECT = "default"  # of the people whom the configuration names
LOCAL = "local"  # whoever calls from this machine, without a name
READS = frozenset(("GET", "HEAD", "OPTIONS"))
_COOKIE = COOKIE.encode()
# What a key opens in the app: the role `review` is a lead's.
ROLE_OF_KEY: dict[str, PersonRole] = {"chat": "chat", "review": "lead", "admin": "admin"}


class People:
    """Finds the person of a request."""

    def __init__(self, keys: KeyRing, sign_ins: SignIns, current: Current) -> None:
        self.sign_ins = sign_ins
        self._keys = keys
        self._noted: dict[str, int] = {}  # when somebody was last seen by a proxy
        current.subscribe(self._configure)

    def _configure(self, config: Config) -> None:
        self._trusted = parse_networks(config.server.trusted_proxies)
        self._header = config.auth.user_header.lower().encode()
        self._listed = config.auth.people
        self._oidc = config.auth.oidc.issuer != ""
        self._public_url = config.server.public_url

    def address(self, headers: Headers, client_host: str | None) -> str:
        """Return the caller's address, to show it to leads."""
        return str(client_address(headers, client_host, self._trusted) or "")

    def find(self, headers: Headers, client_host: str | None, method: str) -> Principal | None:
        """Return who is signed in; None where the request doesn't say so, or a page elsewhere reads by it.

        Raise Forbidden for a page elsewhere that would change something, and for somebody without a role; Unauthorized
        or UnknownSignIn for what isn't good. `method` is the request's; a WebSocket's handshake is no reading.
        """
        named, secret = self._named(headers, client_host), cookie_of(headers)
        if named is None and secret is None:
            return None
        if method in READS and is_elsewhere(headers, self._public_url):
            return None
        self.check_page(headers, method)
        if named is not None:
            return self._known(named, headers, client_host)
        assert secret is not None  # noqa: S101
        record = self.sign_ins.find(secret)
        found = self._principal(record)
        if found is None:
            raise signed_out()
        if self.sign_ins.use(record, self.address(headers, client_host)):
            return msgspec.structs.replace(found, renewed=True)
        return found

    def role_of(self, user_id: str) -> PersonRole:
        """Return the role of somebody whom another one vouches for. Raise Forbidden where there is none."""
        role = configured_role(self._listed, user_id)
        if role is None:
            raise Forbidden("You have no role here. Ask whoever runs this gateway for one.", code="no_role")
        return role

    def ways(self) -> list[Way]:
        """Return how people may sign in."""
        ways: list[Way] = ["key", "invite"]
        if self._header:
            ways.append("proxy")
        if self._oidc:
            ways.append("oidc")
        return ways

    def sent(self, headers: Headers) -> bool:
        """Return whether a request bears what may say who is signed in, whoever sent it."""
        if self._header and any(name == self._header for name, _ in headers):
            return True
        return cookie_of(headers) is not None

    def check_unlisted(self, user_id: str) -> None:
        """Raise Conflict for somebody whose role the configuration says."""
        if configured_role(self._listed, user_id) is not None:
            raise Conflict("This person has a role by [auth.people] of the configuration.")

    def check_page(self, headers: Headers, method: str) -> None:
        """Raise Forbidden for what changes something and doesn't come from a page of this gateway's own."""
        if method not in READS and not is_own_page(headers, self._public_url):
            message = "Only pages of this gateway's own address may send this, with an Origin that says so."
            raise Forbidden(message, code="origin_not_allowed")

    def roles(self, project: str, invited: Iterable[Invite], seen: Iterable[str]) -> dict[str, PersonRole | None]:
        """Return everybody of a project with the highest role that is open to them now; None for nothing any more."""
        found: dict[str, PersonRole | None] = dict.fromkeys(seen)
        if project == PROJECT:  # whose people the configuration names
            listed = (*self._listed.admins, *self._listed.leads, *self._listed.reviewers)
            found |= dict.fromkeys(name for each in listed if "*" not in each and (name := person_id(each)))
            found = {user_id: configured_role(self._listed, user_id) for user_id in found}
        held: list[tuple[str, PersonRole]] = [(each.user_id, each.role) for each in invited]
        here = self.sign_ins.lasting_of(project)
        held += [(each.user_id, each.role) for each in here if self._principal(each) is not None]
        for user_id, role in held:
            so_far = found.get(user_id)
            if so_far is None or outranks(role, so_far):
                found[user_id] = role
        return found

    def ended(self, principal: Principal) -> bool:
        """Return True where the sign-in of a person is over, or what is behind it."""
        if principal.way == "proxy":
            return not self._header or configured_role(self._listed, principal.user_id or "") != principal.role
        record = self.sign_ins.lasting(principal.sign_in or "")
        return record is None or self._principal(record) is None

    def _named(self, headers: Headers, client_host: str | None) -> str | None:
        """Return whom a trusted proxy names; None where it names nobody. Raise Unauthorized for what is no name."""
        said = [value for name, value in headers if name == self._header] if self._header else []
        if not said or not sent_by(client_host, self._trusted) or said == [b""]:
            return None
        try:
            found = person_id(said[0].decode())
        except UnicodeDecodeError:
            found = None
        if found is None or len(said) > 1:
            raise Unauthorized("The proxy's header is no name of a person.")
        return found

    def _known(self, user_id: str, headers: Headers, client_host: str | None) -> Principal:
        """Return somebody whom another one vouches for. Raise Forbidden where the configuration gives no role."""
        role, now = self.role_of(user_id), now_ms()
        if now - self._noted.get(user_id, 0) >= SLIDE_MS:
            self._noted[user_id] = now
            self.sign_ins.see(Seen(PROJECT, user_id, role, "proxy", now, self.address(headers, client_host)))
        return Principal(None, role, PROJECT, user_id, user_id=user_id, way="proxy")

    def _principal(self, record: SignIn) -> Principal | None:
        """Return the person of a sign-in; None where what is behind it has ended."""
        # The store's record of an invitation's goes when that does; one by OpenID has the role of the configuration.
        listed = self._oidc and configured_role(self._listed, record.user_id) == record.role
        if record.way == "invite" or (record.way == "oidc" and listed):
            return Principal(
                None,
                record.role,
                record.project,
                record.user_id,
                user_id=record.user_id,
                way=record.way,
                sign_in=record.sign_in_hash,
            )
        if record.way != "key":
            return None
        key = self._keys.holder(record.behind or "")
        if key is None:
            return None
        role: Role = record.role
        return Principal(
            key.key_id,
            role,
            key.project,
            record.user_id,
            key.requests_per_minute,
            user_id=record.user_id,
            way=record.way,
            sign_in=record.sign_in_hash,
        )


def configured_role(listed: PeopleRoles, user_id: str) -> PersonRole | None:
    """Return the role that the configuration gives a person, the highest of several; None for none."""
    if is_listed(user_id, listed.admins):
        return "admin"
    if is_listed(user_id, listed.leads):
        return "lead"
    return "reviewer" if is_listed(user_id, listed.reviewers) else None


def cookie_of(headers: Headers, wanted: bytes = _COOKIE) -> str | None:
    """Return the value of this gateway's cookie; the first one, where there are several."""
    for name, value in headers:
        if name == b"cookie":
            for pair in value.split(b";"):
                key, equals, text = pair.partition(b"=")
                if equals and key.strip() == wanted:
                    return text.strip().decode("latin-1")
    return None


def acting_person(principal: Principal, given: str | None) -> str | None:
    """Return as whom a caller writes: the signed-in person, else whom a secret key or a caller on this machine names.

    `given` is the header X-User-Id. None for pages' credentials, which speak for no person.
    """
    if principal.way is not None:
        return principal.user_id
    if principal.role in ("publishable", "token"):
        return None
    own = LOCAL if principal is KEYLESS else principal.name
    return person_id(given or "") or person_id(own) or LOCAL
