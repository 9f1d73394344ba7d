"""Parse and apply the filter and the ordering of a search for experiments. Called by handlers/experiments.py.

The grammar is that of traces; it is applied to plain values, in the thread of a search, as experiments are few.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.domain.search import Clause, Kind, Order
from gateway.mlflow.values import Experiment
from gateway.mlflow.wire.checks import invalid
from gateway.mlflow.wire.dataset_filter import holds
from gateway.wire.filter import bare, parse_clauses, parse_orders

_TIMES = {"creation_time", "last_update_time"}
_ATTRIBUTES = _TIMES | {"name", "experiment_id"}
_OPS: dict[str, set[str]] = {
    "time": {"=", "!=", ">", ">=", "<", "<="},
    "name": {"=", "!=", "LIKE", "ILIKE"},
    "experiment_id": {"=", "!=", "IN", "NOT IN"},
    "tag": {"=", "!=", "LIKE", "ILIKE", "IS NULL", "IS NOT NULL"},
}
_USUAL = (Order("attribute", "creation_time", False), Order("attribute", "experiment_id", True))


def parse_experiment_filter(text: str) -> tuple[Clause, ...]:
    """Return clauses over names, IDs, times and tags. Raise InvalidValue."""
    return parse_clauses(text, _identify, _check)


def parse_experiment_order(items: list[str]) -> tuple[Order, ...]:
    """Return orders by name, ID or times; without any, the newest first. Raise InvalidValue."""
    orders = parse_orders(items, _identify, ("attribute",)) or _USUAL
    if any(order.key == "experiment_id" for order in orders):
        return orders
    return (*orders, Order("attribute", "experiment_id", False))


def select(found: Sequence[Experiment], clauses: Sequence[Clause], orders: Sequence[Order]) -> list[Experiment]:
    """Return the experiments that meet all clauses, in the order asked for."""
    kept = [one for one in found if all(holds(clause, _value(one, clause)) for clause in clauses)]
    for order in reversed(orders):
        kept.sort(key=lambda one, key=order.key: _sorted_by(one, key), reverse=not order.ascending)  # type: ignore[misc]
    return kept


def _value(one: Experiment, clause: Clause) -> Any:
    return one.tags.get(clause.key) if clause.kind == "tag" else getattr(one, clause.key)


def _sorted_by(one: Experiment, key: str) -> Any:
    return int(one.experiment_id) if key == "experiment_id" else getattr(one, key)


def _identify(text: str) -> tuple[Kind, str]:
    first, dot, key = text.partition(".")
    if not dot:
        first, key = "attribute", text
    kind = {"attribute": "attribute", "attributes": "attribute", "tag": "tag", "tags": "tag"}.get(bare(first))
    key = bare(key)
    if kind is None:
        invalid(f"Invalid entity type '{first}'. Valid entity types are attribute, tag")
    if kind == "attribute" and key not in _ATTRIBUTES:
        invalid(f"Invalid attribute key '{key}' specified. Valid keys are {sorted(_ATTRIBUTES)}")
    return kind, key  # type: ignore[return-value]


def _check(kind: Kind, key: str, op: str) -> bool:
    family = "tag" if kind == "tag" else "time" if key in _TIMES else key
    if op not in _OPS[family]:
        invalid(f"Invalid comparator '{op}' for {kind}.{key}: not one of {sorted(_OPS[family])}")
    return family == "time"
