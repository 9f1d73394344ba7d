"""The clauses and orders of a search over traces, as SQL. Plain functions without I/O; called by search.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from gateway.domain.patterns import LIKE_CHARS, RLIKE_CHARS
from gateway.mlflow.names import (
    ATTEMPT_TYPE,
    LINKED_PROMPTS,
    ROOT_TYPE,
    SOURCE_RUN,
    TRACE_NAME,
    TRACE_SESSION,
    TRACE_USER,
)
from gateway.mlflow.values import Clause, Order
from gateway.storage.scripts.traces import CLIENT_ROUTE

_INDEXED_CHARS = 250  # of a value, at most, that the indexes of labels and assessments hold
INDEXED = f"LENGTH(value) <= {_INDEXED_CHARS}"  # an index is used where its condition is repeated
Add = Callable[[object], str]  # takes a parameter of the statement and returns its placeholder

# A chat has a name and metadata that are in no label: they are made as wire/traces.py writes them.
_NAME = f"COALESCE(t.name, CASE WHEN t.route <> '{CLIENT_ROUTE}' THEN 'chat ' || t.model END)"
_COLUMNS = {
    ("attribute", "timestamp_ms"): "t.request_time",
    ("attribute", "execution_time_ms"): "t.duration_ms",
    ("attribute", "end_time_ms"): "(t.request_time + COALESCE(t.duration_ms, 0))",
    ("attribute", "status"): "t.state",
    ("attribute", "request_id"): "t.trace_id",
    ("attribute", "client_request_id"): "t.client_request_id",
    ("attribute", "experiment_id"): "t.experiment_id",
    ("tag", TRACE_NAME): _NAME,
    ("metadata", TRACE_SESSION): "NULLIF(t.session_id, '')",
    ("metadata", TRACE_USER): "t.user_id",
    ("metadata", "gateway.outcome"): "t.outcome",
    ("metadata", "gateway.route"): f"NULLIF(t.route, '{CLIENT_ROUTE}')",
    ("metadata", "gateway.model"): "NULLIF(t.model, '')",
    ("metadata", "gateway.answered_model"): "t.answered_model",
    ("metadata", "gateway.provider"): "t.provider",
    ("metadata", "gateway.finish_reason"): "t.finish_reason",
    ("metadata", "gateway.error_code"): "t.error_code",
}
RUN = ("metadata", SOURCE_RUN)
_TYPE = f"COALESCE(s.type, CASE WHEN s.parent_id IS NULL THEN '{ROOT_TYPE}' ELSE '{ATTEMPT_TYPE}' END)"
_NUMBER = (  # of JSON that begins as a number does
    "CASE WHEN SUBSTR(a.value, 1, 1) IN ('-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9')"
    " THEN CAST(a.value AS REAL) END"
)
# Protobuf's own words around each value: without them, a search for "value" would find every span.
_KINDS = ("string", "int", "bool", "double", "array", "kvlist", "bytes")
_FRAMES = ("key", "value", "values", *(f"{kind}_value" for kind in _KINDS))


def adder(params: list[object]) -> Add:
    """Return a function that appends a parameter to `params` and returns its placeholder."""

    def add(value: object) -> str:
        params.append(value)
        return f"${len(params)}"

    return add


def indexed_sql(project: str, clause: Clause, add: Add) -> str | None:
    """Return the table and conditions by which an index answers the clause; None where no index does."""
    name = (clause.kind, clause.key)
    if clause.op != "=" or len(str(clause.value)) > _INDEXED_CHARS or name in _COLUMNS or name == RUN:
        return None
    if clause.kind in ("tag", "metadata"):
        return (
            f"labels WHERE project = {add(project)} AND kind = '{clause.kind}' AND key = {add(clause.key)}"
            f" AND value = {add(clause.value)} AND {INDEXED}"
        )
    if clause.kind in ("feedback", "expectation"):
        return (
            f"assessments WHERE project = {add(project)} AND name = {add(clause.key)}"
            f" AND value IN ({add(clause.value)}, {add(_json(clause.value))}) AND {INDEXED}"
            f" AND kind = '{clause.kind}' AND valid = 1"
        )
    return None


def clause_sql(project: str, clause: Clause, add: Add) -> str:
    """Return the clause as a condition on `traces t`."""
    kind, key = clause.kind, clause.key
    if (kind, key) == RUN and clause.op == "=":
        return _of_run(add(clause.value), add(project))
    if column := _COLUMNS.get((kind, key)):
        return compare_sql(column, clause.op, clause.value, add)
    if kind == "issue" or (kind, key) == ("tag", LINKED_PROMPTS):
        return "1 = 0"  # the gateway keeps neither issues nor prompts
    if kind in ("tag", "metadata"):
        label = _label(kind, add(key))
        if clause.op in ("IS NULL", "IS NOT NULL"):
            return f"{'NOT ' if clause.op == 'IS NULL' else ''}EXISTS ({label})"
        return f"EXISTS ({label} AND {compare_sql('l.value', clause.op, clause.value, add)})"
    return _assessment(clause, add)


def _of_run(run: str, project: str) -> str:
    """Return the condition that a trace belongs to a run, of which placeholders are given."""
    return (
        f"(t.trace_id IN (SELECT trace_id FROM run_traces WHERE run_id = {run}) OR"  # noqa: S608  placeholders
        f" t.trace_id IN (SELECT trace_id FROM labels WHERE project = {project} AND kind = 'metadata'"
        f" AND key = '{SOURCE_RUN}' AND value = {run} AND {INDEXED}))"
    )


def _label(kind: str, key: str, what: str = "1") -> str:
    """Return a query of the label of that key, of which a placeholder is given."""
    return f"SELECT {what} FROM labels l WHERE l.trace_id = t.trace_id AND l.kind = '{kind}' AND l.key = {key}"  # noqa: S608


def _assessment(clause: Clause, add: Add) -> str:
    inner = (
        f"SELECT 1 FROM assessments a WHERE a.trace_id = t.trace_id AND a.kind = '{clause.kind}'"  # noqa: S608
        f" AND a.name = {add(clause.key)} AND a.valid = 1"
    )
    if clause.op in ("IS NULL", "IS NOT NULL"):
        return f"{'NOT ' if clause.op == 'IS NULL' else ''}EXISTS ({inner})"
    if clause.op in ("=", "!="):
        same = f"a.value IN ({add(clause.value)}, {add(_json(clause.value))})"
        return f"EXISTS ({inner} AND {same if clause.op == '=' else f'NOT {same}'})"
    if clause.op in ("<", "<=", ">", ">="):
        return f"EXISTS ({inner} AND {_NUMBER} {clause.op} {add(clause.value)})"
    # text is stored with its quotes, and searched without
    text = "CASE WHEN SUBSTR(a.value, 1, 1) = '\"' THEN SUBSTR(a.value, 2, LENGTH(a.value) - 2) ELSE a.value END"
    return f"EXISTS ({inner} AND {compare_sql(text, clause.op, clause.value, add)})"


def spans_sql(clauses: Sequence[Clause], add: Add) -> str:
    """Return the condition that one span meets all of the clauses.

    Content that is asked for may also stand in the request or response of a chat, which has no span of its own for it.
    """
    met = " AND ".join(_span(clause, add) for clause in clauses)
    one = f"EXISTS (SELECT 1 FROM spans s WHERE s.trace_id = t.trace_id AND {met})"  # noqa: S608  our own words
    if any(clause.key != "content" for clause in clauses):
        return one
    asked, said = ([compare_sql(f"t.{name}", c.op, c.value, add) for c in clauses] for name in ("request", "response"))
    either = " AND ".join(f"({first} OR {second})" for first, second in zip(asked, said, strict=True))
    return f"({one} OR ({either}))"


def _span(clause: Clause, add: Add) -> str:
    if clause.key == "content":
        column = f"SUBSTR(COALESCE(s.otlp, s.attributes), 1, {LIKE_CHARS})"
        for word in _FRAMES:
            column = f"REPLACE({column}, '\"{word}\":', '')"
    elif clause.key.startswith("attributes."):
        name = clause.key.removeprefix("attributes.").replace('"', "")
        column = f"json_field(s.attributes, {add(name)})"
    else:
        column = _TYPE if clause.key == "type" else f"s.{clause.key}"
    return compare_sql(column, clause.op, clause.value, add)


def compare_sql(column: str, op: str, value: Any, add: Add) -> str:
    """Return `column op value` in SQL."""
    if op in ("IS NULL", "IS NOT NULL"):
        return f"{column} {op}"
    if op in ("IN", "NOT IN"):
        return f"{column} {op} ({', '.join(add(each) for each in value)})"
    if op == "LIKE":
        return f"SUBSTR({column}, 1, {LIKE_CHARS}) LIKE {add(value)}"
    if op == "ILIKE":
        return f"LOWER(SUBSTR({column}, 1, {LIKE_CHARS})) LIKE LOWER({add(value)})"
    if op == "RLIKE":
        return f"matches(SUBSTR({column}, 1, {RLIKE_CHARS}), {add(value)})"
    return f"{column} {op} {add(value)}"


def order_sql(order: Order, add: Add) -> str:
    """Return the expression to order `traces t` by."""
    if column := _COLUMNS.get((order.kind, order.key)):
        return column
    return f"({_label(order.kind, add(order.key), 'l.value')})"


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
