"""The clauses and orders of a search over runs, as SQL. Plain functions without I/O; called by runs.py."""

from __future__ import annotations

from gateway.domain.search import Clause, Order
from gateway.storage.scripts.clauses import Add, compare_sql

_COLUMNS = {
    "run_id": "r.run_id",
    "run_name": "r.name",
    "status": "r.status",
    "user_id": "r.user_id",
    "start_time": "r.start_time",
    "end_time": "r.end_time",
    "artifact_uri": "('mlflow-artifacts:/' || r.experiment_id || '/' || r.run_id || '/artifacts')",
}
_LARGEST = "1.7976931348623157e308"


def number_sql(column: str, nan: str = "NULL") -> str:
    """Return the number of a metric's value, which is stored as Python writes it; infinity is the largest number."""
    return (
        f"CASE {column} WHEN 'nan' THEN {nan} WHEN 'inf' THEN {_LARGEST} WHEN '-inf' THEN -{_LARGEST}"
        f" ELSE CAST({column} AS DOUBLE PRECISION) END"
    )


def run_clause_sql(clause: Clause, add: Add) -> str:
    """Return the clause, which isn't on a dataset, as a condition on `runs r`."""
    if clause.kind == "attribute":
        return compare_sql(_COLUMNS[clause.key], clause.op, clause.value, add)
    values = (
        f"SELECT 1 FROM run_values v WHERE v.run_id = r.run_id AND v.kind = '{clause.kind}'"  # noqa: S608  our own words
        f" AND v.key = {add(clause.key)}"
    )
    if clause.op in ("IS NULL", "IS NOT NULL"):
        return f"{'NOT ' if clause.op == 'IS NULL' else ''}EXISTS ({values})"
    column = number_sql("v.value") if clause.kind == "metric" else "v.value"
    return f"EXISTS ({values} AND {compare_sql(column, clause.op, clause.value, add)})"


def run_order_sql(order: Order, add: Add) -> list[str]:
    """Return the expressions to order `runs r` by. A run without the value comes last, and NaN before that."""
    way = "ASC" if order.ascending else "DESC"
    if order.kind == "attribute":
        return [f"{_COLUMNS[order.key]} {way} NULLS LAST"]
    one = (
        f"(SELECT v.value FROM run_values v WHERE v.run_id = r.run_id AND v.kind = '{order.kind}'"  # noqa: S608
        f" AND v.key = {add(order.key)})"
    )
    if order.kind != "metric":
        return [f"{one} {way} NULLS LAST"]
    return [f"CASE WHEN {one} IS NULL THEN 2 WHEN {one} = 'nan' THEN 1 ELSE 0 END", f"{number_sql(one)} {way}"]
