"""Counting what GET /traces would list, and what it has in common."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from gateway.storage.engine import Engine
from gateway.storage.scripts import counts
from gateway.storage.scripts.counts import Facets, count_part, count_traces, get_facets
from gateway.storage.scripts.feedback import record_feedback
from gateway.storage.scripts.traces import begin_trace
from tests.support.queries import a_query
from tests.support.rows import PROJECT, a_rating, a_start, a_write


async def count(engine: Engine, text: str = "", most: int | None = 100, **over: Any) -> int:
    number, more = await engine.search(PROJECT, count_traces, a_query(text, **over), most)
    return number + more


async def facets(engine: Engine, text: str = "", most: int = 100, **over: Any) -> Facets:
    return await engine.search(PROJECT, get_facets, a_query(text, **over), most)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("", 10),
        ("tags.odd = 'yes'", 5),
        ("NOT tags.odd = 'yes'", 5),
        ("feedback.user_feedback = 'true'", 2),
        ("feedback.user_feedback = 'true' OR tags.odd = 'yes'", 6),
        ("feedback.user_feedback = 'true' AND tags.odd = 'yes'", 1),
        ("outcome = 'stopped'", 1),
        ("outcome IN ('stopped', 'timeout')", 1),
        ("model = 'none'", 0),
    ],
)
async def test_counts(engine: Engine, chats: list[str], text: str, number: int) -> None:
    """Each trace once, whatever an index has of it."""
    await engine.write(record_feedback, a_write(chats[1], a_rating(value=True), source_id="bob"))
    assert await count(engine, text) == await count(engine, text, None) == number
    assert await count(engine, text, 3) == min(number, 4)


async def test_counts_of_some(engine: Engine, chats: list[str]) -> None:
    """By time, text and experiment."""
    assert await count(engine, from_=1_003, to=1_005) == 2
    assert await count(engine, q="question 4") == 1
    assert await count(engine, experiment="7") == 0


async def test_what_they_have_in_common(engine: Engine, chats: list[str]) -> None:
    """Of all, and of those that a filter leaves; what only others have is named."""
    found = await facets(engine)
    assert (found.counted, found.more) == (10, False)
    assert found.models == {"default": 10}
    assert found.outcomes == {"complete": 9, "stopped": 1}
    assert found.tags == {"odd": 5}
    assert [(one.name, one.kind, one.count) for one in found.assessments] == [
        ("user_feedback", "feedback", 3),
        ("user_score", "feedback", 3),
    ]
    assert found.assessments[0].values == [(True, 2), (False, 1)]
    found = await facets(engine, "NOT tags.odd = 'yes' AND feedback.user_feedback IS NOT NULL")
    assert (found.counted, found.outcomes, found.tags) == (2, {"complete": 2, "stopped": 0}, {"odd": 0})
    assert sorted(found.assessments[0].values) == [(False, 1), (True, 1)]
    found = await facets(engine, experiment="7")
    assert (found.counted, found.models, [one.count for one in found.assessments]) == (0, {}, [0, 0])


async def test_facets_have_a_bound(engine: Engine, chats: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of traces, and of names that are told apart."""
    found = await facets(engine, most=4)
    assert (found.counted, found.more, found.models) == (4, True, {"default": 4})
    monkeypatch.setattr(counts, "_NAMES", 1)
    found = await facets(engine, from_=9_999)
    assert [one.name for one in found.assessments] == ["user_feedback"]


async def test_names_of_what_is_no_longer_valid(engine: Engine) -> None:
    """They are not offered."""
    start = a_start()
    await engine.write(begin_trace, start)
    await engine.write(record_feedback, a_write(start.trace_id, a_rating(name="gone")))
    await engine.write(_invalidate)
    assert (await facets(engine)).assessments == []


def _invalidate() -> Any:
    yield "UPDATE assessments SET valid = 0", ()


async def test_only_so_many_are_tested(engine: Engine, chats: list[str]) -> None:
    """Where no index answers: then there may be more."""
    for text, tested, found in (
        ("model = 'default'", 3, (4, True)),
        ("model = 'default'", 99, (10, False)),
        ("tags.odd = 'yes'", 3, (5, False)),
        ("outcome = 'stopped'", 3, (1, False)),
        ("", 3, (10, False)),
    ):
        query = replace(a_query(text), tested=tested)
        assert await engine.search(PROJECT, count_traces, query, 100) == found
        facets = await engine.search(PROJECT, get_facets, query, 100)
        assert (facets.counted, facets.more) == found


@pytest.mark.parametrize("text", ["", "model = 'default'", "NOT tags.odd = 'yes'", "tags.odd = 'yes'"])
async def test_counts_in_parts(engine: Engine, chats: list[str], text: str) -> None:
    """Together they are the count."""
    query = replace(a_query(text), tested=3)
    parts: list[int] = []
    edge: int | None = 2_000
    while edge is not None:
        part, edge = await engine.search(PROJECT, count_part, replace(query, until=edge))
        parts.append(part)
    assert sum(parts) == await count(engine, text)
    assert len(parts) == (1 if text.startswith("tags") else 3)
    assert await engine.search(PROJECT, count_part, a_query(experiment="7")) == (0, None)
