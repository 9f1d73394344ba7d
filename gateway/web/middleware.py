"""The way of a request through the gateway: its Request is made, it finds its route, and errors become responses.

    uvicorn ─▶ CORS ─▶ RequestMiddleware ─┬─ direct routes, by (method, path) ─▶ handler(request), which sends
                                          └─ all others ─▶ Starlette's router ─▶ handler(request) ─▶ response

Every path, unknown ones too, asks for a key before it says whether it exists. Plain ASGI: Starlette's
BaseHTTPMiddleware would hide from streams that their client has left.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Iterable, Sequence

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.access.authenticator import with_bearer
from gateway.access.keys import UnknownKey
from gateway.errors import GatewayError
from gateway.web.request import Request, request_id_of
from gateway.web.route import Route
from gateway.web.types import Services
from gateway.wire.errors import Wire, wire_of

_log = logging.getLogger("gateway.web")


class RequestMiddleware:
    """Makes the Request of each HTTP request, serves direct routes, and turns every error into a response."""

    def __init__(self, app: ASGIApp, services: Services, routes: Iterable[Route], wires: Sequence[Wire]) -> None:
        self._app = app
        self._services = services
        self._direct = {(route.method, route.path): route for route in routes if route.direct}
        self._wires = wires

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive, send, self._services, request_id_of(scope["headers"]))
        self._services.metrics.opened("http")
        try:
            route = self._direct.get((scope["method"], scope["path"]))
            try:
                if route is not None:
                    await enter(request, route)
                else:
                    with request.in_scope():
                        await self._app(scope, receive, request.send)
            except UnknownKey as unknown:  # before anything else was done
                await self._services.stored_keys.learn(unknown)
                with request.in_scope():
                    await self._app(scope, receive, request.send)
        except ClientDisconnect:
            pass
        except GatewayError as error:
            await self._fail(request, error)
        except Exception:
            _log.exception("The request %s failed.", request.request_id)
            await self._fail(request, GatewayError("Something went wrong in the gateway."))
        finally:
            if request.counted:
                request.let_go()
            self._services.metrics.closed("http")

    async def _fail(self, request: Request, error: GatewayError) -> None:
        if request.trace_id is None:
            self._services.metrics.refused(error.status)
        if request.started:  # too late for a status: a broken connection says at least that it is not whole
            request.abort()
            return
        if request.wire is None:
            request.wire = wire_of(request.path, self._wires)
        await request.fail(error)


def enter(request: Request, route: Route) -> Awaitable[Response | None]:
    """Let the caller in, and return what its handler does. Raise Unauthorized, Forbidden or TooManyRequests."""
    request.wire = route.wire
    if route.basic:
        request.raw_headers = with_bearer(request.raw_headers)
    if route.roles:
        request.authenticate(route.roles)
    return route.handler(request)
