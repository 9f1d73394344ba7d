"""The transaction script of MLflow's search over traces, a page at a time. Run by handlers/traces.py.

How a page is found is storage/scripts/search.py's. See gateway/storage/engine.py for what a script is.
"""

from __future__ import annotations

from gateway.domain.search import TraceQuery
from gateway.mlflow.scripts.traces import with_assessments
from gateway.mlflow.values import StoredTrace
from gateway.storage.engine import Script
from gateway.storage.scripts.listing import SELECT_INFO
from gateway.storage.scripts.search import find_page
from gateway.storage.scripts.traces import numbers


def search_traces(query: TraceQuery) -> Script[tuple[list[StoredTrace], str | None]]:
    """Return a page of traces, and the token of the next page or None. Raise InvalidValue for a bad token."""
    ids, token = yield from find_page(query)
    if not ids:
        return [], None
    found = yield f"{SELECT_INFO} WHERE trace_id IN ({numbers(1, len(ids))})", ids
    by_id = {row["trace_id"]: row for row in found}
    return (yield from with_assessments(query.project, [by_id[each] for each in ids if each in by_id])), token
