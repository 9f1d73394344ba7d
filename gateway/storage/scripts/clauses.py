"""The conditions and orders of a search over traces, as SQL. Plain functions without I/O; called by search.py.

`add` takes a parameter of the statement and returns its placeholder. Every condition is one on `traces t`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from gateway.domain import names
from gateway.domain.names import (
    ATTEMPT_TYPE,
    LINKED_PROMPTS,
    OUTCOME,
    ROOT_TYPE,
    SOURCE_RUN,
    TRACE_NAME,
    TRACE_SESSION,
    TRACE_USER,
)
from gateway.domain.patterns import LIKE_CHARS, RLIKE_CHARS
from gateway.domain.search import Clause, Expression, Group, LeftOut, Negation, Order
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
    ("attribute", "first_token_ms"): "t.first_token_ms",
    ("attribute", "tokens"): "t.total_tokens",
    ("tag", TRACE_NAME): _NAME,
    ("metadata", TRACE_SESSION): "NULLIF(t.session_id, '')",
    ("metadata", TRACE_USER): "t.user_id",
    ("metadata", OUTCOME): "t.outcome",
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


def indexed_sql(project: str, condition: Expression, add: Add) -> str | None:
    """Return a table and conditions, by an index, in which are all traces that meet the condition; None without one."""
    return _indexed(project, condition, add) if _has_index(condition) else None


def _has_index(condition: Expression) -> bool:
    if isinstance(condition, Group):
        return (any if condition.op == "AND" else all)(map(_has_index, condition.parts))
    if isinstance(condition, Negation) or condition.op != "=" or len(str(condition.value)) > _INDEXED_CHARS:
        return False
    name = (condition.kind, condition.key)
    return condition.kind in ("tag", "metadata", "feedback", "expectation") and name not in _COLUMNS and name != RUN


def _indexed(project: str, condition: Expression, add: Add) -> str:
    if isinstance(condition, Group):
        parts = [part for part in condition.parts if _has_index(part)]
        tables = [_indexed(project, part, add) for part in (parts[:1] if condition.op == "AND" else parts)]
        every = " UNION ALL ".join(f"SELECT trace_id FROM {table}" for table in tables)  # noqa: S608  our own words
        return f"({every}) AS every" if len(tables) > 1 else tables[0]
    assert isinstance(condition, Clause)  # noqa: S101  a negation has no index
    kind, value = condition.kind, condition.value
    if kind in ("tag", "metadata"):
        return (
            f"labels WHERE project = {add(project)} AND kind = '{kind}' AND key = {add(condition.key)}"
            f" AND value = {add(value)} AND {INDEXED}"
        )
    return (
        f"assessments WHERE project = {add(project)} AND name = {add(condition.key)}"
        f" AND value IN ({add(value)}, {add(_json(value))}) AND {INDEXED} AND kind = '{kind}' AND valid = 1"
    )


def all_sql(project: str, conditions: Iterable[Expression], add: Add) -> list[str]:
    """Return conditions that must all hold. Those on spans are met by one span."""
    conditions = list(conditions)
    found = [_condition(project, each, add) for each in conditions if not _on_span(each)]
    on_spans = [each for each in conditions if isinstance(each, Clause) and each.kind == "span"]
    return [*found, spans_sql(on_spans, add)] if on_spans else found


def _on_span(condition: Expression) -> bool:
    return isinstance(condition, Clause) and condition.kind == "span"


def _condition(project: str, condition: Expression, add: Add) -> str:
    if isinstance(condition, Clause):
        return clause_sql(project, condition, add)
    if isinstance(condition, Negation):  # also of what is unknown, such as the outcome of a running chat
        return f"(({' AND '.join(all_sql(project, [condition.part], add))}) IS NOT TRUE)"
    if condition.op == "AND":
        return f"({' AND '.join(all_sql(project, condition.parts, add))})"
    return f"({' OR '.join(part for each in condition.parts for part in all_sql(project, [each], add))})"


def left_out_sql(what: Iterable[LeftOut]) -> list[str]:
    """Return the conditions under which a trace is none of these."""
    what = set(what)
    marks = [
        f"(l.key = '{names.CALLER}' AND l.value = '{value}')"
        for kind, value in (("judges", names.JUDGE), ("review", names.REVIEW))
        if kind in what
    ]
    marks += [f"l.key = '{names.COPY_OF}'"] if "copies" in what else []
    found = []
    if marks:
        found.append(
            "(t.metadata = '{}' OR NOT EXISTS (SELECT 1 FROM labels l WHERE l.trace_id = t.trace_id"  # noqa: S608
            f" AND l.kind = 'metadata' AND ({' OR '.join(marks)})))"
        )
    if "judges" in what:
        scored = _label("tag", f"'{names.SOURCE_SCORER}'")
        found.append(f"(t.route <> '{CLIENT_ROUTE}' OR NOT EXISTS ({scored}))")
    if "evaluations" in what:
        found.append(
            "NOT EXISTS (SELECT 1 FROM run_traces r JOIN run_values v ON v.run_id = r.run_id AND v.kind = 'tag'"  # noqa: S608
            f" AND v.key = '{names.RUN_TYPE}' AND v.value = '{names.EVALUATION}' WHERE r.trace_id = t.trace_id)"
        )
    return found


def text_sql(pattern: str, add: Add) -> str:
    """Return the condition that a preview has a part which the regular expression describes."""
    return f"(matches(t.request_preview, {add(pattern)}) OR matches(t.response_preview, {add(pattern)}))"


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


def order_sql(order: Order, add: Add) -> list[str]:
    """Return the expressions to order `traces t` by. Of a rating it is the best first as a number, then as text."""
    direction = f"{'ASC' if order.ascending else 'DESC'} NULLS LAST"
    if column := _COLUMNS.get((order.kind, order.key)):
        return [f"{column} {direction}"]
    if order.kind in ("feedback", "expectation"):
        best = "MIN" if order.ascending else "MAX"
        return [
            f"(SELECT {best}({value}) FROM assessments a WHERE a.trace_id = t.trace_id AND a.kind = '{order.kind}'"  # noqa: S608
            f" AND a.name = {add(order.key)} AND a.valid = 1) {direction}"
            for value in (_NUMBER, "a.value")
        ]
    return [f"({_label(order.kind, add(order.key), 'l.value')}) {direction}"]


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
