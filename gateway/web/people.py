"""People and invitations, as leads see them. Thin: access/ decides who may, and the store keeps them."""

from __future__ import annotations

from gateway.access.invites import check_inviter, link, new_invite
from gateway.access.people import acting_person
from gateway.domain.ids import now_ms
from gateway.domain.people import PersonRole
from gateway.storage.scripts.invites import Invite, add_invite, get_invite, list_invites, revoke_invite
from gateway.storage.scripts.people import Person, list_people
from gateway.web.cookie import base_url
from gateway.web.request import Request
from gateway.web.responses import JSONResponse, Response
from gateway.wire import people as wire


async def invite(request: Request) -> Response:
    """Make an invitation, and return the link once. A higher role takes the place of a lower one."""
    wanted = wire.decode(await request.json_body(), wire.NewInvite)
    services, principal = request.services, request.principal
    user_id = wire.named(wanted.user_id, "user_id")
    check_inviter(principal, wanted.role)
    services.authenticator.people.check_unlisted(user_id)
    secret, made = new_invite(
        principal.project,
        user_id,
        wanted.role,
        by=acting_person(principal, request.header(b"x-user-id")) or principal.name,
        now=now_ms(),
        days=wanted.expires_days,
        labeling_sessions=tuple(wanted.labeling_sessions),
    )
    if await services.store.write(add_invite, made):
        await services.stored_keys.refresh()  # the sign-ins of the lower role have ended
    return JSONResponse(wire.InviteReply(made.invite_id, link(base_url(request.scope, services.config.server), secret)))


async def invites(request: Request) -> Response:
    """Return the project's invitations, the newest first, without their links."""
    found = await request.services.store.read(list_invites, request.principal.project)
    return JSONResponse(wire.InviteList([_item(each) for each in found]))


async def revoke(request: Request) -> Response:
    """Revoke an invitation, which signs out whoever came by it."""
    services, project, invite_id = request.services, request.principal.project, request.path_params["invite_id"]
    check_inviter(request.principal, (await services.store.read(get_invite, project, invite_id)).role)
    await services.store.write(revoke_invite, project, invite_id, now_ms())
    await services.stored_keys.refresh()
    return Response(status_code=204)


async def people(request: Request) -> Response:
    """Return who was seen in the project, is invited, or is named in the configuration, by name."""
    services, project = request.services, request.principal.project
    seen = {each.user_id: each for each in await services.store.read(list_people, project)}
    now = now_ms()
    invited = [each for each in await services.store.read(list_invites, project) if each.expires > now]
    roles = services.authenticator.people.roles(project, invited, seen)
    items = [_person(user_id, role, seen.get(user_id)) for user_id, role in sorted(roles.items())]
    return JSONResponse(wire.PeopleList(items))


def _item(found: Invite) -> wire.InviteItem:
    return wire.InviteItem(
        found.invite_id,
        found.user_id,
        found.role,
        list(found.labeling_sessions),
        found.created,
        found.created_by,
        found.expires,
        found.first_used,
        found.last_used,
        found.last_address,
    )


def _person(user_id: str, role: PersonRole | None, seen: Person | None) -> wire.PersonItem:
    if seen is None:
        return wire.PersonItem(user_id, role, None, None, None, None)
    return wire.PersonItem(user_id, role, seen.way, seen.first_seen, seen.last_seen, seen.last_address)
