"""Rows of tests/soak/worst.py: searches."""

from __future__ import annotations

from tests.soak.caller import Caller, Row

_SEARCH = "/api/3.0/mlflow/traces/search"
_PLACE = [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}]


async def _plain(caller: Caller) -> None:
    await caller.send("POST", _SEARCH, {"locations": _PLACE, "filter": "span.name LIKE '%a%'"})


ROWS = (Row("searches", "one search after another", _plain),)
