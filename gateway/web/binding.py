"""Binds a table of endpoints that another package keeps to HTTP. app.py brings the two together.

Such endpoints know nothing of this package: they take values and return values. They are not in /openapi.json.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

from gateway.access.principal import Role
from gateway.web.request import Request
from gateway.web.responses import JSONResponse, Response
from gateway.web.route import Handler, Route
from gateway.wire.errors import Wire


class Endpoint(Protocol):
    """What a line of such a table has. Its handler returns a JSON value, or bytes of the type `media`.

    `open`: for everybody, without a key. `any_type`: the body needn't say that it is JSON.
    """

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def handler(self) -> Callable[[Any], Awaitable[Any]]: ...
    @property
    def open(self) -> bool: ...
    @property
    def media(self) -> str: ...
    @property
    def any_type(self) -> bool: ...
    @property
    def wire(self) -> Wire: ...


def bind(
    endpoints: Iterable[Endpoint], roles: tuple[Role, ...], take: Callable[[Request, bytes], Any]
) -> tuple[Route, ...]:
    """Return a route for each endpoint. `take` makes of a request and its body what the handlers take."""
    return tuple(
        Route(one.method, one.path, _handler(one, take), () if one.open else roles, one.wire) for one in endpoints
    )


def _handler(endpoint: Endpoint, take: Callable[[Request, bytes], Any]) -> Handler:
    async def handle(request: Request) -> Response:
        body = await request.body()
        if body and not endpoint.any_type:  # a web page can't send JSON, nor PUT, without a preflight request
            request.require_json()
        reply = await endpoint.handler(take(request, body))
        if isinstance(reply, bytes):
            return Response(reply, media_type=endpoint.media)
        return JSONResponse(reply)

    return handle
