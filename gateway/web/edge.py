"""The outermost ASGI application: request IDs, CORS, keys, routing, and the one place where errors become responses.

Every path, unknown ones too, asks for a key before it says whether it exists.
"""

from __future__ import annotations

import logging
import re

from gateway.access.principal import require
from gateway.domain import ids
from gateway.errors import GatewayError, MethodNotAllowed, NotFound
from gateway.web.mlflow import MLFLOW_ROUTES
from gateway.web.request import ClientGone, Request
from gateway.web.routes import ROUTES, Route
from gateway.web.socket import Socket
from gateway.web.types import RawHeaders, Receive, Scope, Send, Services

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
_ALLOWED_HEADERS = (
    "authorization, content-type, last-event-id, idempotency-key, x-feedback-token, x-user-assertion, x-request-id, "
    "x-session-id, x-user-id, x-client-request-id, x-mlflow-return-trace-id, traceparent, tracestate"
)
# X-Tag-NAME is the gateway's own; OpenAI's JavaScript client sends x-stainless-… with each request.
_ALLOWED_FAMILY = re.compile(r"x-(?:tag|stainless)-[a-z0-9!#$%&'*+.^_`|~-]{1,100}")
_log = logging.getLogger("gateway.edge")


class Edge:
    """Made by app.py. `sockets` are the open ones, for the drain."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.sockets: set[Socket] = set()
        self._routes: dict[tuple[str, str], Route] = {}
        self._patterns: list[tuple[re.Pattern[str], Route]] = []
        self._paths: dict[str, list[str]] = {}
        for route in (*ROUTES, *MLFLOW_ROUTES):
            self._paths.setdefault(route.path, []).append(route.method)
            if "{" in route.path:
                self._patterns.append((_pattern(route.path), route))
            else:
                self._routes[route.method, route.path] = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = _request_id(scope["headers"])
        if scope["type"] == "websocket":
            if scope["path"] == "/chat/ws":
                self._services.metrics.opened("websocket")
                try:
                    await Socket(scope, receive, send, self._services, request_id).serve(self.sockets)
                finally:
                    self._services.metrics.closed("websocket")
            else:
                await receive()
                await send({"type": "websocket.accept"})
                await send({"type": "websocket.close", "code": 1008, "reason": "There is no such path."})
            return
        request = Request(scope, receive, send, self._services, request_id)
        self._services.metrics.opened("http")
        try:
            await self._handle(request)
        except ClientGone:
            pass
        except GatewayError as error:
            await self._refuse(request, error)
        except Exception:
            _log.exception("request %s failed", request_id)
            await self._refuse(request, GatewayError("Something went wrong in the gateway."))
        finally:
            self._services.metrics.closed("http")

    async def _handle(self, request: Request) -> None:
        method = request.scope["method"]
        request.extra_headers = self._cors(request)
        if method == "OPTIONS" and request.header(b"access-control-request-method"):
            await request.no_content()
            return
        route = self._find(request, "GET" if method == "HEAD" else method)
        if route is None or route.roles:
            services = self._services
            request.address = services.limits.arrive(request.raw_headers, request.client_host)
            request.principal = services.authenticator.authenticate(
                request.raw_headers, request.client_host, route.roles if route else ()
            )
            # Whoever rates by a token has a limit by address: a key's is for its own requests.
            key_id = None if request.principal.token else request.principal.key_id
            services.limits.request(key_id, request.address, request.principal.requests_per_minute)
            if route is not None:
                require(request.principal, *route.roles)
        if route is None:
            raise self._unknown(request)
        await route.handler(request)

    def _find(self, request: Request, method: str) -> Route | None:
        route = self._routes.get((method, request.path))
        if route is not None:
            return route
        for pattern, route in self._patterns:
            if route.method == method and (found := pattern.fullmatch(request.path)):
                request.scope["path_params"] = found.groupdict()
                return route
        return None

    def _unknown(self, request: Request) -> GatewayError:
        methods = list(self._paths.get(request.path, ()))
        methods += [route.method for pattern, route in self._patterns if pattern.fullmatch(request.path)]
        if methods:
            names = sorted(set(methods))
            request.extra_headers.append((b"allow", ", ".join(names).encode()))
            return MethodNotAllowed(f"Here is only {' and '.join(names)}.")
        return NotFound("There is no such path.", code="unknown_path")

    def _cors(self, request: Request) -> RawHeaders:
        """Headers for a page of an allowed origin; none for others, which is how browsers are told no."""
        origin = request.header(b"origin")
        if origin is None:
            return []
        headers: RawHeaders = [(b"vary", b"Origin")]
        if origin in self._services.config.server.cors_origins or origin in self._services.authenticator.keys.origins:
            headers += [
                (b"access-control-allow-origin", origin.encode("latin-1")),
                (b"access-control-expose-headers", b"X-Trace-Id, X-Request-Id, Retry-After"),
            ]
            if request.scope["method"] == "OPTIONS":
                headers += [
                    (b"access-control-allow-methods", b"GET, POST, DELETE"),
                    (b"access-control-allow-headers", _allowed(request.header(b"access-control-request-headers"))),
                    (b"access-control-max-age", b"600"),
                ]
        return headers

    async def _refuse(self, request: Request, error: GatewayError) -> None:
        if request.trace_id is None:
            self._services.metrics.refused(error.status)
        if request.started:  # too late for a status: a broken connection says at least that it is not whole
            request.abort()
            return
        await request.fail(error)


def _pattern(path: str) -> re.Pattern[str]:
    """A parameter is one piece of the path, but any string may name a session or a user, slashes and line ends too."""
    kinds = {"session_id": ".+", "user_id": ".+"}
    return re.compile(re.sub(r"{(\w+)}", lambda m: f"(?P<{m[1]}>{kinds.get(m[1], '[^/]+')})", path), re.DOTALL)


def _allowed(asked: str | None) -> bytes:
    """The headers that a page may send: a fixed list, and those of a family that it asks for."""
    names = (name.strip().lower() for name in (asked or "")[:4096].split(","))
    return ", ".join([_ALLOWED_HEADERS, *filter(_ALLOWED_FAMILY.fullmatch, names)]).encode("latin-1")


def _request_id(headers: RawHeaders) -> str:
    """The caller's own, where it is a plain word; else a new one."""
    for name, value in headers:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(given := value.decode("latin-1")):
            return given
    return ids.new_request_id()
