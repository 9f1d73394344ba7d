"""One line of the table of routes, and what handlers look like. The table itself is routes.py."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from starlette.responses import Response

from gateway.access.principal import Role
from gateway.web.request import Request
from gateway.wire.errors import NATIVE, Wire

# A response to send, or None where the handler has sent it itself, as streams and ratings do.
Handler = Callable[[Request], Awaitable[Response | None]]


class Route(msgspec.Struct, frozen=True):
    """`roles` empty: open to all, without a key. `wire` writes the errors.

    `direct`: looked up by method and path before Starlette's router comes to it, since each token's or rating's CPU
    counts. Its path has no parameters, and its handler sends the response itself.
    `basic`: a key may also come as the password of Basic credentials, of any user.
    """

    method: str
    path: str
    handler: Handler
    roles: tuple[Role, ...]
    wire: Wire = NATIVE
    direct: bool = False
    basic: bool = False
