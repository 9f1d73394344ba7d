"""How each family of routes writes an error: the one table of shapes.

A route names its wire; a path without a route belongs to the wire whose prefix it has. Sans-I/O; called by web/. What
an event or a WebSocket frame says of an error is native.py's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from gateway.errors import GatewayError
from gateway.wire import native, openai

JSON = b"application/json"
TEXT = b"text/plain; charset=utf-8"


class Wire(msgspec.Struct, frozen=True):
    """One family. `write` gives the HTTP status and the body of an error, of which the trace's ID may be part."""

    name: str
    write: Callable[[GatewayError, str | None], tuple[int, bytes]]
    content_type: bytes = JSON
    prefixes: tuple[str, ...] = ()


def _native(error: GatewayError, trace_id: str | None) -> tuple[int, bytes]:
    return error.status, msgspec.json.encode(native.error_fields(error, trace_id))


def _openai(error: GatewayError, trace_id: str | None) -> tuple[int, bytes]:
    return openai.error_status(error), msgspec.json.encode(openai.error_body(error))


def _ai_sdk(error: GatewayError, trace_id: str | None) -> tuple[int, bytes]:
    """Write the message alone: the AI SDK's clients show the body to people as it is."""
    return error.status, error.message.encode()


NATIVE = Wire("native", _native)
OPENAI = Wire("openai", _openai, prefixes=("/v1/", "/gateway/mlflow/v1/"))
AI_SDK = Wire("ai_sdk", _ai_sdk, TEXT, prefixes=("/api/chat",))


def wire_of(path: str, wires: Sequence[Wire] = (OPENAI, AI_SDK)) -> Wire:
    """Return the wire of a path that has no route, or whose route isn't known yet."""
    return next((wire for wire in wires if path.startswith(wire.prefixes)), NATIVE)
