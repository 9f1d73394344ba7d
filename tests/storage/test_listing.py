"""Finding traces as GET /traces asks: conditions, places in the pages, what is left out, and how it is found."""

from __future__ import annotations

import itertools
import re
import sqlite3
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.domain.search import FoundTrace, LeftOut, TraceQuery
from gateway.errors import InvalidValue, NotFound
from gateway.storage.engine import Engine, Script
from gateway.storage.scripts import ordered
from gateway.storage.scripts import search as searches
from gateway.storage.scripts.counts import count_traces, get_facets
from gateway.storage.scripts.feedback import record_feedback
from gateway.storage.scripts.listing import get_span, get_tree, list_traces
from gateway.storage.scripts.traces import begin_trace, finish_trace
from gateway.storage.sqlite.engine import SQLiteStore
from gateway.storage.sqlite.writer import bind
from tests.support.queries import a_query
from tests.support.rows import PROJECT, a_rating, a_span, a_start, a_write, an_end, ask


async def find(engine: Engine, text: str = "", **over: Any) -> list[FoundTrace]:
    found, _ = await engine.search(PROJECT, list_traces, a_query(text, **over))
    return found


async def ids(engine: Engine, text: str = "", **over: Any) -> list[str]:
    return [each.trace.trace_id for each in await find(engine, text, **over)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "9876543210"),
        ("tags.odd = 'yes'", "97531"),
        ("NOT tags.odd = 'yes'", "86420"),
        ("tags.odd != 'yes'", ""),
        ("feedback.user_feedback = 'true' OR outcome = 'stopped'", "921"),
        ("feedback.user_feedback = 'true' OR tags.odd = 'yes'", "975321"),
        ("feedback.user_feedback = 'true' AND tags.odd = 'yes' OR feedback.user_feedback = 'false'", "10"),
        ("(feedback.user_feedback = 'true' OR feedback.user_feedback = 'false') AND NOT tags.odd = 'yes'", "20"),
        ("NOT (tags.odd = 'yes' OR trace.user = 'u0')", "842"),
        ("NOT feedback.user_feedback IS NOT NULL", "9876543"),
        ("NOT outcome IN ('stopped')", "876543210"),
        ("NOT client_request_id = 'x'", "9876543210"),
        ("NOT span.type = 'LLM'", ""),
        ("span.type = 'LLM' AND span.name = 'chat default' AND tokens = 3", "9876543210"),
        ("model = 'default' AND first_token_ms < 100", ""),
    ],
)
async def test_conditions(engine: Engine, chats: list[str], text: str, found: str) -> None:
    """NOT is the complement: it holds also for traces that lack what is asked about."""
    assert await ids(engine, text) == [chats[int(at)] for at in found]


async def test_texts_and_times(engine: Engine, chats: list[str]) -> None:
    """A text is found in either preview, in any case of its letters; the end of a time is not in it."""
    assert await ids(engine, q="question 4") == [chats[4]]
    assert len(await ids(engine, q="äRGER")) == 10
    assert await ids(engine, q="question .") == []
    assert await ids(engine, from_=1_003, to=1_005) == [chats[4], chats[3]]
    assert await ids(engine, "tags.odd = 'yes'", from_=1_003, to=1_005) == [chats[3]]


async def test_orders(engine: Engine, chats: list[str]) -> None:
    """A rating's numbers are ordered as numbers, and who has none comes last."""
    assert (await ids(engine, order_by="feedback.user_score"))[:3] == [chats[2], chats[1], chats[0]]
    assert (await ids(engine, order_by="feedback.user_score DESC"))[:3] == [chats[0], chats[1], chats[2]]
    assert (await ids(engine, order_by="feedback.user_feedback"))[:3] == [chats[0], chats[2], chats[1]]
    assert (await ids(engine, order_by="timestamp"))[:2] == [chats[0], chats[1]]


@pytest.mark.parametrize("most", [0, 50])
@pytest.mark.parametrize("direction", ["ASC", "DESC"])
async def test_pages_in_the_order_of_a_rating(
    engine: Engine, chats: list[str], monkeypatch: pytest.MonkeyPatch, direction: str, most: int
) -> None:
    """Value by value or by sorting: numbers as numbers, then texts, then those without; each trace once."""
    monkeypatch.setattr(ordered, "VALUES", most)
    for at, value in ((4, "b"), (5, "a"), (6, 9.5), (7, 100), (8, ["x"])):
        await engine.write(record_feedback, a_write(chats[at], a_rating(name="user_score", value=value)))
    seen: list[str] = []
    token: str | None = ""
    while token is not None:
        query = a_query(order_by=f"feedback.user_score {direction}", limit=3, page_token=token)
        page, token = await engine.search(PROJECT, list_traces, query)
        seen += [each.trace.trace_id for each in page]
    numbers, texts = [2, 1, 6, 0, 7], [5, 4, 8]
    if direction == "DESC":
        numbers, texts = numbers[::-1], texts[::-1]
    assert [chats.index(trace_id) for trace_id in seen] == [*numbers, *texts, 9, 3]
    with pytest.raises(InvalidValue):
        await engine.search(PROJECT, list_traces, a_query(order_by="feedback.user_score", page_token="?"))


