"""The three words that stand for what engines say differently: either engine answers them alike."""

from __future__ import annotations

import pytest

from gateway.storage.engine import Engine
from gateway.storage.scripts.traces import begin_trace, finish_trace
from tests.support.rows import PROJECT, a_span, a_start, an_end, ask


@pytest.mark.parametrize(
    ("condition", "params", "holds"),
    [
        ("json_field(s.attributes, $1) = $2", ("gen_ai.model", "small"), True),
        ("json_field(s.attributes, $1) = $2", ("gen_ai.model", "large"), False),
        ("json_field(s.attributes, $1) IS NULL", ("model",), True),
        ("matches(s.name, $1)", ("^chat .*t$",), True),
        ("matches(s.name, $1)", ("^default",), False),
        ("no_index(s.trace_id) = s.trace_id AND s.kind = $1", ("SERVER",), True),
    ],
)
async def test_words(engine: Engine, condition: str, params: tuple[str, ...], holds: bool) -> None:
    """A field of JSON with a dot in its name, a regular expression, and a column without its indexes."""
    start = a_start()
    span = a_span(span_id=start.root_span_id, attributes={"gen_ai.model": "small"})
    await engine.write(begin_trace, start)
    await engine.write(finish_trace, an_end(start, spans=(span,)))
    found = await engine.search(PROJECT, ask, f"SELECT s.span_id FROM spans s WHERE {condition}", *params)  # noqa: S608
    assert found == ([(span.span_id,)] if holds else [])
