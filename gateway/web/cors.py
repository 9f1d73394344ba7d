"""CORS: which pages may read replies, and what they may send. Plain ASGI, around everything else of the application.

A page of another origin gets no CORS header at all, which is how browsers are told no. Who may call is no question of
CORS, but of keys (access/).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.web.request import request_id_of
from gateway.web.types import Services

_METHODS = ("GET", "POST", "DELETE")
_HEADERS = (
    "authorization", "content-type", "last-event-id", "idempotency-key", "x-feedback-token", "x-user-assertion",
    "x-request-id", "x-session-id", "x-user-id", "x-client-request-id", "x-mlflow-return-trace-id", "traceparent",
    "tracestate",
    # What clients send of themselves, and nothing here reads. Firefox and Safari ask for the User-Agent that OpenAI's
    # client and the AI SDK set; the others are OpenAI's account, OpenRouter's, EventSource's, axios' and Sentry's.
    "user-agent", "openai-organization", "openai-project", "openai-beta", "http-referer", "x-title", "cache-control",
    "pragma", "x-requested-with", "sentry-trace", "baggage",
)  # fmt: skip
# X-Tag-NAME is the gateway's own; OpenAI's client sends x-stainless-… with each request, and Datadog's x-datadog-….
_FAMILIES = re.compile(r"x-(?:tag|stainless|datadog)-[a-z0-9!#$%&'*+.^_`|~-]{1,100}")
_EXPOSED = "X-Trace-Id, X-Request-Id, Retry-After"
_MAX_AGE_S = "600"


class CORS(CORSMiddleware):
    """Starlette's, but that the allowed origins may change while it runs, and header names have families."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        super().__init__(app)
        self._services = services

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:  # type: ignore[override]
        """Hand the request on. It is no coroutine function: each open stream would keep one more frame."""
        if scope["type"] == "http":
            for name, _ in scope["headers"]:
                if name == b"origin":
                    return super().__call__(scope, receive, send)
        return self.app(scope, receive, send)

    def is_allowed_origin(self, origin: str) -> bool:
        """Say whether the configuration names it, or a publishable key is bound to it."""
        return (
            origin in self._services.config.server.cors_origins or origin in self._services.authenticator.keys.origins
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer a browser that asks before it sends. It compares for itself what it wants with what is allowed."""
        response = Response(status_code=204, headers={"X-Request-Id": request_id_of(request_headers.raw)})
        if self.is_allowed_origin(origin := request_headers["origin"]):
            self.allow_explicit_origin(response.headers, origin)
            asked = request_headers.get("access-control-request-headers", "")[:4096].lower().split(",")
            allowed = [*_HEADERS, *filter(_FAMILIES.fullmatch, map(str.strip, asked))]
            response.headers["Access-Control-Allow-Methods"] = ", ".join(_METHODS)
            response.headers["Access-Control-Allow-Headers"] = ", ".join(allowed)
            response.headers["Access-Control-Max-Age"] = _MAX_AGE_S
        else:
            response.headers["Vary"] = "Origin"
        return response

    @staticmethod
    def allow_explicit_origin(headers: MutableHeaders, origin: str) -> None:
        """Let a page of that origin read the reply, and the headers that say which trace it was."""
        CORSMiddleware.allow_explicit_origin(headers, origin)
        headers["Access-Control-Expose-Headers"] = _EXPOSED
