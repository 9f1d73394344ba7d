"""What a span holds, as GET /traces/{id}/spans/{span_id} shows it: inputs, outputs, attributes and events.

A field that is long is cut, but keeps its form: strings, lists and objects end where the room does. Called by web/, in
a thread, since a whole one may have many megabytes. It does no I/O.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.domain.names import SPAN_INPUTS, SPAN_OUTPUTS
from gateway.wire.traces import SpanItem

FIELD_BYTES = 65_536  # that one field has at most, unless all is asked for
_MAX_DEPTH = 100  # of a value that is cut


class SpanReply(msgspec.Struct, frozen=True, kw_only=True):
    """A span with what it holds. `cut` names the fields of which the end is missing: `full=1` gives all."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    type: str
    start: int
    end: int
    status: str
    message: str | None
    inputs: Any
    outputs: Any
    attributes: dict[str, Any]
    events: list[Any]
    cut: list[str]


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """The texts that hold it, JSON: of a client's span in `otlp`, of a chat's in the others."""

    message: str | None
    attributes: str
    otlp: str | None
    request: str | None
    response: str | None


def write_span(trace_id: str, span: SpanItem, content: Content, *, full: bool) -> bytes:
    """Return the JSON of a SpanReply. `full`: no field is cut."""
    inputs, outputs, attributes, events = _of_client(content.otlp) if content.otlp else _of_chat(content)
    cut: list[str] = []

    def short(name: str, value: Any) -> Any:
        if full:
            return value
        kept, left = _cut(value, FIELD_BYTES, 0)
        if left < 0:
            cut.append(name)
        return kept

    attributes = {key: short(f"attributes.{key}", value) for key, value in attributes.items()}
    whole = SpanReply(
        trace_id=trace_id,
        span_id=span.span_id,
        parent_id=span.parent_id,
        name=span.name,
        type=span.type,
        start=span.start,
        end=span.end,
        status=span.status,
        message=short("message", content.message),
        inputs=short("inputs", inputs),
        outputs=short("outputs", outputs),
        attributes=attributes,
        events=short("events", events),
        cut=sorted(cut),
    )
    return msgspec.json.encode(whole)


def _of_chat(content: Content) -> tuple[Any, Any, dict[str, Any], list[Any]]:
    inputs = None if content.request is None else {"messages": msgspec.json.decode(content.request)}
    outputs = None
    if content.response is not None:
        messages = msgspec.json.decode(content.response)
        outputs = {"choices": [{"index": at, "message": message} for at, message in enumerate(messages)]}
    return inputs, outputs, msgspec.json.decode(content.attributes), []


def _of_client(otlp: str) -> tuple[Any, Any, dict[str, Any], list[Any]]:
    span = msgspec.json.decode(otlp)
    values = _pairs(span.get("attributes", []))
    events = [
        {
            "name": event.get("name"),
            "time": int(event.get("time_unix_nano", 0)) // 1_000_000,
            "attributes": _pairs(event.get("attributes", [])),
        }
        for event in span.get("events", [])
    ]
    return values.pop(SPAN_INPUTS, None), values.pop(SPAN_OUTPUTS, None), values, events


def _pairs(given: list[Any]) -> dict[str, Any]:
    return {pair["key"]: _unwrapped(_plain(pair.get("value", {}))) for pair in given}


def _plain(value: dict[str, Any]) -> Any:
    """Return the value that protobuf's JSON of an attribute holds."""
    for kind, given in value.items():
        if kind == "array_value":
            return [_plain(each) for each in given.get("values", [])]
        if kind == "kvlist_value":
            return {pair["key"]: _plain(pair.get("value", {})) for pair in given.get("values", [])}
        return int(given) if kind == "int_value" else given
    return None


def _unwrapped(value: Any) -> Any:
    """Return what a text holds as JSON, as exporters wrap values once more; else the value itself."""
    if isinstance(value, str) and value[:1] in ('"', "{", "["):
        try:
            return msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError):
            return value
    return value


def _cut(value: Any, room: int, depth: int) -> tuple[Any, int]:
    """Return as much of a value as there is room for, and the room that is left: below 0 where something was cut."""
    if isinstance(value, str):
        size = len(value) if len(value) > room else len(value.encode())
        if size <= room:
            return value, room - size
        return value[:room].encode()[: max(0, room)].decode(errors="ignore"), -1
    if isinstance(value, dict | list) and depth > _MAX_DEPTH:
        return None, -1
    if isinstance(value, list):
        items = []
        for each in value:
            kept, room = _cut(each, room - 2, depth + 1)
            items.append(kept)
            if room < 0:
                break
        return items, room
    if isinstance(value, dict):
        pairs: dict[str, Any] = {}
        for key, each in value.items():
            pairs[key], room = _cut(each, room - len(key) - 4, depth + 1)
            if room < 0:
                break
        return pairs, room
    return value, room - 8
