"""Parse and apply the filter and the ordering of a search for datasets. Called by handlers/datasets.py, and by the
filters of experiments and runs.

The grammar is that of traces; it is applied to plain values, in the thread of a search.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.domain.patterns import like
from gateway.domain.search import Clause, Order
from gateway.mlflow.values import Dataset
from gateway.mlflow.wire.checks import invalid
from gateway.wire.filter import parse_clauses

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


def matches(clauses: tuple[Clause, ...], dataset: Dataset) -> bool:
    """Tell whether a dataset's fields and tags meet all clauses."""
    return all(
        holds(clause, dataset.tags.get(clause.key) if clause.kind == "tag" else getattr(dataset, clause.key))
        for clause in clauses
    )


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


def holds(clause: Clause, value: Any) -> bool:
    """Tell whether one value meets a clause; one that isn't there meets IS NULL alone."""
    if clause.op in ("IS NULL", "IS NOT NULL"):
        return (value is None) == (clause.op == "IS NULL")
    if value is None:
        return False
    if clause.op in ("IN", "NOT IN"):
        return (value in (clause.value or ())) == (clause.op == "IN")  # type: ignore[operator]
    if clause.op in ("LIKE", "ILIKE"):
        pattern, text = str(clause.value), str(value)
        if clause.op == "ILIKE":
            pattern, text = pattern.lower(), text.lower()
        return like(pattern).matches(text)
    return _NUMBER_OPS[clause.op](value, clause.value)
