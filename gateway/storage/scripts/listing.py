"""Transaction scripts that read traces as people look at them: a page of a list, one trace, its tree of spans.

What is long is never read with a list or a tree: questions and answers as a whole, and what spans hold. Called by
web/traces.py. See gateway/storage/engine.py for what a script is.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.domain.names import ATTEMPT_TYPE, ROOT_TYPE
from gateway.domain.search import FoundTrace, TraceQuery
from gateway.domain.trace import Assessment, Trace
from gateway.errors import NotFound
from gateway.storage.engine import Row, Script
from gateway.storage.scripts.attachments import whole_request
from gateway.storage.scripts.feedback import to_assessment
from gateway.storage.scripts.ordered import find_in_order
from gateway.storage.scripts.traces import CLIENT_ROUTE, numbers, to_trace

_SHORT = [name for name in Trace.__struct_fields__ if name not in {"usage", "request", "response", "parts"}]
_INFO = ", ".join((*_SHORT, "prompt_tokens", "completion_tokens", "total_tokens", "experiment_id", "name"))
SELECT_INFO = f"SELECT {_INFO}, NULL AS request, NULL AS response, NULL AS parts FROM traces"  # noqa: S608  our own names
_CHUNK = 500  # IDs a statement
NO_SUCH_TRACE = "There is no such trace."
# A root goes first: a span that it calls may begin within the same millisecond.
_TREE_ORDER = "CASE WHEN parent_id IS NULL THEN 0 ELSE 1 END, start_ms, span_id"
_TYPE = f"COALESCE(type, CASE WHEN parent_id IS NULL THEN '{ROOT_TYPE}' ELSE '{ATTEMPT_TYPE}' END) AS type"
_BRANCH = f"span_id, parent_id, name, start_ms, end_ms, status, {_TYPE}"


class Branch(msgspec.Struct, frozen=True):
    """One span of a tree, without what it holds."""

    span_id: str
    parent_id: str | None
    name: str
    start_ms: int
    end_ms: int
    status: str
    type: str


class Tree(msgspec.Struct, frozen=True):
    """A page of a trace's spans, how many there are in all, and whether more follow."""

    spans: list[Branch]
    count: int
    more: bool


class SpanContent(msgspec.Struct, frozen=True, kw_only=True):
    """One span with what it holds, as JSON texts: a client's in `otlp`, and a chat's in the others."""

    branch: Branch
    message: str | None
    attributes: str
    otlp: str | None
    request: str | None  # of a chat's root span, and None of others
    response: str | None


def list_traces(query: TraceQuery) -> Script[tuple[list[FoundTrace], str | None]]:
    """Return a page of traces with their valid assessments, and the token of the next page or None.

    Raise InvalidValue for a bad token.
    """
    ids, token = yield from find_in_order(query)
    return (yield from found_traces(query.project, ids)), token


def found_traces(project: str, ids: Sequence[str], *, history: bool = False) -> Script[list[FoundTrace]]:
    """Return the traces of these IDs, at most 500, in their order. `history`: also assessments that aren't valid."""
    if not ids:
        return []
    rows = yield f"{SELECT_INFO} WHERE no_index(project) = $1 AND trace_id IN ({numbers(2, len(ids))})", (project, *ids)
    by_id = {row["trace_id"]: row for row in rows}
    given = yield (
        f"SELECT * FROM assessments WHERE trace_id IN ({numbers(2, len(ids))}) AND no_index(project) = $1"  # noqa: S608  numbers
        f"{'' if history else ' AND valid = 1'} ORDER BY create_time, assessment_id",
        (project, *ids),
    )
    ratings: dict[str, list[Assessment]] = {}
    for row in given:
        ratings.setdefault(row["trace_id"], []).append(to_assessment(row))
    return [_found(by_id[each], tuple(ratings.get(each, ()))) for each in ids if each in by_id]


def _found(row: Row, assessments: tuple[Assessment, ...]) -> FoundTrace:
    return FoundTrace(
        trace=to_trace(row),
        experiment_id=row["experiment_id"],
        name=row["name"],
        client_made=row["route"] == CLIENT_ROUTE,
        assessments=assessments,
    )


def get_tree(
    project: str, trace_id: str, after: str | None, limit: int, *, history: bool
) -> Script[tuple[FoundTrace, Tree]]:
    """Return a trace with `limit` of its spans: those after the span `after`, or the first. Raise NotFound."""
    found = yield from found_traces(project, [trace_id], history=history)
    if not found:
        raise NotFound(NO_SUCH_TRACE)
    keys = yield f"SELECT span_id FROM spans WHERE trace_id = $1 ORDER BY {_TREE_ORDER}", (trace_id,)  # noqa: S608
    ids = [row["span_id"] for row in keys]
    begin = 0 if after is None else ids.index(after) + 1 if after in ids else len(ids)
    spans: list[Branch] = []
    for at in range(begin, min(begin + limit, len(ids)), _CHUNK):
        chunk = ids[at : min(at + _CHUNK, begin + limit)]
        rows = yield (
            f"SELECT {_BRANCH} FROM spans WHERE trace_id = $1 AND span_id IN ({numbers(2, len(chunk))})"  # noqa: S608
            f" ORDER BY {_TREE_ORDER}",
            (trace_id, *chunk),
        )
        spans += [_branch(row) for row in rows]
    return found[0], Tree(spans, len(ids), begin + limit < len(ids))


def get_span(project: str, trace_id: str, span_id: str) -> Script[SpanContent]:
    """Return a span with what it holds. Raise NotFound for the trace and for the span."""
    traces = yield "SELECT route FROM traces WHERE trace_id = $1 AND project = $2", (trace_id, project)
    if not traces:
        raise NotFound(NO_SUCH_TRACE)
    rows = yield (
        f"SELECT {_BRANCH}, message, attributes, otlp FROM spans WHERE trace_id = $1 AND span_id = $2",  # noqa: S608
        (trace_id, span_id),
    )
    if not rows:
        raise NotFound("This trace has no such span.")
    request = response = None
    if rows[0]["parent_id"] is None and traces[0]["route"] != CLIENT_ROUTE:
        said = yield "SELECT trace_id, request, response FROM traces WHERE trace_id = $1", (trace_id,)
        request, response = (yield from whole_request(said[0])), said[0]["response"]
    return SpanContent(
        branch=_branch(rows[0]),
        message=rows[0]["message"],
        attributes=rows[0]["attributes"],
        otlp=rows[0]["otlp"],
        request=request,
        response=response,
    )


def _branch(row: Row) -> Branch:
    return Branch(**{name: row[name] for name in Branch.__struct_fields__})
