"""`gateway report`: what it counts, and how it looks."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from gateway.cli.report import Group, as_text, report
from gateway.domain.ids import now_ms
from gateway.storage.scripts.feedback import retract_feedback
from gateway.storage.scripts.ops import expire_oldest
from gateway.storage.scripts.traces import begin_trace
from gateway.storage.sqlite.engine import SQLiteStore
from gateway.storage.sqlite.row_reader import reading
from tests.cli.conftest import Run, chat, rate
from tests.support.hostile_text import NASTIES
from tests.support.rows import a_start


def scored(score: int, high: int = 5) -> dict[str, Any]:
    return {"name": "user_accuracy", "value": score / high, "metadata": {"score": str(score), "scale": f"1-{high}"}}


def reported(store: SQLiteStore, since: int, project: str | None = None) -> list[Group]:
    with reading(f"sqlite:///{store.path}") as reader:
        return report(reader, since, project)


async def fill(store: SQLiteStore) -> None:
    """Four chats with two models; three are rated."""
    first, second = await chat(store, model="a"), await chat(store, model="a")
    third = await chat(store, model="b")
    await chat(store, model="b")
    await store.write(begin_trace, a_start())  # still running: no chat yet that could be rated
    await rate(store, first, value=True)
    await rate(store, first, "ben", value=False)
    await rate(store, second, value=False)
    await rate(store, second, value=True)  # the same rater again: counts once
    for trace_id, score in ((first, 4), (third, 1)):
        await rate(store, trace_id, **scored(score))


async def test_the_figures(store: SQLiteStore) -> None:
    """Rates over chats and thumbs, means with the raw scores; for all, then by model."""
    await fill(store)
    total, a, b = reported(store, 0)
    assert (total.model, total.chats, total.rated_chats, total.feedback_rate) == (None, 4, 3, 0.75)
    assert (total.ratings, total.thumbs_up, total.thumbs_down) == (5, 2, 1)
    assert total.positive_rate == pytest.approx(2 / 3)
    (accuracy,) = total.dimensions
    assert (accuracy.name, accuracy.count, accuracy.mean) == ("user_accuracy", 2, 0.5)
    assert [(each.scale, each.count, each.mean) for each in accuracy.scales] == [("1-5", 2, 2.5)]
    assert (a.model, a.chats, a.rated_chats, a.feedback_rate) == ("a", 2, 2, 1)
    assert (b.model, b.chats, b.rated_chats, b.positive_rate) == ("b", 2, 1, None)


async def test_a_retracted_rating_counts_no_more(store: SQLiteStore) -> None:
    """Nor does its chat count as rated."""
    trace_id = await chat(store)
    await rate(store, trace_id)
    await store.write(retract_feedback, "default", trace_id, None, "ann", "user_feedback", 9)
    (total, _) = reported(store, 0)
    assert (total.chats, total.rated_chats, total.ratings) == (1, 0, 0)


async def test_since_and_project_leave_the_rest_out(store: SQLiteStore) -> None:
    """Chats by when they were asked, ratings by when they were given."""
    old = await chat(store, ago_s=1000)
    await rate(store, old)
    await chat(store, project="other")
    total, *_ = reported(store, now_ms() - 100_000)
    assert (total.chats, total.rated_chats, total.ratings) == (1, 0, 1)
    total, *_ = reported(store, 0, "other")
    assert (total.chats, total.ratings) == (1, 0)


async def test_an_expired_chat_leaves_its_numbers(store: SQLiteStore) -> None:
    """Its rating counts; the feedback rate is of the chats that are still stored."""
    trace_id = await chat(store)
    await rate(store, trace_id, **scored(3))
    await store.write(expire_oldest, 10)
    total, model = reported(store, 0)
    assert (total.chats, total.feedback_rate, total.ratings) == (0, None, 1)
    assert total.dimensions[0].scales[0].mean == 3
    assert model.model == "default"


async def test_every_kind_of_value(store: SQLiteStore) -> None:
    """Options are counted, truths are 0 and 1, scales that were changed stay apart, and a lie about a score is none."""
    for at, value in enumerate(["right", "right", "too formal", ["x", "y"]]):
        await rate(store, await chat(store), f"u{at}", name="user_tone", value=value)
    await rate(store, await chat(store), name="user_ok", value=True)
    await rate(store, await chat(store), name="user_ok", value=False)
    for score, high in ((4, 5), (9, 10), (2, 5)):
        await rate(store, await chat(store), **scored(score, high))
    await rate(store, await chat(store), name="user_feedback", value=0.5, metadata={"score": "x", "scale": "1-5"})
    names = {each.name: each for each in reported(store, 0)[0].dimensions}
    assert names["user_tone"].options == {"right": 2, "too formal": 1, "x": 1, "y": 1}
    assert names["user_tone"].mean is None
    assert names["user_ok"].mean == 0.5
    assert [(each.scale, each.mean) for each in names["user_accuracy"].scales] == [("1-5", 3), ("1-10", 9)]
    assert names["user_feedback"].scales == []
    text = as_text(reported(store, 0)[:1])
    for shown in ("3.00 of 5", "2x right", "0.50"):
        assert shown in text


async def test_free_text_takes_no_memory_without_end(store: SQLiteStore) -> None:
    """Of many different texts, and scales, so many are told apart."""
    trace_id = await chat(store)
    for at in range(60):
        metadata = {"score": "1", "scale": f"1-{at}"}
        await rate(store, trace_id, f"u{at}", name="note", value=f"text {at}")
        await rate(store, trace_id, f"u{at}", name="n", value=1, metadata=metadata)
    number, note = reported(store, 0)[0].dimensions
    assert (note.count, len(note.options), len(number.scales)) == (60, 50, 50)


async def test_it_fits_80_columns(store: SQLiteStore) -> None:
    """Whatever models and dimensions are called; a line stays a line."""
    for name, nasty in NASTIES.items():
        trace_id = await chat(store, model=nasty)
        await rate(store, trace_id, **scored(4) | {"name": nasty})
        await rate(store, trace_id, name=f"{name}!", value=nasty)
    groups = reported(store, 0)
    lines = as_text(groups).splitlines()
    assert len(lines) == 3 + len(groups) + sum(len(group.dimensions) for group in groups)
    assert all(line.isprintable() and cell_len(line) <= 80 for line in lines)


def test_the_command(run: Run) -> None:
    """Beside an owner of the store; as a table, by model, as JSON."""

    async def seeded() -> tuple[int, str, str]:
        store = await SQLiteStore.open(Path("gateway.db"), own=True)
        try:
            await fill(store)
            return await asyncio.to_thread(run, "report")
        finally:
            await store.close()

    code, out, err = asyncio.run(seeded())
    assert (code, err) == (0, "")
    assert out.startswith("since 2")
    assert " 75.0%" in out
    assert "\na " not in out
    assert "\na " in run("report", "--by", "model")[1]
    found = json.loads(run("report", "--json", "--since", "1s")[1])
    assert found["total"]["chats"] == 0
    assert set(found) == {"since", "total"}
    found = json.loads(run("report", "--json", "--by", "model", "--since", "2h")[1])
    assert [group["model"] for group in found["models"]] == ["a", "b"]
    assert found["since"].endswith("Z")


@pytest.mark.parametrize("argv", [["report"], ["export", "traces"], ["erase", "--user", "u", "--yes"]])
def test_reading_makes_no_store(run: Run, argv: list[str]) -> None:
    """Where there is none, that is the answer: one line, exit 1, and no file."""
    code, out, err = run(*argv)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert list(Path().iterdir()) == []


def test_a_store_of_another_version(run: Run) -> None:
    """It says which, and what to do."""
    sqlite3.connect("gateway.db").execute("PRAGMA user_version = 99").connection.close()
    code, _, err = run("report")
    assert (code, err.count("\n")) == (1, 1)
    assert "schema is 99" in err
