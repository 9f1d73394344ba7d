"""The routes that list and show traces, for the app and for programs: who looks has the role review or admin.

What is read is one project's. A read that may take long waits for its project's turn, and ends when its caller leaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, TypeVar

import msgspec

from gateway.domain.ids import TRACE_ID
from gateway.errors import InvalidValue, NotFound
from gateway.storage.engine import Script
from gateway.storage.scripts.counts import count_traces, get_facets
from gateway.storage.scripts.listing import NO_SUCH_TRACE, Branch, get_span, get_tree, list_traces
from gateway.web.binding import while_there
from gateway.web.request import Request
from gateway.web.responses import JSONResponse, Response
from gateway.wire.rating_body import refuse
from gateway.wire.span_content import Content, write_span
from gateway.wire.trace_query import PAGE, QUERY, read_flag, read_trace_query
from gateway.wire.traces import (
    AssessmentFacet,
    CountReply,
    FacetsReply,
    SpanItem,
    TracePage,
    ValueCount,
    trace_detail,
    trace_item,
)

P = ParamSpec("P")
T = TypeVar("T")
TREE = 2_000  # spans at once
MOST = 10_000  # traces that are counted


async def search(request: Request, script: Callable[P, Script[T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a script that may read much, while the caller is there. Raise as `Engine.search` does, and ClientGone."""
    async with while_there(request):
        return await request.services.store.search(request.principal.project, script, *args, **kwargs)


async def traces(request: Request) -> Response:
    """List traces, a page at a time."""
    query = read_trace_query(request.query(), request.principal.project, (*QUERY, *PAGE))
    found, token = await search(request, list_traces, query)
    return JSONResponse(TracePage([trace_item(each) for each in found], token))


async def count(request: Request) -> Response:
    """Count the traces that a list would show."""
    query = read_trace_query(request.query(), request.principal.project)
    return JSONResponse(CountReply(_at_least(*await search(request, count_traces, query, MOST))))


async def facets(request: Request) -> Response:
    """Tell what the traces that a list would show have in common."""
    query = read_trace_query(request.query(), request.principal.project)
    found = await search(request, get_facets, query, MOST)
    models = dict(found.models)
    for name in request.services.config.models:
        models.setdefault(name, 0)
    return JSONResponse(
        FacetsReply(
            _at_least(found.counted, found.more),
            [AssessmentFacet(one.name, one.kind, one.count, _counts(one.values)) for one in found.assessments],
            _counts(models.items()),
            _counts(found.outcomes.items()),
            _counts(found.tags.items()),
        )
    )


def _at_least(count: int, more: bool) -> int | str:
    return f"{count}+" if more else count


def _counts(pairs: Iterable[tuple[Any, int]]) -> list[ValueCount]:
    return [ValueCount(value, count) for value, count in pairs]


async def trace(request: Request) -> Response:
    """Show a trace with its assessments and the tree of its spans."""
    trace_id, given = _trace_id(request), _flags(request, "history", "span_token")
    found, tree = await search(
        request,
        get_tree,
        request.principal.project,
        trace_id,
        given.get("span_token") or None,
        TREE,
        history=read_flag(given.get("history", "0")),
    )
    spans = [_item(each) for each in tree.spans]
    return JSONResponse(trace_detail(found, spans, tree.count, spans[-1].span_id if tree.more else None))


async def span(request: Request) -> Response:
    """Show what a span holds."""
    trace_id, given = _trace_id(request), _flags(request, "full")
    full = read_flag(given.get("full", "0"))
    held = await search(request, get_span, request.principal.project, trace_id, request.path_params["span_id"])
    content = Content(**{name: getattr(held, name) for name in Content.__struct_fields__})
    reply = await asyncio.to_thread(write_span, trace_id, _item(held.branch), content, full=full)
    return Response(reply, media_type="application/json")


def _trace_id(request: Request) -> str:
    trace_id: str = request.path_params["trace_id"]
    if not TRACE_ID.fullmatch(trace_id):
        raise NotFound(NO_SUCH_TRACE)
    return trace_id


def _flags(request: Request, *known: str) -> dict[str, str]:
    """Return the query's parameters. Raise InvalidValue for one that isn't known, and for a flag that is neither."""
    given = request.query_dict()
    problems = [(name, "is no parameter of this route") for name in given if name not in known]
    for name in ("history", "full"):
        try:
            read_flag(given.get(name, "0"))
        except InvalidValue as error:
            problems.append((name, error.message))
    if problems:
        refuse(problems)
    return given


def _item(branch: Branch) -> SpanItem:
    fields = msgspec.structs.asdict(branch)
    return SpanItem(start=fields.pop("start_ms"), end=fields.pop("end_ms"), **fields)
