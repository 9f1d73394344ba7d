"""The description says what the code does: its tables, its types, its codes."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway import errors
from gateway.domain.events import Done, Event, Failed, ReasoningDelta, Started, TextDelta, ToolCallDelta
from gateway.domain.messages import Usage
from gateway.errors import GatewayError, InvalidValue
from gateway.web.error_codes import ERROR_CODES
from gateway.web.openapi import document
from gateway.web.operations import OPERATIONS, PARAMETERS
from gateway.web.people_operations import PEOPLE_OPERATIONS
from gateway.web.routes import ROUTES
from gateway.web.schemas import FIELDS
from gateway.web.trace_operations import TRACE_OPERATIONS
from gateway.wire import native
from gateway.wire.native_events import ErrorFrame, StreamEvent

GATEWAY = Path(errors.__file__).parent
OPENAPI = json.loads(document())
EVENTS = (
    Started("tr-1", "s", "m", "gw-ft-1"),
    TextDelta(b"Hel", 3),
    ReasoningDelta(b"hm", 2),
    ToolCallDelta(msgspec.Raw(b'{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}')),
    Done("tr-1", "stop", Usage(1, 2, 3), 4, 5, "gw-ft-1"),
    Done("tr-1", "stopped", None, None, 5, "gw-ft-1"),
    Failed("tr-1", "It failed.", "upstream_error", True),
)


def test_every_route_is_described() -> None:
    """And nothing that isn't one."""
    assert list(OPERATIONS | TRACE_OPERATIONS | PEOPLE_OPERATIONS) == [(route.method, route.path) for route in ROUTES]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_events_are_as_described(event: Event) -> None:
    """What the wire writes is what the type would: all of its fields, in their order."""
    written = native.event_json(event)
    assert msgspec.json.encode(msgspec.json.decode(written, type=StreamEvent)) == written


def test_error_frames_are_as_described() -> None:
    """The fields of a refusal, and the id that it answers."""
    error = InvalidValue("id: is required", details=[("id", "is required")])
    written = json.loads(native.error_frame(error, {"id": "c"}))
    assert msgspec.to_builtins(msgspec.convert(written, ErrorFrame)) == written


def test_error_codes_are_those_of_the_code() -> None:
    """Each with the status of the error that bears it."""
    statuses = {kind.__name__: kind.status for kind in vars(errors).values() if is_error(kind)}
    found = {kind.code: kind.status for kind in vars(errors).values() if is_error(kind)}
    for path in GATEWAY.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and (code := keyword(node, "code")) is not None:
                found[code] = statuses.get(getattr(node.func, "id", ""), 429)  # else a function of access/limits.py
    assert {code: status for code, (status, _) in ERROR_CODES.items()} == found


def is_error(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, GatewayError)


def keyword(call: ast.Call, name: str) -> str | None:
    """A keyword's value, where it is a string that is written out."""
    for each in call.keywords:
        if each.arg == name and isinstance(each.value, ast.Constant) and isinstance(each.value.value, str):
            return each.value.value
    return None


def test_everything_has_words() -> None:
    """Each route, parameter, reply, type and field is described, and no words are left over."""
    for item in OPENAPI["paths"].values():
        for operation in item.values():
            assert all(parameter["description"] for parameter in operation.get("parameters", ()))
            assert all(reply["description"] for reply in operation["responses"].values())
    fields = set()
    for name, schema in OPENAPI["components"]["schemas"].items():
        assert schema.get("description") or "enum" in schema, name
        for part in (schema, *schema.get("allOf", ())):
            fields |= set(part.get("properties", ()))
            assert all(value["description"] for value in part.get("properties", {}).values())
    assert set(FIELDS) - fields == set()
    named = {name for about in OPERATIONS.values() for name in (*about.query, *about.headers)}
    assert named == set(PARAMETERS)


def test_it_can_be_printed_without_a_server() -> None:
    """For whoever makes types of it."""
    printed = subprocess.run([sys.executable, "-m", "gateway.web.openapi"], capture_output=True, check=True)
    assert json.loads(printed.stdout) == OPENAPI
