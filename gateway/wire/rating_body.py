"""Reads strict JSON objects field by field, so that one error can name every bad field.

The types are msgspec's; what they can't say is here. Sans-I/O; called by wire/feedback.py.
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Iterable
from typing import Any, NoReturn

import msgspec

from gateway.errors import BadRequest, ContentTooLarge, InvalidValue

MAX_BODY = 1_000_000  # more than all limits of a rating allow, with every character escaped
MAX_VALUE, MAX_PAIR = 10_000, 1_000  # bytes of UTF-8
_MAX_INT = 2**63 - 1
_MAX_NAMED = 50  # bad fields that one error names
_NO_UNICODE = "is not valid Unicode (half of a surrogate pair)"
_PATH = re.compile(r" - at `.*`", re.DOTALL)

Problems = list[tuple[str, str]]  # field, what is wrong with it
encode = msgspec.json.encode


def read_object(body: bytes, problems: Problems) -> dict[str, Any]:
    """Return the body's fields, read by the standard decoder, because that one tells of names that come twice.

    Raise ContentTooLarge, BadRequest, InvalidValue.
    """
    if len(body) > MAX_BODY:
        raise ContentTooLarge(f"A rating has at most {MAX_BODY} bytes.")

    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        return once(pairs, problems)

    try:
        fields = json.loads(body.decode(), object_pairs_hook=build, parse_constant=_no_json)
    except UnicodeDecodeError:
        raise BadRequest("The body is not valid UTF-8.", code="not_json") from None
    except (ValueError, RecursionError):
        raise BadRequest("The body is not JSON.", code="not_json") from None
    if not isinstance(fields, dict):
        refuse([("body", "must be a JSON object")])
    return fields


def _no_json(constant: str) -> NoReturn:
    raise ValueError(constant)  # NaN and Infinity


def once(given: Iterable[tuple[str, Any]], problems: Problems) -> dict[str, Any]:
    """Return pairs as a dict; a name that comes twice is a problem."""
    fields: dict[str, Any] = {}
    for name, value in given:
        if name in fields:
            problems.append((name, "given twice"))
        fields[name] = value
    return fields


def take(kind: type[msgspec.Struct], fields: dict[str, Any], problems: Problems) -> dict[str, Any]:
    """Take `kind`'s fields out of `fields`, checked one by one so that each bad one is named."""
    values: dict[str, Any] = {}
    for name, required, one in _fields_of(kind):
        if name not in fields:
            if required:
                problems.append((name, "is required"))
            continue
        try:
            value = getattr(msgspec.convert({name: fields.pop(name)}, one), name)
            problem = _limit(name, value)
        except msgspec.ValidationError as error:
            problem = _PATH.sub("", str(error))
            if "regex" in problem:  # the one pattern there is
                problem = "must be tr- and 32 hex digits" if name == "trace_id" else "must be 16 hex digits"
        except UnicodeEncodeError:  # text where another type is expected
            problem = _NO_UNICODE
        if problem:
            problems.append((name, problem))
        else:
            values[name] = value
    return values


@functools.cache
def _fields_of(kind: type[msgspec.Struct]) -> list[tuple[str, bool, type[msgspec.Struct]]]:
    """Return each field's name, whether it is required, and a struct of it alone, which msgspec prepares only once."""
    found = msgspec.structs.fields(kind)
    return [(field.name, field.required, msgspec.defstruct("One", [(field.name, field.type)])) for field in found]


def _limit(name: str, value: Any) -> str | None:
    """Return what is wrong with a value that its type can't say; None where nothing is."""
    try:
        if isinstance(value, float) and not math.isfinite(value):
            return "must be a finite number"
        if isinstance(value, int) and not -_MAX_INT <= value <= _MAX_INT:
            return "is too large a whole number"
        size = len(value.encode() if isinstance(value, str) else encode(value))
        if name in ("value", "reasons") and size > MAX_VALUE:
            return f"has more than {MAX_VALUE} bytes"
        if name == "metadata" and any(len(text.encode()) > MAX_PAIR for pair in (value or {}).items() for text in pair):
            return f"has a name or value of more than {MAX_PAIR} bytes"
    except UnicodeEncodeError:
        return _NO_UNICODE
    return None


def refuse(problems: Problems) -> NoReturn:
    """Raise the one error for all of them. The names are the caller's own words: made encodable, and short."""
    shown = [(name.encode(errors="backslashreplace").decode()[:250], why) for name, why in problems[:_MAX_NAMED]]
    raise InvalidValue("; ".join(f"{name}: {why}" for name, why in shown[:5]), details=shown)
