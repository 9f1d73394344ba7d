"""Signed texts: feedback tokens, which the gateway makes, and user assertions, which a product's own server makes.

A feedback token opens the rating, resuming and stopping of one trace, as one rater. Nothing of it is stored. Who may
ask for one is decided elsewhere (authenticator.py, web/feedback.py); the single-use tickets of WebSockets are
authenticator.py's.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Annotated, NamedTuple

import msgspec
from itsdangerous import BadSignature, Signer
from itsdangerous.encoding import base64_decode, base64_encode
from msgspec import Meta

from gateway.access.principal import FeedbackToken, Principal
from gateway.domain.ids import now_ms
from gateway.errors import Unauthorized

PREFIX = "gw-ft-"
MAX_CHARS = 4_096  # of a token; a rater's name of 250 characters, escaped, fits four times
_MAX_ASSERTION = 8_192
_LEEWAY_S = 10  # by how much the product's clock may be ahead: what it signed just now is not from the future
_SHAPE = re.compile(r"gw-ft-[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{43}")


_decode = msgspec.json.Decoder(FeedbackToken).decode


class IssuedToken(msgspec.Struct, frozen=True):
    """A token to hand out. `expires` in milliseconds, 0 for never."""

    text: str
    expires: int


class Tokens:
    """Signs with the first key, and takes what any of them has signed (HMAC-SHA256)."""

    def __init__(self, keys: Sequence[str], ttl_s: float) -> None:
        self.configure(keys, ttl_s)

    def configure(self, keys: Sequence[str], ttl_s: float) -> None:
        """Sign and verify with other keys from now on, and give tokens another lifetime in seconds, 0 for no end."""
        self._ttl_ms = round(ttl_s * 1000)
        self._signer = Signer(
            [hashlib.sha256(b"feedback-token:" + key.encode()).digest() for key in reversed(keys)],
            key_derivation="none",  # done above, once
            digest_method=hashlib.sha256,
        )

    def issue(self, principal: Principal, trace_id: str, rater: str | None, names: tuple[str, ...] = ()) -> IssuedToken:
        """Return a fresh token for a trace of the caller's project, which lives for feedback_token_ttl_s.

        Without a rater it is for the trace's anonymous one. A caller who bears a token gets one for no more names, and
        for no longer.
        """
        rater = rater or f"anonymous:{trace_id}"
        names = names or (principal.token.names if principal.token else ())
        expires = now_ms() + self._ttl_ms if self._ttl_ms else 0
        if principal.token and principal.token.expires:
            expires = min(expires or principal.token.expires, principal.token.expires)
        person = principal.user_id if principal.way else principal.token.person if principal.token else None
        content = FeedbackToken(principal.project, trace_id, rater, names, expires, principal.key_id, person)
        text = PREFIX + self._signer.sign(base64_encode(msgspec.json.encode(content))).decode()
        return IssuedToken(text, expires)

    def read(self, token: str) -> FeedbackToken:
        """Return the content of a token that was signed here and whose time isn't over. Raise Unauthorized."""
        if len(token) > MAX_CHARS or not _SHAPE.fullmatch(token):
            raise _bad()
        try:
            content = self._signer.unsign(token[len(PREFIX) :])
            # Base64 leaves bits unused: other letters would say the same, and there is one way to write a token.
            signature = token.rpartition(".")[2].encode()
            if base64_encode(base64_decode(signature)) != signature:
                raise _bad()
            found = _decode(base64_decode(content))
        except (BadSignature, msgspec.MsgspecError):
            raise _bad() from None
        if found.expires and found.expires <= now_ms():
            raise Unauthorized("This feedback token has expired.", code="feedback_token_expired")
        return found


def _bad() -> Unauthorized:
    return Unauthorized("This feedback token is not valid.", code="invalid_feedback_token")


class _Claims(msgspec.Struct):
    exp: float
    sub: Annotated[str, Meta(min_length=1, max_length=250)]


class Asserted(NamedTuple):
    """Who the user is, and until when that is vouched for, in milliseconds."""

    user_id: str
    ends: int


def asserted_user(assertion: str, key: str) -> Asserted:
    """Return what a user assertion says: a JWT (RFC 7519) signed with HS256, with `sub` and `exp`.

    Raise Unauthorized for every other text.
    """
    import jwt  # late: few callers send one, and it takes a while to load

    if not key:
        raise Unauthorized("User assertions are not set up here.", code="invalid_user_assertion")
    try:
        if len(assertion) > _MAX_ASSERTION:
            raise jwt.InvalidTokenError("it is too long")
        payload = jwt.decode(
            assertion, key, algorithms=["HS256"], leeway=_LEEWAY_S, options={"require": ["exp", "sub"]}
        )
        claims = msgspec.convert(payload, _Claims)
        if claims.exp * 1000 <= now_ms():
            raise jwt.ExpiredSignatureError
        claims.sub.encode()  # ValueError for half of a surrogate pair, which no store takes
        return Asserted(claims.sub, int(claims.exp * 1000))
    except jwt.ExpiredSignatureError:
        raise Unauthorized("The user assertion has expired.", code="invalid_user_assertion") from None
    except (jwt.PyJWTError, msgspec.ValidationError, ValueError, TypeError):
        raise Unauthorized("The user assertion is not valid.", code="invalid_user_assertion") from None
