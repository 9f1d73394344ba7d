"""The filter and ordering of a search for datasets: MLflow's grammar again, on plain values, as they are few."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from gateway.mlflow.wire.errors import invalid
from gateway.mlflow.wire.filter import Clause, parse_clauses

_NUMBERS = {"created_time", "last_update_time"}
_TEXTS = {"name", "created_by", "last_updated_by"}
_TEXT_OPS = {"=", "!=", "LIKE", "ILIKE", "IN"}
_NUMBER_OPS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
}


class DatasetOrder(msgspec.Struct, frozen=True):
    key: str
    ascending: bool


def parse_dataset_filter(text: str) -> tuple[Clause, ...]:
    """Clauses over name, times, authors and tags. Raises InvalidValue."""
    return parse_clauses(text, _identify, _check)


def parse_dataset_order(items: list[str]) -> list[DatasetOrder]:
    """By name, created_time or last_update_time; without any: the newest first. Raises InvalidValue."""
    found = []
    for item in items or ["created_time DESC"]:
        key, _, direction = item.strip().partition(" ")
        if key not in _NUMBERS | {"name"} or direction.strip().upper() not in ("", "ASC", "DESC"):
            invalid(f"Invalid order_by clause '{item}'.")
        found.append(DatasetOrder(key, direction.strip().upper() != "DESC"))
    return found


def matches(clauses: tuple[Clause, ...], fields: Mapping[str, Any], tags: Mapping[str, str]) -> bool:
    """Whether a dataset is one that was asked for."""
    return all(_holds(clause, (tags if clause.kind == "tag" else fields).get(clause.key)) for clause in clauses)


def _identify(text: str) -> tuple[Any, str]:
    first, dot, key = text.partition(".")
    key = key.strip('`"')
    if dot and first in ("tag", "tags"):
        return "tag", key
    if dot and first in ("attribute", "attributes"):
        return "attribute", key
    return "attribute", text if not dot else invalid(f"Invalid entity type '{first}'.")


def _check(kind: str, key: str, op: str) -> bool:
    if kind == "attribute" and key not in _NUMBERS | _TEXTS:
        invalid(f"Invalid attribute key '{key}' specified. Valid keys are {sorted(_NUMBERS | _TEXTS)}")
    number = kind == "attribute" and key in _NUMBERS
    if op not in (_NUMBER_OPS if number else _TEXT_OPS) or (op == "IN" and key != "name"):
        invalid(f"Invalid comparator for {'numeric attribute' if number else 'string attribute'}: {op}")
    return number


def _holds(clause: Clause, value: Any) -> bool:
    if value is None:
        return False
    if clause.op == "IN":
        return value in (clause.value or ())  # type: ignore[operator]
    if clause.op in ("LIKE", "ILIKE"):
        words = re.split(r"([%_])", str(clause.value))
        pattern = "".join({"%": ".*", "_": "."}.get(word, re.escape(word)) for word in words)
        # a pattern of `.*` and plain words can take long, but a name has 250 characters
        return re.fullmatch(pattern, str(value), re.DOTALL | (re.IGNORECASE if clause.op == "ILIKE" else 0)) is not None
    return _NUMBER_OPS[clause.op](value, clause.value)
