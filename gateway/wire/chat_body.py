"""What every chat body has in common: strict JSON, fields checked by name, messages with known roles.

Shared by the native and the OpenAI codec.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, NoReturn

import msgspec
from msgspec import Meta

from gateway.domain.messages import Role
from gateway.domain.trace import preview
from gateway.errors import BadRequest, InvalidValue
from gateway.wire.encoder import Headers
from gateway.wire.json_safety import body_problem

Id = Annotated[str, Meta(min_length=1, max_length=250, description="Any string of 1 to 250 characters")]
Tags = Annotated[
    dict[Annotated[str, Meta(min_length=1, max_length=250)], Annotated[str, Meta(max_length=8000)]],
    Meta(max_length=50),
]

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
_AT = re.compile(r"(.*?)(?: - at (?:key in )?`\$(.*)`)?", re.DOTALL)


class Message(msgspec.Struct):
    """One message in OpenAI's form; fields beyond these go to the provider as they are."""

    role: Role
    content: str | list[Any] | None = None


_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_messages = msgspec.json.Decoder(list[Message])


def decode_fields(body: bytes) -> dict[str, msgspec.Raw]:
    """Return a JSON object, its values still raw. Raises BadRequest for what isn't JSON, else InvalidValue."""
    try:
        if not body.isascii():  # a tenth of the time
            body.decode()
    except UnicodeDecodeError:
        raise BadRequest("The body is not valid UTF-8.", code="not_json") from None
    try:
        fields = _fields(body)
    except msgspec.ValidationError:  # said at the first character, whatever follows
        _refuse(body, "The body must be a JSON object.")
    except (msgspec.DecodeError, RecursionError):
        _refuse(body)
    if problem := body_problem(body):
        raise InvalidValue(f"The body {problem}.")
    return fields


def _refuse(
    body: bytes, problem: str = "The body has text that is not valid Unicode (half of a surrogate pair)."
) -> NoReturn:
    """Raise BadRequest for what isn't JSON, else InvalidValue with the problem. (A lone surrogate is JSON.)"""
    try:
        json.loads(body.decode(), parse_constant=lambda _: 1 / 0)
    except (ValueError, ZeroDivisionError, RecursionError):
        raise BadRequest("The body is not JSON.", code="not_json") from None
    raise InvalidValue(problem)


def convert(raw: bytes, kind: Any, field: str = "") -> Any:
    """Return one value, decoded strictly. Raises InvalidValue, which names the field.

    `kind` is a type, or a decoder where it is used often, since msgspec makes one for each call with a type.
    """
    try:
        return kind.decode(raw) if isinstance(kind, msgspec.json.Decoder) else msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        match = _AT.fullmatch(str(error))
        problem, path = (match[1], match[2] or "") if match else (str(error), "")
        name = (field + path).lstrip(".") or "body"
        raise InvalidValue(f"{name}: {problem}", details=[(name, problem)]) from None
    except (msgspec.DecodeError, RecursionError):
        _refuse(raw)


def check_messages(raw: msgspec.Raw, *, may_be_empty: bool = True) -> str:
    """Check `messages` and return the preview of the last user message. Raises InvalidValue."""
    messages = convert(bytes(raw), _messages, "messages")
    if not messages:
        raise InvalidValue("messages: must not be empty", details=[("messages", "must not be empty")])
    for message in reversed(messages):
        if message.role == "user":
            if not message.content and not may_be_empty:
                raise InvalidValue("messages: the question is empty", details=[("messages", "the question is empty")])
            return preview(content_text(message.content))
    return preview(content_text(messages[-1].content))


def traceparent(headers: Headers) -> str | None:
    """Return a W3C `traceparent`, which is kept as a link. What isn't one is ignored, as the recommendation says."""
    for name, value in headers:
        if name == b"traceparent":
            text = value.decode("latin-1")
            return text if _TRACEPARENT.fullmatch(text) else None
    return None


def content_text(content: str | list[Any] | None) -> str:
    """Return the text of a message's content."""
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, dict)]
        return "\n".join(text for text in texts if isinstance(text, str))
    return content or ""


def header_options(headers: Headers, names: Mapping[bytes, str]) -> dict[str, str]:
    """Return the options that headers give, by field name, and `X-Tag-NAME` as `tag:NAME`. Values are UTF-8."""
    found: dict[str, str] = {}
    for name, value in headers:
        field = names.get(name) or (f"tag:{name[6:].decode('latin-1')}" if name.startswith(b"x-tag-") else None)
        if field is None:
            continue
        try:
            found[field] = value.decode()
        except UnicodeDecodeError:
            found[field] = value.decode("latin-1")
        shown = name.decode("latin-1")
        if not 1 <= len(found[field]) <= 250 and not field.startswith("tag:"):
            raise InvalidValue(
                f"{shown}: must be 1 to 250 characters", details=[(shown, "must be 1 to 250 characters")]
            )
    return found
