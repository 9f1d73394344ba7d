"""Values of attributes in an export: from protobuf or OTLP's JSON to plain ones, and to protobuf's JSON, which is kept.

Each is counted, and between them others may go first: a span may have a hundred thousand. No I/O; called by otlp.py.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from google.protobuf.json_format import ParseDict
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from gateway.errors import ContentTooLarge
from gateway.mlflow.wire import otlp_parts
from gateway.mlflow.wire.otlp_parts import no_export

Pairs = list[dict[str, Any]]  # protobuf's JSON of attributes
_KINDS = ("string", "bool", "int", "double", "bytes", "array", "kvlist")
_NAMES = {f"{kind}Value": f"{kind}_value" for kind in _KINDS} | {f"{kind}_value": f"{kind}_value" for kind in _KINDS}
_ODD = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


class Values:
    """Reads the values of one export. Raises ContentTooLarge for one too many; `pace` is called before each."""

    def __init__(self, pace: Callable[[], None]) -> None:
        self._pace, self._left = pace, otlp_parts.MAX_VALUES

    def count(self) -> None:
        """Count one more: a value, an event or a link."""
        self._left -= 1
        if self._left < 0:
            raise ContentTooLarge(f"A request has at most {otlp_parts.MAX_VALUES:,} values of attributes.")
        self._pace()

    # Each of these returns the plain value and protobuf's JSON of it.

    def of_message(self, value: AnyValue) -> tuple[Any, dict[str, Any]]:
        """Read a message of protobuf's."""
        self.count()
        which = value.WhichOneof("value")
        if which is None:
            return None, {}
        if which == "array_value":
            return _array(self.of_message(each) for each in value.array_value.values)
        if which == "kvlist_value":
            return _kvlist(self.pairs_of_messages(value.kvlist_value.values))
        return _leaf(which, getattr(value, which))

    def pairs_of_messages(self, pairs: Iterable[KeyValue]) -> tuple[dict[str, Any], Pairs]:
        """Read attributes, as messages of protobuf's."""
        return _pairs((pair.key, self.of_message(pair.value)) for pair in pairs)

    def of_json(self, value: Any) -> tuple[Any, dict[str, Any]]:
        """Read OTLP's JSON. Raise BadRequest for what is none, and protobuf's errors."""
        self.count()
        if value is None:
            return None, {}
        if not isinstance(value, Mapping):
            raise no_export()
        known = [(_NAMES[name], given) for name, given in value.items() if name in _NAMES and given is not None]
        if not known:
            return None, {}
        if len(known) > 1:
            raise no_export()
        ((which, given),) = known
        if which == "array_value":
            return _array(self.of_json(each) for each in _listed(given, "values"))
        if which == "kvlist_value":
            return _kvlist(self.pairs_of_json(_listed(given, "values")))
        if (which == "string_value" and isinstance(given, str)) or (which == "bool_value" and isinstance(given, bool)):
            return _leaf(which, given)
        return _leaf(which, getattr(ParseDict({which: given}, AnyValue()), which))

    def pairs_of_json(self, pairs: Iterable[Any]) -> tuple[dict[str, Any], Pairs]:
        """Read attributes in OTLP's JSON. Raise as `of_json` does."""
        return _pairs((_key(pair), self.of_json(pair.get("value"))) for pair in pairs)


def listed(given: Any) -> list[Any]:
    """Return a list of JSON, of which null is an empty one. Raise BadRequest for another value."""
    if given is None:
        return []
    if not isinstance(given, list):
        raise no_export()
    return given


def _listed(given: Any, name: str) -> list[Any]:
    if not isinstance(given, Mapping):
        raise no_export()
    return listed(given.get(name))


def _key(pair: Any) -> str:
    key = pair.get("key") if isinstance(pair, Mapping) else 0
    if key is None:
        return ""
    if not isinstance(key, str):
        raise no_export()
    return key


def _array(read: Iterable[tuple[Any, dict[str, Any]]]) -> tuple[Any, dict[str, Any]]:
    plain, shown = [], []
    for value, json in read:
        plain.append(value)
        shown.append(json)
    return plain, {"array_value": {"values": shown} if shown else {}}


def _kvlist(read: tuple[dict[str, Any], Pairs]) -> tuple[Any, dict[str, Any]]:
    plain, shown = read
    return plain, {"kvlist_value": {"values": shown} if shown else {}}


def _pairs(read: Iterable[tuple[str, tuple[Any, dict[str, Any]]]]) -> tuple[dict[str, Any], Pairs]:
    plain: dict[str, Any] = {}
    shown: Pairs = []
    for key, (value, json) in read:
        plain[key] = value
        shown.append({"key": key, "value": json})
    return plain, shown


def _leaf(which: str, value: Any) -> tuple[Any, dict[str, Any]]:
    if which == "int_value":
        return value, {which: str(value)}
    if which == "bytes_value":
        text = base64.b64encode(value).decode()
        return text, {which: text}
    if which == "double_value" and not math.isfinite(value):
        return value, {which: _ODD[repr(value)]}
    return value, {which: value}
