"""The authenticator: the one place where keys, feedback tokens, user assertions and tickets become a Principal.

    API key ─┬─ secret ───────────────────────────────▶ its role
             └─ publishable, from one of its origins ──▶ chats, as a rater of its own: the user of an assertion, that
                                                         of an earlier token, or a fresh visitor
    feedback token ───────────────────────────────────▶ one trace, as one rater
    ticket ────────────────────────────────────────────▶ a WebSocket, as whoever asked for the ticket
    no Authorization: a proxy's header, or a cookie ───▶ the person who is signed in (people.py)
    nothing ───────────────────────────────────────────▶ a caller on this machine, unless a foreign page sent it

Tokens and tickets open no more than what they were made with would open here and now: they end with that key, have its
origins and its rate, and without a key they are for this machine's callers, too.

Made by app.py; asked once a request by web/middleware.py, and once a connection by web/socket.py.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Literal

import msgspec

from gateway.access.address import Headers
from gateway.access.keys import KeyRing
from gateway.access.local import keyless, origin_allowed
from gateway.access.people import People
from gateway.access.principal import KEYLESS, Principal, require
from gateway.access.tokens import PREFIX as TOKEN_PREFIX
from gateway.access.tokens import Tokens, asserted_user
from gateway.config.current import Current
from gateway.domain.ids import now_ms
from gateway.domain.people import Way
from gateway.errors import Forbidden, Unauthorized, Unavailable

TICKET_S = 30
MOST_TICKETS = 10_000  # that wait for their socket
_TICKET_PREFIX = "gw-wt-"


class Authenticator:
    """Remembers nothing of its callers but the tickets that wait for their sockets."""

    def __init__(self, keys: KeyRing, people: People, tokens: Tokens, current: Current) -> None:
        self.keys = keys
        self.people = people
        self.tokens = tokens
        self._current = current
        self._tickets: OrderedDict[bytes, tuple[Principal, str | None, float]] = OrderedDict()

    def authenticate(
        self, headers: Headers, client_host: str | None, roles: Sequence[str] = (), method: str = "GET"
    ) -> Principal:
        """Return the caller of one request to a route for these roles. Raise Unauthorized or Forbidden."""
        bearer = _bearer_token(headers)
        if bearer.startswith(TOKEN_PREFIX):
            return self.from_token(bearer, headers, client_host)
        given = _headers(headers, b"origin", b"x-feedback-token", b"x-user-assertion")
        if bearer.startswith("gw-"):
            principal = self.keys.find(bearer)
        elif (person := self._person(bearer, headers, client_host, method)) is not None:
            principal = person
        elif not self.people.sent(headers) and keyless(self._current.value, headers, client_host):
            principal = KEYLESS
        elif (token := given.get(b"x-feedback-token")) is not None and "token" in roles:
            return self.from_token(token, headers, client_host)
        else:
            # OpenAI's clients must send some key, and send any where none is needed: so another text than a key of
            # this gateway's is refused only here, where the caller needs one.
            problem = "This is not a key of this gateway." if bearer else "An API key is required."
            token_too = ", or a feedback token as X-Feedback-Token: gw-ft-…" if "token" in roles else ""
            raise Unauthorized(f"{problem} Send a key as Authorization: Bearer gw-sk-…{token_too}.")
        asks = principal.role == "publishable" and "publishable" in roles  # as its token's rater, see _with_user
        if (token := given.get(b"x-feedback-token")) is not None and "token" in roles and not asks:
            return self.from_token(token, headers, client_host, principal)
        if principal.role == "publishable":
            if given.get(b"origin") not in principal.origins:
                raise Forbidden("This key does not serve the origin of this page.", code="origin_not_allowed")
        elif principal is KEYLESS and self._current.value.auth.require_keys == "auto":
            self._check_origin(headers)
        if "publishable" in roles and principal.way is None:
            return self._with_user(principal, given, headers, client_host)
        return principal

    def authenticate_socket(self, headers: Headers, client_host: str | None, ticket: str | None) -> Principal:
        """Return who opens a WebSocket, by ticket or as in a request. Raise Unauthorized or Forbidden."""
        if ticket is not None:
            return self._redeem_ticket(ticket, headers, client_host)
        principal = self.authenticate(headers, client_host, ("chat", "publishable"), "CONNECT")
        require(principal, "chat", "publishable", "lead")
        if principal.role != "publishable" and principal.way is None:
            self._check_origin(headers)
        return principal

    def issue_ticket(
        self, principal: Principal, headers: Headers, user_id: str | None = None, client_host: str | None = None
    ) -> str:
        """Return a ticket that opens one WebSocket within TICKET_S, for the page that asked. Raise Unavailable.

        It is made to be handed to a browser, so that it opens no more than a publishable key would, as one user:
        `user_id` where a secret key vouches for it, the rater of an earlier feedback token, else somebody new. One
        that a signed-in person asked for is for that person, and ends with the sign-in.
        """
        if principal.key_id is not None and principal.way is None:
            earlier = _headers(headers, b"x-feedback-token").get(b"x-feedback-token")
            if principal.user_id is None and user_id is None and earlier is not None:
                rater = self.from_token(earlier, headers, client_host, principal)
                principal = msgspec.structs.replace(principal, user_id=rater.user_id, ends=rater.ends)
            user_id = principal.user_id or user_id or _visitor()
            principal = msgspec.structs.replace(principal, role="publishable", user_id=user_id)
        now = time.monotonic()
        while self._tickets and next(iter(self._tickets.values()))[2] <= now:
            self._tickets.popitem(last=False)
        if len(self._tickets) >= MOST_TICKETS:
            raise Unavailable("Too many tickets wait. Please try again.", code="too_busy", retry_after=1)
        ticket = _TICKET_PREFIX + secrets.token_urlsafe(32)
        origin = _headers(headers, b"origin").get(b"origin")
        self._tickets[_digest(ticket)] = (principal, origin, now + TICKET_S)
        return ticket

    def from_token(
        self, text: str, headers: Headers, client_host: str | None, caller: Principal | None = None
    ) -> Principal:
        """Return the rater for whom a feedback token was made. Raise Unauthorized or Forbidden.

        `caller` is who sent it besides a key, and must be of the same project.
        """
        token = self.tokens.read(text)
        if token.person is not None:  # it goes no further than that person's own requests
            same = caller is not None and caller.way is not None and caller.user_id == token.person
            maker = caller if same and caller is not None and caller.key_id == token.key_id else None
            if maker is None:
                raise Unauthorized("This feedback token is a signed-in person's.", code="invalid_feedback_token")
        else:
            maker = self._maker(token.key_id, headers, client_host)
        if maker is None:
            ended = "The API key behind this feedback token has ended."
            message = ended if token.key_id else "This feedback token was made without a key, which is needed here."
            raise Unauthorized(message, code="invalid_feedback_token")
        if caller is not None and caller.project != token.project:
            raise Forbidden("This feedback token belongs to another project.")
        return Principal(
            token.key_id,
            "token",
            token.project,
            "feedback token",
            maker.requests_per_minute,
            user_id=token.rater,
            ends=token.expires,
            token=token,
        )

    def ways(self, headers: Headers, client_host: str | None) -> list[Way | Literal["keyless"]]:
        """Return how this caller may come in: without a key, or by signing in."""
        ways = self.people.ways()
        return ["keyless", *ways] if keyless(self._current.value, headers, client_host) else [*ways]

    def ended(self, principal: Principal) -> str | None:
        """Return why what is still open for this caller must end, or None."""
        if not self.keys.active(principal.key_id):
            return "The API key of this socket has ended."
        if principal.way is not None:
            if self.people.ended(principal):
                return "You are signed out."
        elif principal.key_id is None and self._current.value.auth.require_keys == "always":
            return "API keys are required here by now."
        if 0 < principal.ends <= now_ms():
            return "The time for which the user of this socket was vouched for is over."
        return None

    def _person(self, bearer: str, headers: Headers, client_host: str | None, method: str) -> Principal | None:
        """Return who is signed in, where nothing else says who calls. Raise Unauthorized, Forbidden."""
        if not bearer:
            return self.people.find(headers, client_host, method)
        if self.people.sent(headers):  # a credential that counts less, beside one that isn't good
            raise Unauthorized("This is not a key of this gateway.", code="invalid_api_key")
        return None

    def _maker(self, key_id: str | None, headers: Headers, client_host: str | None) -> Principal | None:
        """Return whose credential made a token or ticket, where it would let this caller in, too; else None.

        Raise Forbidden for a page of another origin. One that sends no Origin is of this server's own, or no page.
        """
        if key_id is None:
            if not keyless(self._current.value, headers, client_host):
                return None
            if self._current.value.auth.require_keys == "auto":
                self._check_origin(headers)
            return KEYLESS
        maker = self.keys.holder(key_id)
        if maker is not None and maker.origins:
            origin = _headers(headers, b"origin").get(b"origin")
            if origin is not None and origin not in maker.origins:
                raise Forbidden("Its key does not serve the origin of this page.", code="origin_not_allowed")
        return maker

    def _with_user(
        self, principal: Principal, given: dict[bytes, str], headers: Headers, client_host: str | None
    ) -> Principal:
        """Return the caller as the user it is known to speak for; one with a publishable key always is somebody."""
        user_id, ends = None, 0
        if (assertion := given.get(b"x-user-assertion")) is not None:
            user_id, ends = asserted_user(assertion, self._current.value.auth.user_assertion_key)
        elif principal.role == "publishable":
            user_id = _visitor()
            if (earlier := given.get(b"x-feedback-token")) is not None:
                rater = self.from_token(earlier, headers, client_host, principal)
                user_id, ends = rater.user_id, rater.ends
        return principal if user_id is None else msgspec.structs.replace(principal, user_id=user_id, ends=ends)

    def as_earlier_rater(
        self, principal: Principal, headers: Headers, client_host: str | None, token: str
    ) -> Principal:
        """Return the caller of a publishable key that says by nothing else who it is as the rater of this token.

        One that isn't valid any more changes nothing.
        """
        if principal.role != "publishable" or _headers(headers, b"x-feedback-token", b"x-user-assertion"):
            return principal
        try:
            rater = self.from_token(token, headers, client_host, principal)
        except (Unauthorized, Forbidden):
            return principal
        return msgspec.structs.replace(principal, user_id=rater.user_id, ends=rater.ends)

    def _redeem_ticket(self, ticket: str, headers: Headers, client_host: str | None) -> Principal:
        principal, bound_to, until = self._tickets.pop(_digest(ticket), (KEYLESS, None, 0.0))
        if until <= time.monotonic() or self._over(principal, headers, client_host):
            raise Unauthorized(f"This ticket is not valid. A ticket opens one socket, within {TICKET_S} seconds.")
        if bound_to is None:  # a server asked for it
            self._check_origin(headers, self.keys.origins)
        elif _headers(headers, b"origin").get(b"origin") != bound_to:
            raise Forbidden("This ticket was made for another page.", code="origin_not_allowed")
        return principal

    def _over(self, principal: Principal, headers: Headers, client_host: str | None) -> bool:
        """Return whether the credential behind a ticket opens nothing any more, or nothing to this caller."""
        if principal.way is not None:
            return self.people.ended(principal)
        return self._maker(principal.key_id, headers, client_host) is None

    def _check_origin(self, headers: Headers, others: frozenset[str] = frozenset()) -> None:
        if not origin_allowed(headers, others.union(self._current.value.server.cors_origins)):
            message = "The origin of this page is not allowed here. [server] cors_origins names those that are."
            raise Forbidden(message, code="origin_not_allowed")


def _bearer_token(headers: Headers) -> str:
    """Return the text of `Authorization: Bearer`; empty where there is none. Raise Unauthorized for two of them."""
    token = ""
    for name, value in headers:
        if name == b"authorization":
            scheme, _, given = value.partition(b" ")
            if scheme.lower() == b"bearer":
                if token:
                    raise Unauthorized("Send one Authorization header, not several.")
                token = given.strip().decode("latin-1")
    return token


def with_bearer(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Return headers with Basic credentials as a bearer: the password, which is a key where any user's name is."""
    return [(name, _password(value) if name == b"authorization" else value) for name, value in headers]


def _password(value: bytes) -> bytes:
    scheme, _, given = value.partition(b" ")
    if scheme.lower() != b"basic":
        return value
    try:
        pair = base64.b64decode(given.strip(), validate=True)
    except ValueError:
        pair = b""
    return b"Bearer " + (pair.partition(b":")[2] or b"none")


def _visitor() -> str:
    return f"visitor-{secrets.token_hex(16)}"


def _headers(headers: Headers, *names: bytes) -> dict[bytes, str]:
    """Return some of them; one that comes twice is a list, as HTTP has it, which is no origin and no token."""
    found: dict[bytes, str] = {}
    for name, value in headers:
        if name in names:
            text = value.decode("latin-1").strip()
            found[name] = f"{found[name]}, {text}" if name in found else text
    return found


def _digest(ticket: str) -> bytes:
    """Return the hash by which a ticket is found, so that the time it takes tells nothing of another one."""
    return hashlib.sha256(ticket.encode("utf-8", "surrogateescape")).digest()
