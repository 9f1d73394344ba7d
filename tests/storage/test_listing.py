"""Finding traces as GET /traces asks: conditions, places in the pages, what is left out, and how it is found."""

from __future__ import annotations

import itertools
import sqlite3
from typing import Any

import pytest

from gateway.domain.search import FoundTrace, LeftOut, TraceQuery
from gateway.domain.trace import Outcome
from gateway.errors import NotFound
from gateway.storage.engine import Engine
from gateway.storage.scripts import search as searches
from gateway.storage.scripts.feedback import record_feedback
from gateway.storage.scripts.listing import get_span, get_tree, list_traces
from gateway.storage.scripts.search import find_page
from gateway.storage.scripts.traces import begin_trace, finish_trace
from gateway.storage.sqlite.engine import SQLiteStore
from gateway.storage.sqlite.writer import bind
from gateway.wire.trace_query import PAGE, QUERY, read_trace_query
from tests.support.rows import PROJECT, a_rating, a_span, a_start, a_write, an_end, ask


def a_query(text: str = "", **over: Any) -> TraceQuery:
    given = {"filter": text} | {name.rstrip("_"): str(value) for name, value in over.items()}
    return read_trace_query(given.items(), PROJECT, (*QUERY, *PAGE))


async def find(store: Engine, text: str = "", **over: Any) -> list[FoundTrace]:
    found, _ = await store.search(PROJECT, list_traces, a_query(text, **over))
    return found


async def ids(store: Engine, text: str = "", **over: Any) -> list[str]:
    return [each.trace.trace_id for each in await find(store, text, **over)]


@pytest.fixture
async def chats(store: SQLiteStore) -> list[str]:
    """Ten chats, the oldest first: the odd ones are tagged, the first three rated, the last stopped."""
    made = []
    for at in range(10):
        tags = {"odd": "yes"} if at % 2 else {}
        start = a_start(request_time=1_000 + at, tags=tags, user_id=f"u{at % 3}", request_preview=f"Question {at}")
        await store.write(begin_trace, start)
        outcome = Outcome.STOPPED if at == 9 else Outcome.COMPLETE
        await store.write(finish_trace, an_end(start, outcome=outcome, response_preview="Ärger"))
        if at < 3:
            await store.write(record_feedback, a_write(start.trace_id, a_rating(value=at > 0)))
            await store.write(record_feedback, a_write(start.trace_id, a_rating(name="user_score", value=10 - at)))
        made.append(start.trace_id)
    return made


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
async def test_conditions(store: SQLiteStore, chats: list[str], text: str, found: str) -> None:
    """NOT is the complement: it holds also for traces that lack what is asked about."""
    assert await ids(store, text) == [chats[int(at)] for at in found]


async def test_texts_and_times(store: SQLiteStore, chats: list[str]) -> None:
    """A text is found in either preview, in any case of its letters; the end of a time is not in it."""
    assert await ids(store, q="question 4") == [chats[4]]
    assert len(await ids(store, q="äRGER")) == 10
    assert await ids(store, q="question .") == []
    assert await ids(store, from_=1_003, to=1_005) == [chats[4], chats[3]]
    assert await ids(store, "tags.odd = 'yes'", from_=1_003, to=1_005) == [chats[3]]


async def test_orders(store: SQLiteStore, chats: list[str]) -> None:
    """A rating's numbers are ordered as numbers, and who has none comes last."""
    assert (await ids(store, order_by="feedback.user_score"))[:3] == [chats[2], chats[1], chats[0]]
    assert (await ids(store, order_by="feedback.user_score DESC"))[:3] == [chats[0], chats[1], chats[2]]
    assert (await ids(store, order_by="feedback.user_feedback"))[:3] == [chats[0], chats[2], chats[1]]
    assert (await ids(store, order_by="timestamp"))[:2] == [chats[0], chats[1]]


async def test_only_valid_assessments(store: SQLiteStore, chats: list[str]) -> None:
    """An overridden one is history."""
    await store.write(record_feedback, a_write(chats[0], a_rating(value=True)))
    (rated,) = await find(store, f"request_id = '{chats[0]}'")
    assert [one.value for one in rated.assessments if one.name == "user_feedback"] == [True]
    shown, _ = await store.search(PROJECT, get_tree, PROJECT, chats[0], None, 10, history=True)
    assert [one.value for one in shown.assessments if one.name == "user_feedback"] == [False, True]


