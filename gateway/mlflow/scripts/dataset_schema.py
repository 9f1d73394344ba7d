"""The schema of a dataset: the type of each field that its records have had. Called by datasets.py; no I/O."""

from __future__ import annotations

from itertools import islice
from typing import Any

from gateway.mlflow.values import NewRecord

_MAX_FIELDS, _MAX_NAME = 1_000, 250  # that are learned
_TYPES = {bool: "boolean", int: "integer", float: "float", str: "string", list: "array", dict: "object"}


def learn(schema: dict[str, Any], record: NewRecord) -> None:
    """Add the type of each new field to the schema; the first type seen stays."""
    for part in ("inputs", "outputs", "expectations"):
        values = getattr(record, part)
        if isinstance(values, dict) and isinstance(schema[part], dict):
            for name, value in islice(values.items(), _MAX_FIELDS):
                if len(schema[part]) < _MAX_FIELDS and len(name) <= _MAX_NAME:
                    schema[part].setdefault(name, _TYPES.get(type(value), "null"))
        elif values is not None and not schema[part]:
            schema[part] = _TYPES.get(type(values), "null")
