"""Signing in and out, and who is signed in. Thin: access/ decides who may, and the store keeps it.

A page of another origin must not sign its visitor in or out: so each of these wants an Origin that is this server's.
"""

from __future__ import annotations

from gateway.access.invites import good
from gateway.access.keys import hash_key
from gateway.access.people import ROLE_OF_KEY, acting_person, cookie_of
from gateway.access.principal import KEYLESS, Principal
from gateway.access.sign_ins import new_sign_in, signed_out
from gateway.domain.ids import now_ms
from gateway.domain.people import PersonRole
from gateway.errors import Forbidden, GatewayError, Unauthorized
from gateway.storage.scripts.invites import find_invite, join
from gateway.storage.scripts.people import Seen, SignIn, sign_in, sign_out
from gateway.web.cookie import kept_cookie, new_cookie, no_cookie
from gateway.web.request import Request
from gateway.web.responses import JSONResponse, Response
from gateway.wire import people as wire


async def by_key(request: Request) -> Response:
    """Sign in with a secret key, which the app then forgets."""
    body = await _checked(request)
    wanted = wire.decode(body, wire.KeySignIn)
    services = request.services
    key = await services.stored_keys.repeated(lambda: services.authenticator.keys.find(wanted.key))
    if key.role not in ROLE_OF_KEY:
        raise Forbidden("A publishable key is for web pages, and signs nobody in.")
    user_id = wire.named(key.name if wanted.name is None else wanted.name, "name")
    secret, record = new_sign_in(key.project, user_id, ROLE_OF_KEY[key.role], "key", key.key_id, now_ms())
    await let_in(request, secret, record)
    return Response(status_code=204)


async def by_invite(request: Request) -> Response:
    """Sign in by an invitation, or look whom it is for; that uses nothing up, as previews of links don't."""
    wanted = wire.decode(await _checked(request), wire.InviteSignIn)
    now = now_ms()
    found = good(await request.services.store.read(find_invite, hash_key(wanted.invite)), now)
    if wanted.look:
        return JSONResponse(wire.InviteLook(found.user_id, found.role, found.expires))
    secret, record = new_sign_in(
        found.project, found.user_id, found.role, "invite", found.invite_id, now, found.expires
    )
    await let_in(request, secret, record)
    return Response(status_code=204)


async def let_in(request: Request, secret: str, record: SignIn) -> None:
    """Store a sign-in in place of this browser's earlier one, and give the cookie."""
    services = request.services
    people = services.authenticator.people
    address = people.address(request.raw_headers, request.client_host)
    seen = Seen(record.project, record.user_id, record.role, record.way, record.created, address)
    earlier = cookie_of(request.raw_headers)
    script = join if record.way == "invite" else sign_in
    await services.store.write(script, record, seen, None if earlier is None else hash_key(earlier))
    people.sign_ins.add(record)
    if earlier is not None:
        people.sign_ins.drop(hash_key(earlier))
    request.extra_headers.append(new_cookie(request.scope, services.config.server, secret))


async def sign_out_here(request: Request) -> Response:
    """End this browser's sign-in. That there is none is no error."""
    await _checked(request)
    services = request.services
    if (secret := cookie_of(request.raw_headers)) is not None:
        await services.store.write(sign_out, digest := hash_key(secret))
        await services.stored_keys.forget(digest)
    request.extra_headers.append(no_cookie(request.scope, services.config.server))
    return Response(status_code=204)


async def me(request: Request) -> Response:
    """Say who calls, or how to sign in. A cookie that is no longer good is taken back."""
    services = request.services
    ways = services.authenticator.ways(request.raw_headers, request.client_host)

    def ask() -> Principal:
        return services.authenticator.authenticate(request.raw_headers, request.client_host)

    try:
        principal = await services.stored_keys.repeated(ask)
    except (Unauthorized, Forbidden) as error:
        _take_back(request, error)
        return JSONResponse(wire.MeReply(None, None, ways))
    if principal.renewed:
        request.extra_headers.append(kept_cookie(request.scope, services.config.server))
    user_id = acting_person(principal, request.header(b"x-user-id"))
    if user_id is None:
        return JSONResponse(wire.MeReply(None, None, ways))
    return JSONResponse(wire.MeReply(user_id, _role(principal), ways, principal.project))


def _role(principal: Principal) -> PersonRole:
    if principal.role == "lead" or principal.role == "reviewer":
        return principal.role
    return "admin" if principal is KEYLESS else ROLE_OF_KEY[principal.role]


def _take_back(request: Request, error: GatewayError) -> None:
    if error.code == signed_out().code:
        request.extra_headers.append(no_cookie(request.scope, request.services.config.server))


async def _checked(request: Request) -> bytes:
    """Return the body of what signs in or out. Raise TooManyRequests, and Forbidden for a page elsewhere."""
    request.services.limits.sign_in(request.raw_headers, request.client_host)
    request.services.authenticator.people.check_page(request.raw_headers, "POST")
    body = await request.body()
    if body:
        request.require_json()
    return body
