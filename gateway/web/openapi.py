"""/openapi.json, made from the table of routes and the types that decode the bodies."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from gateway import __version__
from gateway.web.operations import OPERATIONS, Operation
from gateway.web.route import Route
from gateway.web.routes import ROUTES
from gateway.wire.errors import AI_SDK, OPENAI

_PARAM = re.compile(r"{(\w+)}")
_ERROR = {
    "type": "object",
    "required": ["error", "code"],
    "properties": {
        "error": {"type": "string"},
        "code": {"type": "string"},
        "trace_id": {"type": "string"},
        "details": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "problem"],
                "properties": {"field": {"type": "string"}, "problem": {"type": "string"}},
            },
        },
    },
}
_OPENAI_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "object", "required": ["message", "type", "code", "param"]}},
}


def document() -> bytes:
    """Return the description of ROUTES as OpenAPI 3.1, in JSON."""
    pairs = [(route, OPERATIONS[route.method, route.path]) for route in ROUTES]
    types = [kind for _, about in pairs for kind in (*about.body, about.reply) if kind is not None]
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    found = iter(schemas)
    paths: dict[str, dict[str, Any]] = {}
    for route, about in pairs:
        bodies = [next(found) for _ in about.body]
        body = {"anyOf": bodies} if len(bodies) > 1 else bodies[0] if bodies else None
        reply = next(found) if about.reply is not None else None
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, about, body, reply)
    whole = {
        "openapi": "3.1.0",
        "info": {"title": "Feedback Gateway", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": {**components, "Error": _ERROR, "OpenAIError": _OPENAI_ERROR},
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer"},
                "feedbackToken": {"type": "apiKey", "in": "header", "name": "X-Feedback-Token"},
            },
        },
    }
    return msgspec.json.encode(whole)


def _operation(route: Route, about: Operation, body: Any, reply: Any) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAM.findall(route.path)
    ]
    parameters += [
        {"name": name, "in": "query", "description": text, "schema": {"type": "string"}}
        for name, text in about.query.items()
    ]
    error = "OpenAIError" if route.wire is OPENAI else "Error"
    refused: dict[str, Any] = {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{error}"}}}}
    if route.wire is AI_SDK:
        refused = {"content": {"text/plain": {"schema": {"type": "string"}}}}
    statuses = [*about.errors, *((401, 403, 429) if route.roles else ())]
    responses: dict[str, Any] = {
        "200": {"description": "Success", "content": {about.media: {"schema": reply or {}}}},
        **{str(status): {"description": "Refused", **refused} for status in sorted(statuses)},
    }
    if route.path in ("/chat/stream/{trace_id}", "/api/chat/{session_id}/stream") and route.method == "GET":
        responses["204"] = {"description": "Nothing to resume"}
    operation: dict[str, Any] = {"summary": about.summary, "responses": responses}
    if parameters:
        operation["parameters"] = parameters
    if body is not None or route.method == "POST":
        operation["requestBody"] = {
            "required": body is not None and not about.bodiless,
            "content": {"application/json": {"schema": body or {"type": "object"}}},
        }
    security: list[dict[str, list[str]]] = [{"key": []}] if route.roles else []
    if "token" in route.roles:
        security.append({"feedbackToken": []})
    return operation | ({"security": security} if security else {})
