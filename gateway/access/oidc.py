"""Sign-in by OpenID Connect: where the browser goes, and whom the provider vouches for when it comes back.

    GET /auth/oidc ─▶ the provider, with state, nonce and a PKCE challenge; what they were waits in a signed cookie
    the provider ─▶ GET /auth/oidc/callback ─▶ code for tokens ─▶ the ID token's e-mail, where it is verified

Authlib speaks the protocol and checks the ID token. Which role the person gets is people.py's; called by web/oidc.py.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import time
from typing import Any

import msgspec
from itsdangerous import BadSignature, Signer
from itsdangerous.encoding import base64_decode, base64_encode

from gateway.config.current import Current
from gateway.config.schema import Config, Oidc
from gateway.domain.people import person_id
from gateway.errors import Forbidden, NotFound, Unauthorized, Unavailable

COOKIE = "gw_oidc"
PENDING_S = 600  # how long a sign-in at the provider may take
_TIMEOUT_S = 10.0
_FRESH_S = 3_600.0  # the provider's metadata and keys are looked up again after this long
# Signatures by the provider's own key: with others, whoever knows the client's secret or nothing could make tokens.
_ALGORITHMS = frozenset(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"))
_log = logging.getLogger("gateway.access")


class Pending(msgspec.Struct, frozen=True, array_like=True):
    """A sign-in that is under way. `until` in seconds; `next` is where the browser goes at its end."""

    state: str
    nonce: str
    verifier: str
    next: str
    until: int


_decode = msgspec.json.Decoder(Pending).decode


class OpenID:
    """One provider, as the configuration names it. `signing_key` signs the cookie of sign-ins that are under way."""

    def __init__(self, current: Current, signing_key: str) -> None:
        key = hashlib.sha256(b"oidc:" + signing_key.encode()).digest()
        self._signer = Signer(key, key_derivation="none", digest_method=hashlib.sha256)
        current.subscribe(self._configure)

    def _configure(self, config: Config) -> None:
        self._config: Oidc = config.auth.oidc
        self._redirect = f"{config.server.public_url.rstrip('/')}/auth/oidc/callback"
        self._app: Any = None
        self._made = 0.0

    async def begin(self, then: str) -> tuple[str, str]:
        """Return the provider's address for the browser, and the cookie's value. Raise NotFound, Unavailable."""
        app = await self._provider()
        found = await _asked(app.create_authorization_url(self._redirect))
        pending = Pending(found["state"], found["nonce"], found["code_verifier"], then, int(time.time()) + PENDING_S)
        return found["url"], self._signer.sign(base64_encode(msgspec.json.encode(pending))).decode()

    def pending(self, cookie: str | None, state: str | None) -> Pending:
        """Return the sign-in that this browser has begun. Raise Unauthorized for another browser's, and an old one."""
        try:
            found = _decode(base64_decode(self._signer.unsign(cookie or "")))
        except (BadSignature, msgspec.MsgspecError):
            found = None
        if found is None or state is None or not hmac.compare_digest(found.state, state) or found.until <= time.time():
            message = "This sign-in was not begun here, or took too long. Please begin again."
            raise Unauthorized(message, code="oidc_failed")
        return found

    async def finish(self, pending: Pending, code: str) -> str:
        """Return the person's name: the e-mail that the provider has verified. Raise Unauthorized, Forbidden."""
        app = await self._provider()
        token = await _asked(
            app.fetch_access_token(
                redirect_uri=self._redirect, code=code, state=pending.state, code_verifier=pending.verifier
            )
        )
        claims = await _asked(app.parse_id_token(token, pending.nonce, leeway=10))
        if claims is None:
            raise Unauthorized("The provider gave no ID token.", code="oidc_failed")
        if "email" not in claims and (await app.load_server_metadata()).get("userinfo_endpoint"):
            more = await _asked(app.userinfo(token=token))
            if more.get("sub") == claims.get("sub"):
                claims = {**more, **claims}
        email = claims.get("email")
        if claims.get("email_verified") is not True or not isinstance(email, str) or (name := person_id(email)) is None:
            raise Forbidden("The provider has not verified your e-mail address.", code="no_role")
        return name

    async def _provider(self) -> Any:
        """Return authlib's client for the provider, which knows its metadata. Raise NotFound, Unavailable."""
        if not self._config.issuer:
            raise NotFound("Sign-in by OpenID Connect is not set up here.")
        if self._app is None or time.monotonic() - self._made > _FRESH_S:
            app = _new_app(self._config)
            metadata = await _asked(app.load_server_metadata())
            if metadata.get("issuer") != self._config.issuer:
                _log.error("The OpenID provider says that it is another issuer than [auth.oidc] names.")
                raise Unavailable("The OpenID provider is not the one that is configured.")
            algorithms = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
            metadata["id_token_signing_alg_values_supported"] = [each for each in algorithms if each in _ALGORITHMS]
            self._app, self._made = app, time.monotonic()
        return self._app


def _new_app(config: Oidc) -> Any:
    from authlib.integrations.starlette_client import StarletteOAuth2App  # late: few gateways need it

    return StarletteOAuth2App(
        None,
        name="oidc",
        client_id=config.client_id,
        client_secret=config.client_secret or None,
        server_metadata_url=f"{config.issuer.rstrip('/')}/.well-known/openid-configuration",
        client_kwargs={
            "scope": " ".join(config.scopes),
            "code_challenge_method": "S256",
            "timeout": _TIMEOUT_S,
        },
    )


async def _asked(call: Any) -> Any:
    """Return what the provider says. Raise Unavailable where it can't be reached, Unauthorized for what it refuses."""
    import httpx2
    from authlib.common.errors import AuthlibBaseError
    from joserfc.errors import JoseError

    try:
        return await call
    except httpx2.HTTPError as error:
        _log.warning("The OpenID provider can't be asked: %s", type(error).__name__)
        raise Unavailable("The OpenID provider can't be reached.") from None
    except (AuthlibBaseError, JoseError, ValueError) as error:
        _log.warning("A sign-in by OpenID Connect failed: %s", type(error).__name__)
        raise Unauthorized("The sign-in failed at the provider. Please begin again.", code="oidc_failed") from None
