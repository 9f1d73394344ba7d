"""Bad input for every field of every route: a request as it should be, with something odd in a few places of it.

tests/support/route_fields.py says which fields there are; tests/web/test_bad_input.py sends what is made.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import msgspec
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import strategies as st
from msgspec import inspect
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from gateway.mlflow import names
from gateway.mlflow.values import NewRecord
from gateway.wire import feedback, native
from tests.support.odd_values import EITHER, ODD, SHAPES, USUAL, WRONG
from tests.support.route_fields import Target, targets

Draw = Callable[[st.SearchStrategy[Any]], Any]
JSON_IN_TEXT: dict[str, Any] = {"records": list[NewRecord], "tags": dict[str, str]}
SPAN_KEYS = [value for key, value in vars(names).items() if key.isupper() and isinstance(value, str)]
SPAN_KEYS += ["session.id", "user.id", "gen_ai.prompt.0.content", "llm.input_messages.0.message.content", "input.value"]


class Request(msgspec.Struct, frozen=True):
    """One request as a server would hand it to the application."""

    target: Target
    path: str
    query: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def shown(self) -> str:
        """For the message of a test that fails."""
        where = f"{self.target.method} {self.path!r}?{self.query[:500]!r}"
        return f"{where} {dict(self.headers)} {self.body[:2000]!r}"


@dataclass(eq=False)
class Node:
    """A piece of a request: plain text (of a query, a header, a path), or JSON. `parts` are texts and pieces within.

    `quoted`: its text is a JSON string. `shape`: odd text goes there.
    """

    parts: list[Any] = field(default_factory=list)
    quoted: bool = False
    json: bool = True
    shape: str = "{}"

    def text(self) -> str:
        inner = "".join(part.text() if isinstance(part, Node) else part for part in self.parts)
        return json.dumps(inner) if self.quoted else inner

    def all(self) -> Iterator[Node]:
        yield self
        for part in self.parts:
            if isinstance(part, Node):
                yield from part.all()

    def spoil(self, draw: Draw) -> None:
        """Put something odd in its place."""
        if not self.json or (self.quoted and draw(st.integers(0, 3))):
            odd = draw(st.sampled_from(ODD))
            self.parts = [_filled(self.shape, odd) if draw(st.booleans()) else odd]
        else:
            self.quoted, self.parts = False, [draw(st.sampled_from(WRONG))]


class Maker:
    """Makes pieces as they should be, by the name and type of a field. `known` has what is in the store, by name."""

    def __init__(self, draw: Draw, known: Mapping[str, str]) -> None:
        self.draw, self.known = draw, known

    def one(self, items: Sequence[Any]) -> Any:
        return self.draw(st.sampled_from(items))

    def plain(self, name: str, *, quoted: bool = False) -> Node:
        """A field's text: what is known by that name, or what such a field holds."""
        name = name.lower().removeprefix("x-mlflow-").replace("-", "_")
        shape = self.one(SHAPES[name]) if name in SHAPES else "{}"
        known = self.known.get(name, self.known.get(name.removesuffix("s"), "a"))
        return Node([_filled(shape, "1" if shape != "{}" else known)], quoted=quoted, json=quoted, shape=shape)

    def rarely(self) -> bool:
        return bool(self.one((True, False, False)))

    def is_given(self, name: str, level: int) -> bool:
        """Say whether a field is there that needn't be: many can't go with each other."""
        if name in USUAL:
            return True
        return level < 6 and name != "issue" and self.rarely()

    def typed(self, kind: inspect.Type, name: str = "", level: int = 0) -> Node:
        """JSON of a type."""
        if name == "messages":
            said = self.plain("content", quoted=True)
            part = _object([("type", Node(['"text"'])), ("text", self.plain("text", quoted=True))])
            fields = [("role", Node(['"user"'])), ("id", Node(['"m"']))]
            return _list([_object([*fields, self.one((("content", said), ("parts", _list([part]))))])])
        if isinstance(kind, inspect.StructType):
            found = [each for each in kind.fields if each.required or self.is_given(each.encode_name, level)]
            pairs = [(each.encode_name, self.typed(each.type, each.encode_name, level + 1)) for each in found]
            for either in EITHER:
                left = self.one(either)
                pairs = [pair for pair in pairs if pair[0] not in either or pair[0] == left]
            return _object(pairs)
        if isinstance(kind, inspect.UnionType):
            some = [each for each in kind.types if not isinstance(each, inspect.NoneType)]
            return self.typed(self.one(some), name, level)
        if isinstance(kind, inspect.ListType):
            return _list([self.typed(kind.item_type, name, level + 1) for _ in range(self.one((1, 1, 2, 0)))])
        if isinstance(kind, inspect.DictType):
            return Node(["{", self.plain("", quoted=True), ":", self.typed(kind.value_type, "", level + 1), "}"])
        if isinstance(kind, inspect.StrType):
            if name in JSON_IN_TEXT:
                return Node([self.typed(inspect.type_info(JSON_IN_TEXT[name]), "", level + 1)], quoted=True)
            return self.plain(name, quoted=True)
        if isinstance(kind, inspect.LiteralType):
            return Node([json.dumps(self.one(kind.values))])
        if isinstance(kind, inspect.EnumType):
            return Node([json.dumps(self.one([each.value for each in kind.cls]))])
        if isinstance(kind, inspect.BoolType):
            return Node([self.one(("true", "false"))])
        if isinstance(kind, inspect.NoneType):
            return Node(["null"])
        if isinstance(kind, inspect.IntType | inspect.FloatType):
            return Node([self.one(("1", "5", "0", "1767225600000"))])
        if name in self.known:
            return self.plain(name, quoted=True)
        return self.one([self.plain, self._listed, self._mapped])(name, quoted=True)  # type: ignore[no-any-return]

    def _listed(self, name: str, *, quoted: bool) -> Node:
        return _list([self.plain(name, quoted=quoted)])

    def _mapped(self, name: str, *, quoted: bool) -> Node:
        return Node(["{", self.plain("", quoted=True), ":", self.plain(name, quoted=quoted), "}"])

    def otlp(self, message: Descriptor, level: int = 0) -> Node:
        """A message of protobuf's as OTLP's JSON has it."""
        needed = ("resource_spans", "scope_spans", "spans", "trace_id", "span_id", "key", "value")
        given = [each for each in message.fields if each.name in needed or (self.rarely() and level < 8)]
        if message.oneofs:
            given = [self.one(list(message.oneofs[0].fields))]
        return _object([(each.json_name, self._otlp_field(each, level + 1)) for each in given])

    def _otlp_field(self, one: FieldDescriptor, level: int) -> Node:
        if one.is_repeated:
            return _list([self._otlp_value(one, level) for _ in range(self.one((1, 1, 2)))])
        return self._otlp_value(one, level)

    def _otlp_value(self, one: FieldDescriptor, level: int) -> Node:
        if one.message_type is not None:
            return self.otlp(one.message_type, level) if level < 12 else Node(["{}"])
        if one.name in ("trace_id", "span_id", "parent_span_id"):
            zeros = "0" * (31 if one.name == "trace_id" else 15)
            return Node([zeros + self.one("123")], quoted=True)
        if one.name == "key":
            return Node([self.one(SPAN_KEYS)], quoted=True)
        if one.type == FieldDescriptor.TYPE_STRING:
            return self.plain(one.name, quoted=True)
        if one.type == FieldDescriptor.TYPE_FIXED64:
            return Node([self.one(('"1767225600000000000"', '"18446744073709551615"'))])
        return Node(['"YQ=="' if one.type == FieldDescriptor.TYPE_BYTES else self.one(("1", "0"))])


