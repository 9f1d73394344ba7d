"""Searches over traces as a query of GET /traces asks for them."""

from __future__ import annotations

from typing import Any

from gateway.domain.search import TraceQuery
from gateway.wire.trace_query import PAGE, QUERY, read_trace_query
from tests.support.rows import PROJECT


def a_query(text: str = "", **over: Any) -> TraceQuery:
    """One by its filter and other parameters; `from_` is `from`."""
    given = {"filter": text} | {name.rstrip("_"): str(value) for name, value in over.items()}
    return read_trace_query(given.items(), PROJECT, (*QUERY, *PAGE))
