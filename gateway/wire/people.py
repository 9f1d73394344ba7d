"""People's wire: bodies that sign somebody in, and who is signed in. Sans-I/O; called by web/sign_in.py."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from gateway.domain.people import MAX_NAME, PersonRole, Way, person_id
from gateway.errors import InvalidValue
from gateway.wire.chat_body import convert, decode_fields

WayIn = Way | Literal["keyless"]
T = TypeVar("T", bound=msgspec.Struct)
_Secret = Annotated[str, Meta(min_length=1, max_length=1_000)]
_MAX_BODY = 100_000
_NAME = f"must be a name of 1 to {MAX_NAME} printable characters"


class KeySignIn(msgspec.Struct):
    """Body of POST /auth/key."""

    key: Annotated[_Secret, Meta(description="A secret key.")]
    name: Annotated[str | None, Meta(description="Who the person is; else the key's name.")] = None


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