def _filled(shape: str, text: str) -> str:
    whole = shape.replace("{}", text)
    if whole.startswith("b64:"):
        return base64.urlsafe_b64encode(whole[4:].encode("utf-8", "surrogatepass")).decode()
    return whole


def _object(fields: Sequence[tuple[str, Node]]) -> Node:
    parts: list[Any] = ["{"]
    for at, (name, value) in enumerate(fields):
        parts += [f"{',' if at else ''}{json.dumps(name)}:", value]
    return Node([*parts, "}"])


def _list(items: Sequence[Node]) -> Node:
    parts: list[Any] = ["["]
    for at, item in enumerate(items):
        parts += ["," if at else "", item]
    return Node([*parts, "]"])


def requests(known: Mapping[str, str]) -> st.SearchStrategy[Request]:
    """Requests to every route; those that read more come more often."""
    weighed = [target for target in targets() for _ in range(_weight(target))]
    return _request(known, weighed)


def _weight(target: Target) -> int:
    if target.raw == "otlp":
        return 12
    fields = [each for kind in target.body for each in inspect.type_info(kind).fields]  # type: ignore[attr-defined]
    return 1 + len(fields) // 2 + 6 * any(each.name.startswith("filter") for each in fields)


@st.composite
def _request(draw: Draw, known: Mapping[str, str], weighed: Sequence[Target]) -> Request:
    maker = Maker(draw, known)
    target = maker.one(weighed)
    path = [maker.plain(part[1:-1]) if part[:1] == "{" else part for part in target.path.split("/")]
    query = [(name, maker.plain(name)) for name in target.query if maker.one((True, False) if target.body else (True,))]
    if target.query[:1] == ("trace_id",):  # it goes without the other ID
        other = maker.one(("trace_id", "client_request_id"))
        query = [pair for pair in query if pair[0] != other]
    headers = [
        (name, maker.plain(name)) for name in target.headers if target.raw or (maker.rarely() and maker.rarely())
    ]
    body = _body(maker, target)
    places = [each for each in path if isinstance(each, Node)]
    places += [node for _, node in (*query, *headers)] + list(body.all() if body else ())
    for _ in range(maker.one((1, 1, 1, 0, 2, 3)) if places else 0):
        maker.one(places).spoil(draw)
    data = body.text().encode("utf-8", "surrogatepass") if body else b""
    if data and draw(st.integers(0, 59)) == 0:
        data = maker.one([b"", b"\xff\xfe", b'"\xc0\xaf"', b"\xef\xbb\xbf{}", data[:-1], data + data, b"\x00"])
    return Request(
        target=target,
        path="/".join(part if isinstance(part, str) else _in_path(part.text()) for part in path),
        query="&".join(f"{name}={_quoted(node.text())}" for name, node in query).encode(),
        headers=tuple((name.lower().encode(), _in_header(node.text())) for name, node in headers),
        body=data,
    )


