"""The query of GET /traces, parameter by parameter."""

from __future__ import annotations

import pytest

from gateway.domain.search import Clause, Order, TraceQuery
from gateway.errors import InvalidValue
from gateway.wire.trace_query import LEFT_OUT, PAGE, QUERY, read_flag, read_trace_query, read_when

ALL = (*QUERY, *PAGE)


def query(**given: str) -> TraceQuery:
    return read_trace_query([(name.rstrip("_"), value) for name, value in given.items()], "p", ALL)


def test_without_parameters() -> None:
    """The newest 50 of everything, without what is no one's chat."""
    assert query() == TraceQuery(project="p", experiment_ids=None, left_out=LEFT_OUT, tested=90_000, limit=50)
    assert query(filter="", q="", from_="", to="", experiment="", include="", order_by="", page_token="") == query()


def test_all_parameters() -> None:
    """Each in its place."""
    assert query(
        filter="status = 'OK'",
        q="a+b",
        from_="2026-11-27T21:00:00+01:00",
        to="1795798592661",
        experiment="0, 1,0",
        include="judges,copies",
        order_by="tags.`a,b` DESC, timestamp",
        limit="7",
        page_token="x",
    ) == TraceQuery(
        project="p",
        experiment_ids=("0", "1"),
        clauses=(Clause("attribute", "status", "=", "OK"),),
        orders=(Order("tag", "a,b", False), Order("attribute", "timestamp_ms", True)),
        since=1795809600000,
        until=1795798592661,
        text=r"(?i)a\+b",
        left_out=frozenset({"evaluations", "review"}),
        tested=30_000,
        limit=7,
        page_token="x",
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("filter", "nonsense"),
        ("q", "x" * 251),
        ("from", "yesterday"),
        ("from", "2026-11-27T21:00:00"),
        ("to", "1" * 16),
        ("experiment", ",".join(map(str, range(501)))),
        ("include", "everything"),
        ("order_by", "span.name"),
        ("limit", "0"),
        ("limit", "501"),
        ("limit", "many"),
        ("colour", "red"),
    ],
)
def test_each_bad_one_is_named(name: str, value: str) -> None:
    """All of them at once."""
    given = [(name, value), ("include", "x"), ("include", "x")]
    with pytest.raises(InvalidValue) as caught:
        read_trace_query(given if name != "include" else given[:1], "p", ALL)
    assert name in dict(caught.value.details)


@pytest.mark.parametrize(
    ("text", "time"),
    [("", None), ("0", 0), ("999999999999999", 253_402_300_800_000), ("1969-01-01T00:00:00Z", 0)],
)
def test_times(text: str, time: int | None) -> None:
    """Those that no trace can have are the first or the last that one can."""
    assert read_when(text) == time


def test_flags() -> None:
    """Yes or no, and nothing else."""
    assert [read_flag(text) for text in ("1", "true", "0", "false", "")] == [True, True, False, False, False]
    with pytest.raises(InvalidValue):
        read_flag("maybe")
