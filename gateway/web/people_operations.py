"""What the routes of people take and give, in words and types: their part of operations.py, for /openapi.json."""

from __future__ import annotations

from gateway.web.operation import Operation
from gateway.wire import people

PEOPLE_PARAMETERS: dict[str, str] = {
    "next": "The page of the app to come back to, such as `#/traces`.",
    "code": "What the provider gives for the tokens.",
    "state": "What the sign-in was begun with.",
}
PEOPLE_OPERATIONS: dict[tuple[str, str], Operation] = {
    ("GET", "/me"): Operation(
        group="People",
        summary="Ask who is signed in",
        description="And how one may sign in. `user_id` and `role` are null where nobody is.",
        headers=("X-User-Id",),
        reply=people.MeReply,
    ),
    ("POST", "/auth/key"): Operation(
        group="People",
        summary="Sign in with a secret key",
        description="Sets the cookie `gw_session`. Only a page of this gateway's own address may send it.",
        body=(people.KeySignIn,),
        empty="You are signed in.",
    ),
    ("POST", "/auth/invite"): Operation(
        group="People",
        summary="Sign in by an invitation",
        description="204, and the cookie `gw_session`. With `look` it only says whom the invitation is for. Only a "
        "page of this gateway's own address may send it.",
        body=(people.InviteSignIn,),
        reply=people.InviteLook,
        empty="You are signed in.",
    ),
    ("POST", "/auth/logout"): Operation(
        group="People",
        summary="Sign out",
        description="Ends the sign-in behind the cookie, and takes it back. Only a page of this gateway's own address "
        "may send it.",
        empty="You are signed out.",
    ),
    ("GET", "/auth/oidc"): Operation(
        group="People",
        summary="Sign in by OpenID Connect",
        description="For a link: sends the browser to the provider.",
        query=("next",),
        elsewhere="At the provider.",
    ),
    ("GET", "/auth/oidc/callback"): Operation(
        group="People",
        summary="Come back from the provider",
        description="Where the provider sends the browser. Sets the cookie `gw_session`, and sends it on.",
        query=("code", "state"),
        elsewhere="At the page of the app.",
    ),
    ("GET", "/people"): Operation(
        group="People",
        summary="List the people",
        description="Whoever came in, or is invited.",
        reply=people.PeopleList,
    ),
    ("POST", "/people/invites"): Operation(
        group="People",
        summary="Invite a reviewer or a lead",
        description="Leads invite reviewers, admins both. A higher role takes the place of a lower one, whose sign-ins "
        "end.",
        body=(people.NewInvite,),
        headers=("X-User-Id",),
        reply=people.InviteReply,
    ),
    ("GET", "/people/invites"): Operation(group="People", summary="List the invitations", reply=people.InviteList),
    ("DELETE", "/people/invites/{invite_id}"): Operation(
        group="People",
        summary="Revoke an invitation",
        description="Whoever came by it is signed out.",
        empty="It is revoked.",
    ),
}