@pytest.mark.parametrize(("few", "walk"), [(5_000, 10_000), (0, 10_000), (0, 4)])
async def test_pages_of_several_experiments(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch, few: int, walk: int
) -> None:
    """Each experiment has an order of its own: a page is of the newest of all."""
    monkeypatch.setattr(searches, "FEW", few)
    monkeypatch.setattr(searches, "WALK", walk)
    for experiment in ("1", "2"):
        await store.write(
            ask, "INSERT INTO experiments VALUES ($1, $2, $3, 'active', 0, 0, '{}')", PROJECT, experiment, experiment
        )
    made = []
    for at in range(12):
        tags = {"mlflow.experimentId": str(at % 3), "third": str(at % 3), "all": "yes"}
        start = a_start(request_time=1_000 + at // 2, tags=tags)
        await store.write(begin_trace, start)
        made.append((-start.request_time, start.trace_id, at % 3))
    for text, wanted in (
        ("", made),
        ("tags.all = 'yes'", made),
        ("tags.third = '1'", [one for one in made if one[2] == 1]),
    ):
        pages, token = [], ""
        while True:
            found, following = await store.search(PROJECT, list_traces, a_query(text, limit=5, page_token=token))
            pages += [each.trace.trace_id for each in found]
            if following is None:
                break
            token = following
        assert pages == [trace_id for _, trace_id, _ in sorted(wanted)]
    assert len(await ids(store, experiment="1,2")) == 8


async def test_what_is_no_ones_chat(store: SQLiteStore, chats: list[str]) -> None:
    """Each kind is left out until it is asked for, and nothing else is."""
    marks = {"judges": {"gateway.caller": "judge"}, "review": {"gateway.caller": "review"}}
    marks |= {"copies": {"gateway.copy_of": chats[0]}}
    marked = {}
    for kind, metadata in marks.items():
        start = a_start(request_time=2_000, metadata=metadata)
        await store.write(begin_trace, start)
        marked[kind] = start.trace_id
    other = a_start(request_time=3_000, metadata={"gateway.caller": "somebody"})
    await store.write(begin_trace, other)
    marked["evaluations"] = chats[5]
    for run, kind, trace_id in (("r-1", "genai_evaluate", chats[5]), ("r-2", "other", chats[6])):
        await store.write(ask, "INSERT INTO run_traces VALUES ($1, $2)", run, trace_id)
        await store.write(ask, "INSERT INTO run_values VALUES ($1, 'tag', 'mlflow.runType', $2, 0, 0)", run, kind)
    usual = {*chats, other.trace_id} - {chats[5]}
    for count in range(5):
        for asked in itertools.combinations(marked, count):
            shown = {marked[kind] for kind in asked}
            assert set(await ids(store, include=",".join(asked))) == usual | shown


async def test_what_a_clients_judge_traced_itself(store: SQLiteStore) -> None:
    """By the tag that MLflow's clients give it; of a chat it says nothing."""
    tags = {"mlflow.trace.sourceScorer": "s"}
    own, chat = a_start(route="mlflow", tags=tags), a_start(tags=tags)
    for start in (own, chat):
        await store.write(begin_trace, start)
    assert await ids(store) == [chat.trace_id]
    assert set(await ids(store, include="judges")) == {own.trace_id, chat.trace_id}


async def test_trees(store: SQLiteStore) -> None:
    """The root first, then by time, some at once."""
    start = a_start()
    await store.write(begin_trace, start)
    root = a_span(span_id=start.root_span_id)
    spans = [a_span(span_id=f"{at:016x}", parent_id=root.span_id, start_ms=1_000 + at) for at in range(1_200)]
    await store.write(finish_trace, an_end(start, spans=(*reversed(spans), root)))
    seen, after = [], None
    for more in (True, True, False):
        found, tree = await store.search(PROJECT, get_tree, PROJECT, start.trace_id, after, 550, history=False)
        assert (tree.count, tree.more) == (1_201, more)
        seen += [each.span_id for each in tree.spans]
        after = seen[-1]
    assert seen == [root.span_id, *(span.span_id for span in spans)]
    assert found.trace.trace_id == start.trace_id
    _, tree = await store.search(PROJECT, get_tree, PROJECT, start.trace_id, "f" * 16, 550, history=False)
    assert tree.spans == []


async def test_a_span(store: SQLiteStore) -> None:
    """The root has what was asked and answered; every other one has its own attributes alone."""
    start = a_start()
    end = an_end(start)
    await store.write(begin_trace, start)
    await store.write(finish_trace, end)
    root, attempt = end.spans
    held = await store.search(PROJECT, get_span, PROJECT, start.trace_id, root.span_id)
    assert (held.request, held.response, held.branch.type) == (start.request, end.response, "CHAT_MODEL")
    held = await store.search(PROJECT, get_span, PROJECT, start.trace_id, attempt.span_id)
    assert (held.request, held.response, held.branch.type) == (None, None, "LLM")
    for project, span_id in (("other", root.span_id), (PROJECT, "f" * 16)):
        with pytest.raises(NotFound):
            await store.search(PROJECT, get_span, project, start.trace_id, span_id)
    with pytest.raises(NotFound):
        await store.search(PROJECT, get_tree, "other", start.trace_id, None, 10, history=False)


async def plans(store: SQLiteStore, query: TraceQuery) -> list[str]:
    """How SQLite would run each statement of a page's search."""
    script, found = find_page(query), []
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
        (a_query("outcome = 'timeout'"), "traces_newest"),
        (a_query("feedback.user_feedback = 'true'"), "assessments_of_value"),
        (a_query("feedback.user_feedback = 'true' OR tags.a = 'b'"), "labels_of_value"),
        (a_query("trace.session = 's'"), "traces_of_session"),
        (a_query("tags.a = 'b'"), "labels_of_value"),
    ],
    ids=lambda given: given if isinstance(given, str) else f"{given.clauses and given.clauses[0]}"[:40],
)
async def test_plans(store: SQLiteStore, chats: list[str], query: TraceQuery, index: str) -> None:
    """No page reads a table from one end to the other, and none of the usual order is sorted that an index has."""
    found = await plans(store, query)
    assert [line for line in found if index in line]
    assert not [line for line in found if line.startswith(("SCAN traces", "SCAN t"))]
    if index == "traces_newest":
        assert not [line for line in found if "TEMP B-TREE" in line and "ORDER BY" in line]


def test_every_kind_is_named() -> None:
    """What may be left out, in the query's own words."""
    kinds: set[LeftOut] = {"judges", "evaluations", "review", "copies"}
    assert a_query().left_out == kinds
