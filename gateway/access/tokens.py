"""What is signed: feedback tokens, which the gateway makes, and user assertions, which a product's own server makes.

A feedback token opens the rating, resuming and stopping of one trace, as one rater. Nothing of it is stored. Not who
may ask for one (door.py, feedback/), nor the single-use tickets of WebSockets (door.py).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Annotated

import msgspec
from itsdangerous import BadSignature, Signer
from itsdangerous.encoding import base64_decode, base64_encode
from msgspec import Meta

from gateway.domain.ids import now_ms
from gateway.errors import Unauthorized

PREFIX = "gw-ft-"
MAX_CHARS = 4_096  # of a token; a rater's name of 250 characters, escaped, fits four times
_MAX_ASSERTION = 8_192
_LEEWAY_S = 10  # by how much the product's clock may be ahead: what it signed just now is not from the future
_SHAPE = re.compile(r"gw-ft-[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{43}")


class FeedbackToken(msgspec.Struct, frozen=True, array_like=True):
    """What one says. `names` empty: ratings of every name. `expires` in milliseconds, 0 for never.

    `key_id` is the API key that the chat was asked with, or that asked for the token: it ends with that key.
    """

    project: str
    trace_id: str
    rater: str
    names: tuple[str, ...]
    expires: int
    key_id: str | None


_decode = msgspec.json.Decoder(FeedbackToken).decode


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

    def issue(self, project: str, trace_id: str, rater: str, key_id: str | None, names: tuple[str, ...] = ()) -> str:
        """A fresh token, which lives for feedback_token_ttl_s."""
        expires = now_ms() + self._ttl_ms if self._ttl_ms else 0
        said = FeedbackToken(project, trace_id, rater, names, expires, key_id)
        return PREFIX + self._signer.sign(base64_encode(msgspec.json.encode(said))).decode()

    def read(self, token: str) -> FeedbackToken:
        """What a token says, if we signed it and its time isn't over. Raises Unauthorized."""
        if len(token) > MAX_CHARS or not _SHAPE.fullmatch(token):
            raise _bad()
        try:
            said = self._signer.unsign(token[len(PREFIX) :])
            # Base64 leaves bits unused: other letters would say the same, and there is one way to write a token.
            signature = token.rpartition(".")[2].encode()
            if base64_encode(base64_decode(signature)) != signature:
                raise _bad()
            found = _decode(base64_decode(said))
        except (BadSignature, msgspec.MsgspecError):
            raise _bad() from None
        if found.expires and found.expires <= now_ms():
            raise Unauthorized("this feedback token has expired", code="feedback_token_expired")
        return found


def _bad() -> Unauthorized:
    return Unauthorized("this feedback token is not valid", code="invalid_feedback_token")


class _Claims(msgspec.Struct):
    exp: float
    sub: Annotated[str, Meta(min_length=1, max_length=250)]


def asserted_user(assertion: str, key: str) -> str:
    """The `sub` of a user assertion: a JWT (RFC 7519), signed with HS256, with `sub` and `exp`. Raises Unauthorized."""
    import jwt  # late: few callers send one, and it takes a while to load

    if not key:
        raise Unauthorized("User assertions are not set up here.", code="invalid_user_assertion")
    try:
        if len(assertion) > _MAX_ASSERTION:
            raise jwt.InvalidTokenError("it is too long")
        said = jwt.decode(assertion, key, algorithms=["HS256"], leeway=_LEEWAY_S, options={"require": ["exp", "sub"]})
        claims = msgspec.convert(said, _Claims)
        if claims.exp * 1000 <= now_ms():
            raise jwt.ExpiredSignatureError
        user_id = claims.sub
        user_id.encode()  # ValueError for half of a surrogate pair, which no store takes
        return user_id
    except jwt.ExpiredSignatureError:
        raise Unauthorized("the user assertion has expired", code="invalid_user_assertion") from None
    except (jwt.PyJWTError, msgspec.ValidationError, ValueError, TypeError):
        raise Unauthorized("the user assertion is not valid", code="invalid_user_assertion") from None
