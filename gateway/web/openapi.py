"""/openapi.json, made from the table of routes, their description (operations.py) and the types they decode and encode.

`python -m gateway.web.openapi` prints it without a server: the front end makes its types of it.
"""

from __future__ import annotations

import re
import sys
from typing import Any

import msgspec

from gateway import __version__
from gateway.access.people import COOKIE
from gateway.access.principal import Role
from gateway.web.operation import SSE, Operation
from gateway.web.operations import OPERATIONS, PARAMETERS, UNDESCRIBED
from gateway.web.people_operations import PEOPLE_OPERATIONS, PEOPLE_PARAMETERS
from gateway.web.route import Route
from gateway.web.routes import ROUTES
from gateway.web.schemas import FIELDS, SCHEMAS, TYPES
from gateway.web.trace_operations import TRACE_OPERATIONS, TRACE_PARAMETERS
from gateway.wire.errors import AI_SDK, OPENAI

DESCRIBED = OPERATIONS | TRACE_OPERATIONS | PEOPLE_OPERATIONS
_PARAMETERS = PARAMETERS | TRACE_PARAMETERS | PEOPLE_PARAMETERS
_PARAMETER = re.compile(r"{(\w+)}")
_PATH = {
    "trace_id": "The trace's ID: `tr-` and 32 hex digits.",
    "session_id": "The session's ID: any string, percent-encoded.",
    "user_id": "The user's ID: any string, percent-encoded.",
    "model_id": "The model's name: slashes may be written as they are.",
    "span_id": "The span's ID: 16 hex digits.",
    "name": "The file's name.",
}
_STATUS = {
    400: "The body isn't JSON.",
    401: "There is no key, or a bad one.",
    403: "The credential isn't for this.",
    404: "There is no such thing in this project.",
    408: "The body took too long.",
    413: "The body is too large.",
    415: "The body must be sent as `application/json`.",
    422: "A value can't be taken.",
    429: "There were too many requests: see `Retry-After`.",
    502: "The provider failed.",
    503: "The store can't take it, or the server is busy or shutting down: see `Retry-After`.",
    504: "The provider took too long.",
}
_ABOUT = """Streams the answers of language models, traces every one of them, and takes what users think of them.

Every response has `X-Request-Id`, and every response of a chat that got a trace has `X-Trace-Id`. Times are
milliseconds UTC. docs/api.md has an example of each route, event, frame and error."""


def document() -> bytes:
    """Return the description of ROUTES as OpenAPI 3.1, in JSON."""
    pairs = [(route, DESCRIBED.get((route.method, route.path), UNDESCRIBED)) for route in ROUTES]
    types = [kind for _, about in pairs for kind in (*about.body, about.reply) if kind and not isinstance(kind, str)]
    schemas, components = msgspec.json.schema_components([*types, *TYPES], ref_template="#/components/schemas/{name}")
    found = dict(zip(types, schemas, strict=False))
    paths: dict[str, dict[str, Any]] = {}
    for route, about in pairs:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, about, found)
    components = dict(sorted({**components, **SCHEMAS}.items()))
    for schema in components.values():
        _describe(schema)
    whole = {
        "openapi": "3.1.0",
        "info": {"title": "Feedback Gateway", "version": __version__, "description": _ABOUT},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "A key that `gateway keys create` made."},
                "feedbackToken": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-Feedback-Token",
                    "description": "The token that came with an answer: it opens that trace, as that rater.",
                },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": COOKIE,
                    "description": "The cookie of who signed in, on pages of this gateway's own address.",
                },
            },
        },
    }
    return msgspec.json.encode(whole)


def _operation(route: Route, about: Operation, found: dict[Any, Any]) -> dict[str, Any]:
    places = [("path", name, _PATH.get(name, "A part of the path.")) for name in _PARAMETER.findall(route.path)]
    places += [("query", name, _PARAMETERS[name]) for name in about.query]
    places += [("header", name, _PARAMETERS[name]) for name in about.headers]
    operation: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", f"{route.method.lower()}{route.path}").strip("_"),
        "tags": [about.group],
        "summary": about.summary,
        "responses": _responses(route, about, found),
    }
    if about.description:
        operation["description"] = about.description
    if places:
        operation["parameters"] = [
            {"name": name, "in": place, "description": text, "schema": {"type": "string"}}
            | ({"required": True} if place == "path" else {})
            for place, name, text in places
        ]
    if about.body:
        bodies = [found[kind] for kind in about.body]
        operation["requestBody"] = {
            "required": not about.body_optional,
            "content": {"application/json": {"schema": {"anyOf": bodies} if len(bodies) > 1 else bodies[0]}},
        }
    if route.roles:
        operation["security"] = _security(route.roles)
    return operation


def _responses(route: Route, about: Operation, found: dict[Any, Any]) -> dict[str, Any]:
    reply = {"$ref": f"#/components/schemas/{about.reply}"} if isinstance(about.reply, str) else found.get(about.reply)
    content: dict[str, Any] = {"schema": reply or {}}
    if about.media == SSE:  # OpenAPI 3.1 has no word for the schema of one event's data
        content = {"schema": {}} | ({"x-event-data": reply} if reply else {})
    responses: dict[str, Any] = {"200": {"description": "Success", "content": {about.media: content}}}
    if about.elsewhere:
        responses = {"302": {"description": about.elsewhere}}
    if about.empty and about.reply is None and about.media != SSE:  # there is nothing else to say
        responses = {}
    if about.streamed:
        responses["200"]["content"][SSE] = {"schema": {}}
    if about.empty:
        responses["204"] = {"description": about.empty}
    refused: dict[str, Any] = {"text/plain": {"schema": {"type": "string"}}}
    if route.wire is not AI_SDK:
        name = "OpenAIError" if route.wire is OPENAI else "Error"
        refused = {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}
    for status in _errors(route, about):
        responses[str(status)] = {"description": _STATUS[status], "content": refused}
    return responses


def _errors(route: Route, about: Operation) -> list[int]:
    """Return the statuses of the errors that a route may answer, as its roles, parameters and body have it."""
    statuses: set[int] = set()
    if route.roles:
        statuses |= {401, 403, 429, 503}
    if route.path.startswith("/auth/"):
        statuses |= {401, 403, 429, 503}
    if about.body:
        statuses |= {400, 404, 408, 413, 415, 422}
    if about.query or "{" in route.path:
        statuses |= {404, 422}
    if about.provider:
        statuses |= {502, 504}
    if route.path == "/readyz":
        statuses.add(503)
    return sorted(statuses)


def _security(roles: tuple[Role, ...]) -> list[dict[str, list[str]]]:
    return [{name: []} for name in ("key", *(["feedbackToken"] if "token" in roles else []), "session")]


def _describe(schema: dict[str, Any]) -> None:
    """Give each property that has no description the words of FIELDS, here and in the schema's parts."""
    for name, value in schema.get("properties", {}).items():
        if "description" not in value:
            value["description"] = FIELDS[name]
    for part in schema.get("allOf", ()):
        _describe(part)


if __name__ == "__main__":
    sys.stdout.buffer.write(document() + b"\n")
