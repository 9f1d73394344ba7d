"""Take an OTLP export apart, span by span, before anything of it is decoded. No I/O; called by otlp.py.

Two bytes of protobuf can be a value, and a value takes a hundred bytes once it is an object. So spans and values are
counted first, where they lie, and each span is then decoded by itself: what is never decoded costs nothing, and no call
into a library takes long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import msgspec

from gateway.errors import BadRequest, ContentTooLarge
from gateway.mlflow.wire.checks import invalid
from gateway.wire.json_safety import body_problem

MAX_SPANS = 10_000
MAX_VALUES = 200_000  # of attributes, those within lists and maps too, with events and links
MAX_SPAN_BYTES = 4_000_000
_MAX_FIELDS = 1_000_000  # of protobuf that are looked at
_MAX_JSON_VALUES = 1_500_000  # an attribute has four to five of JSON's values
_MAX_LEVEL = 100  # protobuf's own bound
_TWO_KINDS = {1: 8, 5: 4}  # bytes of fields with a fixed size, by their wire type

# The messages that values are in: the field's number, and the message in it.
_Shape: TypeAlias = dict[int, "_Shape"]
_VALUE: _Shape = {}
_PAIR: _Shape = {2: _VALUE}
_VALUE |= {5: {1: _VALUE}, 6: {1: _PAIR}}
_EVENT: _Shape = {3: _PAIR}
_LINK: _Shape = {4: _PAIR}
_SPAN: _Shape = {9: _PAIR, 11: _EVENT, 13: _LINK}
_EXPORT_PATH = (1, 2, 2)  # resource spans, scope spans, spans


class _Scope(msgspec.Struct):
    spans: list[msgspec.Raw] | None = None


class _Resource(msgspec.Struct, rename="camel"):
    scope_spans: list[_Scope] | None = None


class _Export(msgspec.Struct, rename="camel"):
    resource_spans: list[_Resource] | None = None


def split_json(body: bytes) -> list[bytes]:
    """Return the JSON of each span. Raise BadRequest, InvalidValue and ContentTooLarge."""
    if problem := body_problem(body, _MAX_JSON_VALUES):
        invalid(f"The body {problem}.")
    try:
        export = msgspec.json.decode(body, type=_Export)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise no_export() from None
    spans = [
        bytes(span)
        for resource in export.resource_spans or ()
        for scope in resource.scope_spans or ()
        for span in scope.spans or ()
    ]
    return _checked(spans)


def split_protobuf(body: bytes, pace: Callable[[], None] = lambda: None) -> list[bytes]:
    """Return the bytes of each span. Raise BadRequest and ContentTooLarge. `pace` is called again and again."""
    counts = _Counts(pace)
    spans: list[bytes] = []
    try:
        for begin, end in _inner(body, 0, len(body), _EXPORT_PATH, counts):
            if len(spans) == MAX_SPANS:
                raise _too_many_spans()
            counts.look(body, begin, end, _SPAN, 0)
            spans.append(body[begin:end])
    except IndexError:
        raise no_export() from None
    return _checked(spans)


def no_export() -> BadRequest:
    """Return the error for what isn't an export."""
    return BadRequest("Invalid OpenTelemetry format")


def _checked(spans: list[bytes]) -> list[bytes]:
    if not spans:
        raise BadRequest("Invalid OpenTelemetry format - no spans found")
    if len(spans) > MAX_SPANS:
        raise _too_many_spans()
    if any(len(span) > MAX_SPAN_BYTES for span in spans):
        raise ContentTooLarge(f"A span has at most {MAX_SPAN_BYTES:,} bytes.")
    return spans


def _too_many_spans() -> ContentTooLarge:
    return ContentTooLarge(f"A request has at most {MAX_SPANS:,} spans.")


class _Counts:
    """How many values and fields an export may still have."""

    def __init__(self, pace: Callable[[], None]) -> None:
        self.values, self.fields, self.pace = MAX_VALUES, _MAX_FIELDS, pace

    def look(self, data: bytes, begin: int, end: int, shape: _Shape, level: int) -> None:
        """Count what is in a message. Raise ContentTooLarge, BadRequest for what is nested too deep, or IndexError."""
        if level > _MAX_LEVEL:
            raise no_export()
        if shape is _VALUE or shape is _EVENT or shape is _LINK:
            self.values -= 1
            if self.values < 0:
                raise ContentTooLarge(f"A request has at most {MAX_VALUES:,} values of attributes.")
        for number, inner, until in _fields(data, begin, end, self):
            if number in shape:
                self.look(data, inner, until, shape[number], level + 1)


def _inner(data: bytes, begin: int, end: int, path: tuple[int, ...], counts: _Counts) -> Iterator[tuple[int, int]]:
    """Yield where the messages are that lie at the end of a path of field numbers."""
    for number, inner, until in _fields(data, begin, end, counts):
        if number == path[0]:
            if len(path) == 1:
                yield inner, until
            else:
                yield from _inner(data, inner, until, path[1:], counts)


def _fields(data: bytes, at: int, end: int, counts: _Counts) -> Iterator[tuple[int, int, int]]:
    """Yield number, begin and end of each field that has a length. Raise IndexError where the message ends too soon."""
    while at < end:
        counts.fields -= 1
        if counts.fields < 0:
            raise ContentTooLarge(f"A request has at most {_MAX_FIELDS:,} fields.")
        if not counts.fields & 255:
            counts.pace()
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 2:
            size, at = _varint(data, at)
            if at + size > end:
                raise IndexError
            yield tag >> 3, at, at + size
            at += size
        elif kind == 0:
            _, at = _varint(data, at)
        elif kind in _TWO_KINDS:
            at += _TWO_KINDS[kind]
        else:
            raise no_export()  # groups, which no version of OTLP has


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a number of protobuf's and where it ends. Raise IndexError, or BadRequest for too long a one."""
    byte = data[at]
    if byte < 128:
        return byte, at + 1
    number, shift = byte & 127, 7
    while byte >= 128:
        at += 1
        byte = data[at]
        number |= (byte & 127) << shift
        shift += 7
        if shift > 70:
            raise no_export()
    return number, at + 1
