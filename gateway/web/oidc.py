"""Sign-in by OpenID Connect: the browser goes to the provider, and comes back signed in. access/oidc.py decides."""

from __future__ import annotations

import re

from gateway.access.oidc import COOKIE, PENDING_S
from gateway.access.people import PROJECT, cookie_of
from gateway.access.sign_ins import new_sign_in
from gateway.domain.ids import now_ms
from gateway.errors import InvalidValue, Unauthorized
from gateway.web.cookie import Header, base_url, is_https
from gateway.web.request import Request
from gateway.web.responses import Response
from gateway.web.sign_in import let_in

_PLACE = re.compile(r"#/[!-~]{0,2000}")  # a page of the app


async def begin(request: Request) -> Response:
    """Send the browser to the provider. `next` is where it goes once it is signed in."""
    services = request.services
    services.limits.sign_in(request.raw_headers, request.client_host)
    then = request.query_dict().get("next", "#/")
    if not _PLACE.fullmatch(then):
        problem = "must be a page of the app, such as #/traces"
        raise InvalidValue(f"next: {problem}", details=[("next", problem)])
    url, secret = await services.openid.begin(then)
    request.extra_headers.append(_cookie(request, secret, PENDING_S))
    return Response(status_code=302, headers={"Location": url, "Cache-Control": "no-store"})


async def callback(request: Request) -> Response:
    """Let in whom the provider vouches for, and send the browser to where it wanted to go."""
    services, given = request.services, request.query_dict()
    services.limits.sign_in(request.raw_headers, request.client_host)
    request.extra_headers.append(_cookie(request, "", 0))
    pending = services.openid.pending(cookie_of(request.raw_headers, COOKIE.encode()), given.get("state"))
    if "code" not in given:
        raise Unauthorized("The provider did not sign you in. Please begin again.", code="oidc_failed")
    user_id = await services.openid.finish(pending, given["code"])
    role = services.authenticator.people.role_of(user_id)
    secret, record = new_sign_in(PROJECT, user_id, role, "oidc", None, now_ms())
    await let_in(request, secret, record)
    place = f"{base_url(request.scope, services.config.server)}/{pending.next}"
    return Response(status_code=302, headers={"Location": place, "Cache-Control": "no-store"})


def _cookie(request: Request, value: str, seconds: int) -> Header:
    """Return the header for the cookie of a sign-in that is under way; it goes to these two routes alone."""
    secure = "; Secure" if is_https(request.scope, request.services.config.server) else ""
    text = f"{COOKIE}={value}; Path=/auth/oidc; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"
    return b"set-cookie", text.encode("latin-1")
