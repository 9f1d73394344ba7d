"""Transaction scripts over the spans of clients' traces: store them a few at a time, and keep the sum of their tokens.

A span's count stands for those of the spans below it, which are `covered`. Spans come in any order, so a count may come
after those that it covers: from there on down they are covered once, and never looked at again. So a request's work is
that of its own spans, however many a trace has. See gateway/storage/engine.py for what a script is. Run by
handlers/otlp.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from gateway.mlflow.names import INFO_FINALIZED, TRACE_USAGE
from gateway.mlflow.scripts.experiments import require_active
from gateway.mlflow.scripts.traces import fill_gaps, row_or_new, update, writable_row
from gateway.mlflow.values import ClientSpan, ClientTrace
from gateway.storage.engine import Script, Statement
from gateway.storage.scripts.traces import add_labels, numbers, strings, to_json

FEW = 200  # spans that are covered at once, so that nobody's write waits long
Below = tuple[str, list[str]]  # a trace, and spans of it whose children are yet to be covered
_FIELDS = tuple(name for name in ClientSpan.__struct_fields__ if name != "values")
_SPAN = (
    f"INSERT INTO spans (trace_id, kind, {', '.join(_FIELDS)}, covered)"  # noqa: S608  our own names
    f" VALUES ($1, 'INTERNAL', {numbers(2, len(_FIELDS) + 1)}) ON CONFLICT (trace_id, span_id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in (*_FIELDS[1:], "covered"))
)
_COUNTS = msgspec.json.Decoder(dict[str, int])


def check_writable(project: str, traces: Sequence[ClientTrace]) -> Script[None]:
    """Raise NotFound for an experiment, and InvalidValue for a trace that isn't this project's to write."""
    for experiment_id in {trace.experiment_id for trace in traces}:
        yield from require_active(project, experiment_id)
    for trace in traces:
        yield from writable_row(project, trace.trace_id)


def save_spans(project: str, traces: Sequence[tuple[ClientTrace, list[ClientSpan]]], now: int) -> Script[list[Below]]:
    """Store spans, each list with what it tells of its trace, and return what `cover` has still to do.

    All of them or none. Raise as `check_writable` does.
    """
    yield from check_writable(project, [trace for trace, _ in traces])
    left: list[Below] = []
    for trace, spans in traces:
        row = yield from row_or_new(project, trace)
        yield from update(project, fill_gaps(trace, row), row, now)
        # Once the client's info is there, the tokens are what it says.
        if below := (yield from _add(project, trace.trace_id, spans, INFO_FINALIZED not in strings(row["metadata"]))):
            left.append((trace.trace_id, below))
    return left


def _add(project: str, trace_id: str, spans: Sequence[ClientSpan], counting: bool) -> Script[list[str]]:
    near = {span.span_id for span in spans} | {span.parent_id for span in spans if span.parent_id}
    known: dict[str, tuple[str | None, int]] = {}  # tokens, covered
    if counting:
        rows = yield (
            f"SELECT span_id, tokens, covered FROM spans WHERE trace_id = $1 AND span_id IN ({numbers(2, len(near))})",  # noqa: S608
            (trace_id, *near),
        )
        known = {row["span_id"]: (row["tokens"], row["covered"]) for row in rows}
    change: Counter[str] = Counter()
    above: list[str] = []
    for span in spans:
        before, was_covered = known.get(span.span_id, (None, 0))
        parent = known.get(span.parent_id) if span.parent_id and span.parent_id != span.span_id else None
        covered = int(bool(was_covered or (parent is not None and (parent[0] is not None or parent[1]))))
        tokens = span.tokens if span.tokens is not None else before
        fields = [getattr(span, name) for name in _FIELDS[:-1]]
        yield _SPAN, (trace_id, *fields, tokens, covered)
        if not counting:
            continue
        known[span.span_id] = (tokens, covered)
        if before is not None and not was_covered:
            change.subtract(_COUNTS.decode(before))
        if tokens is not None and not covered:
            change.update(_COUNTS.decode(tokens))
        if tokens is not None or covered:
            above.append(span.span_id)
    yield from _change_total(project, trace_id, change)
    return (yield from cover(project, (trace_id, above))) if above else []


def cover(project: str, below: Below) -> Script[list[str]]:
    """Cover the next FEW spans below those given, or so; return those whose children may still be uncovered."""
    trace_id, above = below
    change: Counter[str] = Counter()
    done = 0
    while above and done < FEW:
        rows = yield children(trace_id, above[:FEW])
        found = [row["span_id"] for row in rows]
        if found:
            yield (
                f"UPDATE spans SET covered = 1 WHERE trace_id = $1 AND span_id IN ({numbers(2, len(found))})",  # noqa: S608
                (trace_id, *found),
            )
        for row in rows:
            if row["tokens"] is not None:
                change.subtract(_COUNTS.decode(row["tokens"]))
        if len(found) < FEW:
            above = above[FEW:]
        above = [*found, *above]
        done += len(found) + 1
    yield from _change_total(project, trace_id, change)
    return above


def children(trace_id: str, above: Sequence[str]) -> Statement:
    """Return the query for FEW uncovered spans whose parents are given."""
    return (
        f"SELECT span_id, tokens FROM spans WHERE trace_id || '/' || parent_id IN ({numbers(2, len(above))})"  # noqa: S608
        " AND otlp IS NOT NULL AND covered = 0 AND span_id <> parent_id LIMIT $1",
        (FEW, *(f"{trace_id}/{span_id}" for span_id in above)),
    )


def _change_total(project: str, trace_id: str, change: Counter[str]) -> Script[None]:
    if not any(change.values()):
        return
    rows = yield "SELECT metadata FROM traces WHERE trace_id = $1", (trace_id,)
    metadata = strings(rows[0]["metadata"])
    total = Counter(_COUNTS.decode(metadata.get(TRACE_USAGE, "{}")))
    total.update(change)
    pair = {TRACE_USAGE: to_json({name: number for name, number in total.items() if number})}
    yield "UPDATE traces SET metadata = $2 WHERE trace_id = $1", (trace_id, to_json(metadata | pair))
    yield from add_labels(project, trace_id, "metadata", pair)
