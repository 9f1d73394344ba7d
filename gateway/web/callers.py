"""Who asks, as clients such as Open WebUI say it in headers of their own, which `[server] id_headers` names.

They are believed of secret keys alone: who has a publishable key, a feedback token or a ticket speaks for one rater,
and without a key anybody could name anybody. What the request says in the gateway's own words counts more.
"""

from __future__ import annotations

import msgspec

from gateway.domain.messages import ChatRequest
from gateway.web.request import Request
from gateway.wire.chat_body import header_options

_SECRET = ("chat", "review", "admin")


def identified(request: Request, asked: ChatRequest) -> ChatRequest:
    """Return the request with the IDs that its headers give and it has not. Raise InvalidValue for a bad one."""
    principal, names = request.principal, request.services.config.server.id_headers
    if principal.key_id is None or principal.role not in _SECRET or principal.way is not None:
        return asked
    found: dict[str, str] = {}
    for header, field in names.items():  # of several for one field the first that is there counts
        if field not in found and getattr(asked, field) is None:
            name = header.lower().encode()
            given = [(key, value) for key, value in request.raw_headers if key == name and value.strip()]
            found |= header_options(given, {name: field})
    return msgspec.structs.replace(asked, **found) if found else asked