async def test_only_valid_assessments(engine: Engine, chats: list[str]) -> None:
    """An overridden one is history."""
    await engine.write(record_feedback, a_write(chats[0], a_rating(value=True)))
    (rated,) = await find(engine, f"request_id = '{chats[0]}'")
    assert [one.value for one in rated.assessments if one.name == "user_feedback"] == [True]
    shown, _ = await engine.search(PROJECT, get_tree, PROJECT, chats[0], None, 10, history=True)
    assert [one.value for one in shown.assessments if one.name == "user_feedback"] == [False, True]


@pytest.mark.parametrize(("few", "walk"), [(5_000, 10_000), (0, 10_000), (0, 4)])
async def test_pages_of_several_experiments(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, few: int, walk: int
) -> None:
    """Each experiment has an order of its own: a page is of the newest of all."""
    monkeypatch.setattr(searches, "FEW", few)
    monkeypatch.setattr(searches, "WALK", walk)
    for experiment in ("1", "2"):
        await engine.write(
            ask, "INSERT INTO experiments VALUES ($1, $2, $3, 'active', 0, 0, '{}')", PROJECT, experiment, experiment
        )
    made = []
    for at in range(12):
        tags = {"mlflow.experimentId": str(at % 3), "third": str(at % 3), "all": "yes"}
        start = a_start(request_time=1_000 + at // 2, tags=tags)
        await engine.write(begin_trace, start)
        made.append((-start.request_time, start.trace_id, at % 3))
    for text, wanted in (
        ("", made),
        ("tags.all = 'yes'", made),
        ("tags.third = '1'", [one for one in made if one[2] == 1]),
    ):
        pages, token = [], ""
        while True:
            found, following = await engine.search(PROJECT, list_traces, a_query(text, limit=5, page_token=token))
            pages += [each.trace.trace_id for each in found]
            if following is None:
                break
            token = following
        assert pages == [trace_id for _, trace_id, _ in sorted(wanted)]
    assert len(await ids(engine, experiment="1,2")) == 8


async def test_the_newest_first_in_words(engine: Engine, chats: list[str]) -> None:
    """The same pages as without an order."""
    query = a_query(order_by="timestamp DESC", limit=4)
    page, token = await engine.search(PROJECT, list_traces, query)
    assert [each.trace.trace_id for each in page] == chats[:5:-1]
    page, _ = await engine.search(PROJECT, list_traces, a_query(limit=4, page_token=token))
    assert [each.trace.trace_id for each in page] == chats[5:1:-1]


async def test_pages_that_test_so_many(engine: Engine, chats: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no index answers, a page may have fewer, and none is lost."""
    monkeypatch.setattr(searches, "WALK", 5)
    await engine.write(ask, "INSERT INTO experiments VALUES ($1, '1', 'one', 'active', 0, 0, '{}')", PROJECT)
    other = a_start(request_time=1_004, tags={"mlflow.experimentId": "1"}, request_preview="Question 4")
    await engine.write(begin_trace, other)
    cases: list[tuple[str, dict[str, Any], list[str]]] = [
        ("trace.user = 'u0'", {}, [chats[9], chats[6], chats[3], chats[0]]),
        ("", {"q": "question 4"}, sorted([chats[4], other.trace_id])),
        ("", {"q": "nothing"}, []),
    ]
    for text, over, wanted in cases:
        sizes: list[int] = []
        seen: list[str] = []
        token: str | None = None
        while token is not None or not sizes:
            query = replace(a_query(text, **over), tested=4, limit=3, page_token=token)
            page, token = await engine.search(PROJECT, list_traces, query)
            sizes.append(len(page))
            seen += [each.trace.trace_id for each in page]
        assert seen == wanted
        assert len(sizes) > 2


async def test_what_is_no_ones_chat(engine: Engine, chats: list[str]) -> None:
    """Each kind is left out until it is asked for, and nothing else is."""
    marks = {"judges": {"gateway.caller": "judge"}, "review": {"gateway.caller": "review"}}
    marks |= {"copies": {"gateway.copy_of": chats[0]}}
    marked = {}
    for kind, metadata in marks.items():
        start = a_start(request_time=2_000, metadata=metadata)
        await engine.write(begin_trace, start)
        marked[kind] = start.trace_id
    other = a_start(request_time=3_000, metadata={"gateway.caller": "somebody"})
    await engine.write(begin_trace, other)
    marked["evaluations"] = chats[5]
    for run, kind, trace_id in (("r-1", "genai_evaluate", chats[5]), ("r-2", "other", chats[6])):
        await engine.write(ask, "INSERT INTO run_traces VALUES ($1, $2)", run, trace_id)
        await engine.write(ask, "INSERT INTO run_values VALUES ($1, 'tag', 'mlflow.runType', $2, 0, 0)", run, kind)
    usual = {*chats, other.trace_id} - {chats[5]}
    for count in range(5):
        for asked in itertools.combinations(marked, count):
            shown = {marked[kind] for kind in asked}
            assert set(await ids(engine, include=",".join(asked))) == usual | shown


async def test_what_a_clients_judge_traced_itself(engine: Engine) -> None:
    """By the tag that MLflow's clients give it; of a chat it says nothing."""
    tags = {"mlflow.trace.sourceScorer": "s"}
    own, chat = a_start(route="mlflow", tags=tags), a_start(tags=tags)
    for start in (own, chat):
        await engine.write(begin_trace, start)
    assert await ids(engine) == [chat.trace_id]
    assert set(await ids(engine, include="judges")) == {own.trace_id, chat.trace_id}


async def test_trees(engine: Engine) -> None:
    """The root first, then by time, some at once."""
    start = a_start()
    await engine.write(begin_trace, start)
    root = a_span(span_id=start.root_span_id)
    spans = [a_span(span_id=f"{at:016x}", parent_id=root.span_id, start_ms=1_000 + at) for at in range(1_200)]
    await engine.write(finish_trace, an_end(start, spans=(*reversed(spans), root)))
    seen, after = [], None
    for more in (True, True, False):
        found, tree = await engine.search(PROJECT, get_tree, PROJECT, start.trace_id, after, 550, history=False)
        assert (tree.count, tree.more) == (1_201, more)
        seen += [each.span_id for each in tree.spans]
        after = seen[-1]
    assert seen == [root.span_id, *(span.span_id for span in spans)]
    assert found.trace.trace_id == start.trace_id
    _, tree = await engine.search(PROJECT, get_tree, PROJECT, start.trace_id, "f" * 16, 550, history=False)
    assert tree.spans == []


async def test_a_span(engine: Engine) -> None:
    """The root has what was asked and answered; every other one has its own attributes alone."""
    start = a_start()
    end = an_end(start)
    await engine.write(begin_trace, start)
    await engine.write(finish_trace, end)
    root, attempt = end.spans
    held = await engine.search(PROJECT, get_span, PROJECT, start.trace_id, root.span_id)
    assert (held.request, held.response, held.branch.type) == (start.request, end.response, "CHAT_MODEL")
    held = await engine.search(PROJECT, get_span, PROJECT, start.trace_id, attempt.span_id)
    assert (held.request, held.response, held.branch.type) == (None, None, "LLM")
    for project, span_id in (("other", root.span_id), (PROJECT, "f" * 16)):
        with pytest.raises(NotFound):
            await engine.search(PROJECT, get_span, project, start.trace_id, span_id)
    with pytest.raises(NotFound):
        await engine.search(PROJECT, get_tree, "other", start.trace_id, None, 10, history=False)


def plans(store: SQLiteStore, query: TraceQuery) -> list[str]:
    """How SQLite would run each statement of a page, of its count and of its facets."""
    found: list[str] = []
    for script in (list_traces(query), count_traces(query, 100), get_facets(query, 100)):
        found += explained(store, script)
    return found


def explained(store: SQLiteStore, script: Script[Any]) -> list[str]:
    found: list[str] = []
    with sqlite3.connect(store.path) as connection:
        connection.row_factory = sqlite3.Row
        connection.create_function("matches", 2, lambda text, pattern: False)
        try:
            sql, params = next(script)
            while True:
                statement, given = bind(sql, params)
                found += [row["detail"] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", given)]
                sql, params = script.send(connection.execute(statement, given).fetchall())
        except StopIteration:
            return found


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (a_query(), "traces_newest"),
        (a_query(from_=1, to=2), "traces_newest"),
        (a_query(q="x"), "traces_newest"),
        (a_query(order_by="timestamp DESC"), "traces_newest"),
        (a_query("outcome = 'timeout'"), "traces_by_outcome"),
        (a_query("outcome = 'complete'"), "traces_newest"),
        (a_query("feedback.user_feedback = 'true'"), "assessments_of_value"),
        (a_query("feedback.user_feedback = 'true' OR tags.a = 'b'"), "labels_of_value"),
        (a_query("trace.session = 's'"), "traces_of_session"),
        (a_query("tags.a = 'b'"), "labels_of_value"),
    ],
    ids=lambda given: given if isinstance(given, str) else f"{given.clauses and given.clauses[0]}"[:40],
)
async def test_plans(store: SQLiteStore, query: TraceQuery, index: str) -> None:
    """No page reads a table from one end to the other, and none of the usual order is sorted that an index has."""
    found = plans(store, query)
    assert [line for line in found if index in line]
    # No table is read from one end to the other, nor all that is one project's.
    assert not [
        line for line in found if re.search(r"SCAN (traces|t|a|l|s)\b|(traces|t|labels) .*\(project=\?\)$", line)
    ]
    if index in ("traces_newest", "traces_by_outcome"):
        assert not [line for line in found if "TEMP B-TREE" in line and "ORDER BY" in line]


def test_every_kind_is_named() -> None:
    """What may be left out, in the query's own words."""
    kinds: set[LeftOut] = {"judges", "evaluations", "review", "copies"}
    assert a_query().left_out == kinds
