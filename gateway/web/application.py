"""The ASGI application: Starlette, with this gateway's routes, middleware and WebSocket. Made by app.py.

The way of a request is drawn in middleware.py; the table of routes is routes.py; what serves sockets is socket.py.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Sequence

import starlette.requests
from starlette.applications import Starlette
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.responses import Response
from starlette.routing import Match, WebSocketRoute
from starlette.routing import Route as StarletteRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from gateway.errors import MethodNotAllowed, NotFound
from gateway.web.cors import CORS
from gateway.web.middleware import RequestMiddleware, enter
from gateway.web.request import Request, request_id_of
from gateway.web.route import Route
from gateway.web.socket import Socket
from gateway.web.types import Services
from gateway.web.unserved import is_openai, unserved
from gateway.wire.errors import AI_SDK, OPENAI, Wire, wire_of


class Application(Starlette):
    """`sockets` are the open ones, for the drain."""

    def __init__(self, services: Services, routes: Sequence[Route], wires: Sequence[Wire] = (OPENAI, AI_SDK)) -> None:
        self.sockets: set[Socket] = set()
        # A path that is written out goes before one with parameters that would match it too.
        by_specificity = sorted(routes, key=lambda route: "{" in route.path)
        super().__init__(
            routes=[
                *map(_TableRoute, by_specificity),
                WebSocketRoute("/chat/ws", _SocketEndpoint(services, self.sockets)),
                WebSocketRoute("/{path:path}", _unknown_socket),
            ],
            exception_handlers={404: self._unknown_path, 405: self._other_method},
        )
        self.router.redirect_slashes = False
        self._services, self._routes, self._wires = services, routes, wires

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:  # type: ignore[override]
        """Serve a request. It is no coroutine function: each open stream would keep one more frame."""
        scope["app"] = self
        if self.middleware_stack is None:
            self.middleware_stack = self.build_middleware_stack()
        return self.middleware_stack(scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        """Return Starlette's stack, but that RequestMiddleware answers every error: ServerErrorMiddleware would be one
        more call for each message of a stream."""
        app = ExceptionMiddleware(self.router, handlers=self.exception_handlers)
        return CORS(RequestMiddleware(app, self._services, self._routes, self._wires), self._services)

    def wire_of(self, path: str) -> Wire:
        """Return the wire that writes the error of a request which reaches no route."""
        return wire_of(path, self._wires)

    async def _unknown_path(self, request: starlette.requests.Request, error: Exception) -> Response:
        ours = Request.of(request.scope)
        if is_openai(ours.path):
            ours.wire = OPENAI
        ours.authenticate(None)
        raise NotFound(unserved(request.method, ours.path), code="unknown_path")

    async def _other_method(self, request: starlette.requests.Request, error: Exception) -> Response:
        """Answer a request whose path has routes, but none of this method."""
        found = [route.route for route in self.routes if isinstance(route, _TableRoute) and route.fits(request.scope)]
        ours = Request.of(request.scope)
        ours.wire = found[0].wire
        ours.authenticate(None)
        methods = sorted({route.method for route in found})
        ours.extra_headers.append((b"allow", ", ".join(methods).encode()))
        raise MethodNotAllowed(f"This path takes only {' and '.join(methods)}.")


class _TableRoute(StarletteRoute):
    """One line of the table. It matches the whole path, to its last character."""

    def __init__(self, route: Route) -> None:
        super().__init__(route.path, _Endpoint(route), methods=[route.method])
        self.route = route
        self.path_regex = _pattern(route.path)

    def fits(self, scope: Scope) -> bool:
        """Say whether the path is this route's, whatever the method."""
        return self.matches(scope)[0] is not Match.NONE


class _Endpoint:
    """A route's handler as an ASGI application."""

    def __init__(self, route: Route) -> None:
        self._route = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request.of(scope)
        response = await enter(request, self._route)
        if response is not None:
            await response(scope, receive, request.send)


class _SocketEndpoint:
    """WS /chat/ws as an ASGI application."""

    def __init__(self, services: Services, sockets: set[Socket]) -> None:
        self._services, self._sockets = services, sockets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._services.metrics.opened("websocket")
        try:
            socket = Socket(scope, receive, send, self._services, request_id_of(scope["headers"]))
            await socket.serve(self._sockets)
        finally:
            self._services.metrics.closed("websocket")


async def _unknown_socket(socket: WebSocket) -> None:
    """Accept and close: a browser sees a refusal before that as 1006."""
    await socket.accept()
    await socket.close(1008, "There is no such path.")


def _pattern(path: str) -> re.Pattern[str]:
    """Compile a route's path. A parameter is one segment, but IDs of sessions, users and models may have slashes."""
    kinds = {"session_id": ".+", "user_id": ".+", "model_id": ".+"}
    pattern = re.sub(r"{(\w+)}", lambda m: f"(?P<{m[1]}>{kinds.get(m[1], '[^/]+')})", path)
    return re.compile(rf"{pattern}\Z", re.DOTALL)
