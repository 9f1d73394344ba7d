"""/openapi.json, made from the table of routes and the types that decode the bodies."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from gateway import __version__
from gateway.web.routes import Route

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


def document(routes: Iterable[Route]) -> bytes:
    """OpenAPI 3.1, as JSON."""
    routes = list(routes)
    types = [kind for route in routes for kind in (*route.body, route.reply) if kind is not None]
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    found = iter(schemas)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        bodies = [next(found) for _ in route.body]
        body = {"anyOf": bodies} if len(bodies) > 1 else bodies[0] if bodies else None
        reply = next(found) if route.reply is not None else None
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, body, reply)
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


def _operation(route: Route, body: Any, reply: Any) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAM.findall(route.path)
    ]
    parameters += [
        {"name": name, "in": "query", "description": text, "schema": {"type": "string"}}
        for name, text in route.query.items()
    ]
    error = "OpenAIError" if route.path.startswith("/v1/") else "Error"
    refused: dict[str, Any] = {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{error}"}}}}
    if route.path.startswith("/api/chat"):
        refused = {"content": {"text/plain": {"schema": {"type": "string"}}}}
    statuses = [*route.errors, *((401, 403, 429) if route.roles else ())]
    responses: dict[str, Any] = {
        "200": {"description": "Success", "content": {route.media: {"schema": reply or {}}}},
        **{str(status): {"description": "Refused", **refused} for status in sorted(statuses)},
    }
    if route.path in ("/chat/stream/{trace_id}", "/api/chat/{session_id}/stream") and route.method == "GET":
        responses["204"] = {"description": "Nothing to resume"}
    operation: dict[str, Any] = {"summary": route.summary, "responses": responses}
    if parameters:
        operation["parameters"] = parameters
    if body is not None or route.method == "POST":
        operation["requestBody"] = {
            "required": body is not None and not route.bodiless,
            "content": {"application/json": {"schema": body or {"type": "object"}}},
        }
    security: list[dict[str, list[str]]] = [{"key": []}] if route.roles else []
    if "token" in route.roles:
        security.append({"feedbackToken": []})
    return operation | ({"security": security} if security else {})
