"""A search over traces: what it asks for, whatever that was written in, and what it finds. Values, without I/O.

Queries are made by the codecs (wire/filter.py, wire/trace_query.py), and run by storage/scripts/search.py.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from gateway.domain.trace import Assessment, Trace

Kind = Literal[
    "attribute", "tag", "metadata", "span", "feedback", "expectation", "issue",  # of traces
    "metric", "param", "dataset",  # of runs, beside attributes and tags
]  # fmt: skip
Value = str | int | float | tuple[str, ...] | None
LeftOut = Literal["judges", "evaluations", "review", "copies"]  # traces that are no one's chat


class Clause(msgspec.Struct, frozen=True):
    """One condition of a filter. `value` is None for IS NULL and IS NOT NULL, a tuple for IN and NOT IN."""

    kind: Kind
    key: str
    op: str
    value: Value


class Group(msgspec.Struct, frozen=True):
    """Conditions of which all must hold, or one. Those on spans that stand in one AND are met by one span."""

    op: Literal["AND", "OR"]
    parts: tuple[Expression, ...]


class Negation(msgspec.Struct, frozen=True):
    """The complement of a condition: it holds for every trace for which that doesn't."""

    part: Expression


Expression = Clause | Group | Negation


class Order(msgspec.Struct, frozen=True):
    """One item of `order_by`."""

    kind: Kind
    key: str
    ascending: bool


class TraceQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A search over traces, and which page of it. All of `clauses` must hold.

    `experiment_ids` None: all of the project. `since` is the first millisecond, and `until` the one after the last.
    `text` is a regular expression that the question or the answer must show within its preview. `tested`: so many
    traces at most are looked at for a page that no index can give; it may then have fewer, and another one follows.
    """

    project: str
    experiment_ids: tuple[str, ...] | None
    clauses: tuple[Expression, ...] = ()
    orders: tuple[Order, ...] = ()
    since: int | None = None
    until: int | None = None
    text: str | None = None
    left_out: frozenset[LeftOut] = frozenset()
    tested: int | None = None
    limit: int = 100
    page_token: str | None = None


class FoundTrace(msgspec.Struct, frozen=True, kw_only=True):
    """A trace as lists show it: without content and spans. `name` is a client's, and None of a chat."""

    trace: Trace
    experiment_id: str
    name: str | None
    client_made: bool
    assessments: tuple[Assessment, ...] = ()