def _body(maker: Maker, target: Target) -> Node | None:
    if target.raw == "otlp":
        return maker.otlp(ExportTraceServiceRequest.DESCRIPTOR)
    if target.raw:
        return maker.plain("file")
    return maker.typed(inspect.type_info(maker.one(target.body))) if target.body else None


FRAMES: tuple[tuple[str, type[Any] | None], ...] = (
    ("chat", native.ChatBody), ("feedback", feedback.Thumb), ("feedback", feedback.General), ("resume", None),
    ("stop", None), ("ping", None), ("odd", None),
)  # fmt: skip


@st.composite
def frames(draw: Draw, known: Mapping[str, str]) -> bytes:
    """Frames of a WebSocket: a body of the same kind as over HTTP, with what each frame may have."""
    maker = Maker(draw, known)
    kind, body = maker.one(FRAMES)
    frame = maker.typed(inspect.type_info(body)) if body else Node(["{", "}"])
    own = [(name, maker.plain(name, quoted=True)) for name in ("trace_id", "id", "feedback_token") if maker.one((1, 0))]
    fields = _object(
        [("type", Node([kind], quoted=True)), *own, ("after", Node(["1"]))][: None if body is None else -1]
    )
    whole = Node([*fields.parts[:-1], *([","] if len(frame.parts) > 2 else []), *frame.parts[1:]])
    places = list(whole.all())
    for _ in range(maker.one((1, 1, 0, 2))):
        maker.one(places).spoil(draw)
    return whole.text().encode("utf-8", "surrogatepass")


def _in_path(text: str) -> str:
    """A part of a path as a server decodes it: what isn't UTF-8 is replaced."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


def _in_header(text: str) -> bytes:
    """A header's value, with all bytes that a server lets through."""
    return bytes(byte for byte in text.encode("utf-8", "surrogatepass") if byte >= 32 and byte != 127)
