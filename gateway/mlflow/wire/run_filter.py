"""Parse the filter and the ordering of a search for runs, in MLflow's grammar. Called by handlers/runs.py.

What a clause means in SQL is in scripts/run_clauses.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.domain.search import Clause, Kind, Order
from gateway.mlflow.values import RunValue
from gateway.mlflow.wire.checks import invalid
from gateway.mlflow.wire.dataset_filter import holds
from gateway.wire.filter import bare, parse_clauses, parse_orders

_KINDS: dict[str, Kind] = {
    "metric": "metric",
    "metrics": "metric",
    "param": "param",
    "params": "param",
    "parameter": "param",
    "parameters": "param",
    "tag": "tag",
    "tags": "tag",
    "attribute": "attribute",
    "attributes": "attribute",
    "attr": "attribute",
    "run": "attribute",
    "dataset": "dataset",
    "datasets": "dataset",
}
_TIMES = {"start_time", "end_time"}
_ALIASES = {"created": "start_time", "Created": "start_time"}
_ALIASES |= dict.fromkeys(("run name", "Run name", "Run Name"), "run_name")
_ATTRIBUTES = _TIMES | {"artifact_uri", "run_id", "run_name", "status", "user_id"}
_CONTEXT = "mlflow.data.context"  # a tag of an input
_DATASET = {"name", "digest", "context"}

_NUMBERS = {"=", "!=", ">", ">=", "<", "<="}
_TEXTS = {"=", "!=", "LIKE", "ILIKE"}
_OPS: dict[str, set[str]] = {
    "metric": _NUMBERS,
    "param": {*_TEXTS, "IS NULL", "IS NOT NULL"},
    "tag": {*_TEXTS, "IS NULL", "IS NOT NULL"},
    "time": _NUMBERS,
    "attribute": {*_TEXTS, "IN", "NOT IN"},
    "dataset": {*_TEXTS, "IN", "NOT IN"},
}


def parse_run_filter(text: str) -> tuple[Clause, ...]:
    """Return clauses over metrics, parameters, tags, attributes and inputs. Raise InvalidValue."""
    return parse_clauses(text, _identify, _check)


def parse_run_order(items: list[str]) -> tuple[Order, ...]:
    """Return orders by metrics, parameters, tags and attributes. Raise InvalidValue."""
    return parse_orders(items, _identify, ("attribute", "metric", "param", "tag"))


def _identify(text: str) -> tuple[Kind, str]:
    first, dot, key = text.partition(".")
    if not dot:
        first, key = "attribute", text
    entity, key = bare(first), bare(key)
    if entity not in _KINDS:
        invalid(f"Invalid entity type '{entity}'. Valid values are {sorted(set(_KINDS.values()))}")
    kind = _KINDS[entity]
    if kind == "attribute":
        key = _ALIASES.get(key, key)
        if key not in _ATTRIBUTES:
            invalid(f"Invalid attribute key '{key}' specified. Valid keys are {sorted(_ATTRIBUTES)}")
    if kind == "dataset" and key not in _DATASET:
        invalid(f"Invalid dataset key '{key}' specified. Valid keys are {sorted(_DATASET)}")
    return kind, key


def _check(kind: Kind, key: str, op: str) -> bool:
    family = "time" if kind == "attribute" and key in _TIMES else kind
    if op not in _OPS[family]:
        invalid(f"Invalid comparator '{op}' for {kind}.{key}: not one of {sorted(_OPS[family])}")
    if kind == "attribute" and op in ("IN", "NOT IN") and key != "run_id":
        invalid("Only the attribute run_id can be compared with a list.")
    return _OPS[family] is _NUMBERS


def inputs_meet(clauses: Sequence[Clause], inputs: Sequence[RunValue]) -> bool:
    """Tell whether for each clause on datasets one of a run's inputs meets it."""
    found = [_described(value) for value in inputs]
    return all(any(holds(clause, one[clause.key]) for one in found) for clause in clauses)


def _described(value: RunValue) -> dict[str, object]:
    given = msgspec.json.decode(value.value)
    dataset, tags = given["dataset"], given.get("tags")
    contexts = [tag.get("value") for tag in tags or () if isinstance(tag, dict) and tag.get("key") == _CONTEXT]
    return {"name": dataset["name"], "digest": dataset["digest"], "context": contexts[0] if contexts else None}
