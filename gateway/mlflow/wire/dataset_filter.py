"""Parse and apply the filter and the ordering of a search for datasets. Called by handlers/datasets.py.

The grammar is that of traces; it is applied to plain values, as a project's datasets are few.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from gateway.mlflow.values import Clause, Dataset, Order
from gateway.mlflow.wire.checks import invalid
from gateway.mlflow.wire.filter import parse_clauses

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


def parse_dataset_filter(text: str) -> tuple[Clause, ...]:
    """Return clauses over name, times, authors and tags. Raise InvalidValue."""
    return parse_clauses(text, _identify, _check)


def parse_dataset_order(items: list[str]) -> tuple[Order, ...]:
    """Return orders by name, created_time or last_update_time; without any, the newest first. Raise InvalidValue."""
    found = []
    for item in items or ["created_time DESC"]:
        key, _, direction = item.strip().partition(" ")
        if key not in _NUMBERS | {"name"} or direction.strip().upper() not in ("", "ASC", "DESC"):
            invalid(f"Invalid order_by clause '{item}'.")
        found.append(Order("attribute", key, direction.strip().upper() != "DESC"))
    return tuple(found)


def matches(clauses: tuple[Clause, ...], fields: Mapping[str, Any], tags: Mapping[str, str]) -> bool:
    """Tell whether a dataset's fields and tags meet all clauses."""
    return all(_holds(clause, (tags if clause.kind == "tag" else fields).get(clause.key)) for clause in clauses)


def select(datasets: list[Dataset], clauses: tuple[Clause, ...], orders: tuple[Order, ...]) -> list[Dataset]:
    """Return the datasets that meet all clauses, in the order asked for."""
    found = [
        each
        for each in datasets
        if matches(clauses, {name: getattr(each, name) for name in Dataset.__struct_fields__}, each.tags)
    ]
    for order in reversed(orders):
        found.sort(key=lambda each, key=order.key: getattr(each, key), reverse=not order.ascending)  # type: ignore[misc]
    return found


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
        # such a pattern can take long on a long text, but a name has at most 250 characters
        return re.fullmatch(pattern, str(value), re.DOTALL | (re.IGNORECASE if clause.op == "ILIKE" else 0)) is not None
    return _NUMBER_OPS[clause.op](value, clause.value)
