"""The tokens of a client's trace, kept as its spans come: on either engine, in whatever order and portions."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest

from gateway.mlflow.names import INFO_FINALIZED, TRACE_USAGE
from gateway.mlflow.scripts import spans as scripts
from gateway.mlflow.scripts.spans import cover, save_spans
from gateway.mlflow.scripts.traces import get_infos, save_info
from gateway.mlflow.values import ClientSpan, ClientTrace
from gateway.storage.engine import Engine
from gateway.storage.sqlite.engine import SQLiteStore
from tests.support.rows import PROJECT, ask

TRACE = "tr-" + "ab" * 16
Tree = list[tuple[str, str | None, int | None]]  # ID, parent, tokens


def _span(span_id: str, parent: str | None, tokens: int | None) -> ClientSpan:
    return ClientSpan(
        span_id=span_id,
        parent_id=parent,
        name="n",
        type="LLM",
        start_ms=1,
        end_ms=2,
        status="OK",
        message=None,
        attributes="{}",
        otlp="{}",
        tokens=None if tokens is None else json.dumps({"total_tokens": tokens}),
        values={},
    )


def _trace(**over: Any) -> ClientTrace:
    given: dict[str, Any] = {"request_time": 1, "duration_ms": 1, "state": "OK"}
    return ClientTrace(trace_id=TRACE, experiment_id="0", **given | over)


async def _save(engine: Engine, tree: Tree, **over: Any) -> None:
    for trace_id, above in await engine.write(
        save_spans, PROJECT, [(_trace(**over), [_span(*one) for one in tree])], 5
    ):
        while above:
            above = await engine.write(cover, PROJECT, (trace_id, above))


async def _total(engine: Engine) -> int | None:
    (stored,) = await engine.read(get_infos, PROJECT, [TRACE])
    usage = stored.trace.metadata.get(TRACE_USAGE)
    return None if usage is None else json.loads(usage).get("total_tokens", 0)


def _sum(tree: Tree) -> int:
    """The obvious way: what has a count and none above it."""
    parents = {span: parent for span, parent, _ in tree}
    counts = {span: tokens for span, _, tokens in tree if tokens is not None}

    def above(span: str) -> bool:
        parent = parents.get(span)
        return parent is not None and (parent in counts or above(parent))

    return sum(tokens for span, tokens in counts.items() if not above(span))


@pytest.mark.parametrize("seed", range(12))
async def test_a_count_stands_for_those_below_it(engine: Engine, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any tree, cut into any portions, in any order, with some spans sent twice."""
    monkeypatch.setattr(scripts, "FEW", 2)
    chance = random.Random(seed)
    tree: Tree = []
    for number in range(25):
        parent = f"{chance.randrange(number):016x}" if number and chance.random() < 0.9 else None
        tokens = chance.choice([None, None, chance.randrange(1, 100)])
        tree.append((f"{number:016x}", parent, tokens))
    order = [*tree, *chance.sample(tree, 5)]
    chance.shuffle(order)
    while order:
        size = chance.randrange(1, 8)
        await _save(engine, order[:size])
        order = order[size:]
    assert (await _total(engine) or 0) == _sum(tree)


async def test_a_count_that_comes_with_a_later_version_of_a_span(engine: Engine) -> None:
    """As exporters send a span when it begins and when it ends; what it says last counts."""
    await _save(engine, [("a", None, None), ("b", "a", 5)])
    assert await _total(engine) == 5
    await _save(engine, [("a", None, 7)])
    assert await _total(engine) == 7
    await _save(engine, [("a", None, 8)])
    assert await _total(engine) == 8
    await _save(engine, [("a", None, None)])
    assert await _total(engine) == 8


async def test_parents_in_a_circle_end(engine: Engine) -> None:
    """A span that is its own parent is counted; where two are each other's, nothing hangs."""
    async with asyncio.timeout(10):
        await _save(engine, [("a", "a", 5)])
        assert await _total(engine) == 5
        await _save(engine, [("b", "c", 5), ("c", "b", None)])


async def test_without_counts_there_is_no_total(engine: Engine) -> None:
    """Nor where the client's own info says what the trace took."""
    await _save(engine, [("a", None, None)])
    assert await _total(engine) is None
    told = {INFO_FINALIZED: "true", TRACE_USAGE: '{"total_tokens": 3}'}
    await engine.write(save_info, PROJECT, _trace(metadata=told), [], 5)
    await _save(engine, [("b", None, 9)])
    assert await _total(engine) == 3


async def test_a_span_does_not_look_at_the_rest_of_its_trace(engine: Engine) -> None:
    """The statements for one more span are as many for a small trace as for a large one."""

    def counted(tree: Tree) -> Any:
        script = save_spans(PROJECT, [(_trace(), [_span(*one) for one in tree])], 5)
        rows: Any = None
        statements = 0
        while True:
            try:
                statement = script.send(rows)
            except StopIteration:
                return statements
            rows = yield statement
            statements += 1

    await _save(engine, [("root", None, None)])
    before = await engine.write(counted, [("x", "root", 1)])
    chain: Tree = [(f"{n}", f"{n - 1}" if n else "root", None) for n in range(300)]
    await _save(engine, chain)
    assert await engine.write(counted, [("y", "299", 1)]) == before


async def test_children_are_found_by_their_parent(store: SQLiteStore) -> None:
    """And not among all spans of the trace, which the primary key would give."""
    sql, params = scripts.children(TRACE, ["a", "b"])
    ((*_, plan),) = await store.read(ask, f"EXPLAIN QUERY PLAN {sql}", *params)
    assert "spans_by_parent" in plan
