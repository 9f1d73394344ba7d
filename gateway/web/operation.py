"""What the description of a route has: a line of operations.py, which openapi.py reads."""

from __future__ import annotations

from typing import Any

import msgspec

SSE = "text/event-stream"


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """`group`, `summary` and `description` are for people. `body`: any of these types.

    `query` and `headers`: names, described in PARAMETERS. `reply`: a type, or the name of a schema in schemas.py;
    None: of free form. `streamed`: it may also come as server-sent events. `empty`: why the reply may be a 204.
    `elsewhere`: to where the browser is sent on, in place of a reply.
    `provider`: a provider is asked, and may fail.
    """

    group: str
    summary: str
    description: str = ""
    body: tuple[Any, ...] = ()
    body_optional: bool = False
    query: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    reply: Any = None
    media: str = "application/json"
    streamed: bool = False
    empty: str = ""
    elsewhere: str = ""
    provider: bool = False
