"""People's wire: bodies that sign somebody in, and who is signed in. Sans-I/O; called by web/sign_in.py."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from gateway.domain.people import MAX_NAME, InvitedRole, PersonRole, Way, person_id
from gateway.errors import InvalidValue
from gateway.wire.chat_body import convert, decode_fields

WayIn = Way | Literal["keyless"]
T = TypeVar("T", bound=msgspec.Struct)
_Secret = Annotated[str, Meta(min_length=1, max_length=1_000)]
_Sessions = Annotated[list[Annotated[str, Meta(min_length=1, max_length=250)]], Meta(max_length=100)]
_MAX_BODY = 100_000
_NAME = f"must be a name of 1 to {MAX_NAME} printable characters"


class KeySignIn(msgspec.Struct):
    """Body of POST /auth/key."""

    key: Annotated[_Secret, Meta(description="A secret key.")]
    name: Annotated[str | None, Meta(description="Who the person is; else the key's name.")] = None


class InviteSignIn(msgspec.Struct):
    """Body of POST /auth/invite."""

    invite: Annotated[_Secret, Meta(description="What stands behind `invite=` in the link.")]
    look: Annotated[bool, Meta(description="Only say whom it is for, and use nothing up.")] = False


class InviteLook(msgspec.Struct, frozen=True):
    """Whom an invitation is for."""

    user_id: Annotated[str, Meta(description="The person's name.")]
    role: Annotated[InvitedRole, Meta(description="What the person may do.")]
    expires: Annotated[int, Meta(description="When it ends, in milliseconds.")]


class NewInvite(msgspec.Struct):
    """Body of POST /people/invites."""

    user_id: Annotated[str, Meta(description="Whom: an e-mail address, or any name.")]
    role: Annotated[InvitedRole, Meta(description="What the person may do.")]
    labeling_sessions: Annotated[_Sessions, Meta(description="What a reviewer is to review.")] = []
    expires_days: Annotated[float, Meta(gt=0, le=3_650, description="When it ends, and who came by it is out.")] = 14


class InviteReply(msgspec.Struct, frozen=True):
    """A new invitation. The link is shown only now."""

    id: Annotated[str, Meta(description="Its ID, to revoke it by.")]
    url: Annotated[str, Meta(description="The link for the person.")]


class InviteItem(msgspec.Struct, frozen=True):
    """An invitation, without its link. Times are in milliseconds."""

    id: Annotated[str, Meta(description="Its ID, to revoke it by.")]
    user_id: Annotated[str, Meta(description="Whom it is for.")]
    role: Annotated[InvitedRole, Meta(description="What the person may do.")]
    labeling_sessions: Annotated[list[str], Meta(description="What a reviewer is to review.")]
    created: Annotated[int, Meta(description="When it was made.")]
    created_by: Annotated[str, Meta(description="Who made it.")]
    expires: Annotated[int, Meta(description="When it ends.")]
    first_used: Annotated[int | None, Meta(description="When somebody first came by it; null: nobody yet.")]
    last_used: Annotated[int | None, Meta(description="When somebody last came by it.")]
    last_address: Annotated[str | None, Meta(description="From where that was.")]


class InviteList(msgspec.Struct, frozen=True):
    """The invitations that were not revoked, the newest first."""

    invites: Annotated[list[InviteItem], Meta(description="The invitations.")]


class PersonItem(msgspec.Struct, frozen=True):
    """Somebody who was seen, or is invited. Times are in milliseconds."""

    user_id: Annotated[str, Meta(description="The person's name.")]
    role: Annotated[PersonRole | None, Meta(description="What is open to the person now; null: nothing any more.")]
    way: Annotated[Way | None, Meta(description="How the person came in last; null: not yet.")]
    first_used: Annotated[int | None, Meta(description="When the person first came in.")]
    last_used: Annotated[int | None, Meta(description="When the person was last here, to an hour.")]
    last_address: Annotated[str | None, Meta(description="From where that was.")]


class PeopleList(msgspec.Struct, frozen=True):
    """The people of a project, by name."""

    people: Annotated[list[PersonItem], Meta(description="The people.")]


class MeReply(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who calls."""

    user_id: Annotated[str | None, Meta(description="The person's name; null where nobody is signed in.")]
    role: Annotated[PersonRole | None, Meta(description="What the person may do.")]
    ways: Annotated[list[WayIn], Meta(description="How one may come in here; `keyless`: without signing in.")]
    project: Annotated[str | None, Meta(description="Whose traces the person sees.")] = None


def decode(body: bytes, kind: type[T]) -> T:
    """Return a body as this type, and refuse what it doesn't know. Raises BadRequest or InvalidValue."""
    if len(body) > _MAX_BODY:
        raise InvalidValue(f"The body has more than {_MAX_BODY} bytes.")
    fields, found = decode_fields(body), dict[str, Any]()
    known = {field.name: field for field in msgspec.structs.fields(kind)}
    bad = [(name, "unknown field") for name in fields if name not in known][:50]
    bad += [(name, "is required") for name, field in known.items() if field.required and name not in fields]
    if bad:
        raise InvalidValue(f"{bad[0][0]}: {bad[0][1]}", details=bad)
    for name, raw in fields.items():
        found[name] = convert(bytes(raw), known[name].type, name)
    return kind(**found)


def named(text: str, field: str) -> str:
    """Return a person's name as it is stored. Raises InvalidValue."""
    if (found := person_id(text)) is None:
        raise InvalidValue(f"{field}: {_NAME}", details=[(field, _NAME)])
    return found
