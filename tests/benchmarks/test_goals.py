"""The benchmark's verdicts on the goals, and the tables it prints."""

from __future__ import annotations

import pytest

from .goals import GOALS, NATIVE, V1, Goal, goal_table, goals_as_data, judge, verdicts
from .report import BESIDE, Summary, aligned, ratios, summary, table


def measured(**figures: dict[str, float]) -> Summary:
    return summary({metric: {name: [value] for name, value in by.items()} for metric, by in figures.items()})


@pytest.mark.parametrize(
    ("figure", "text"),
    [(2, "reached, stretch too"), (3, "reached, stretch too"), (5, "reached"), (5.01, "NOT REACHED")],
)
def test_an_upper_bound(figure: float, text: str) -> None:
    """At the bound it still holds, above it it doesn't."""
    goal = Goal("cost", "burst_us", V1, "at most", 5, 3, "µs")
    assert judge(measured(burst_us={V1: figure}), goal).text == text


@pytest.mark.parametrize(("figure", "text"), [(799, "NOT REACHED"), (800, "reached"), (1000, "reached, stretch too")])
def test_a_lower_bound(figure: float, text: str) -> None:
    """More is better where the goal says at least."""
    goal = Goal("streams", "streams", V1, "at least", 800, 1000)
    assert judge(measured(streams={V1: figure}), goal).text == text


def test_a_ratio_to_another_system() -> None:
    """`over` divides ours by theirs."""
    goal = Goal("cost", "paced_us", V1, "at most", 1.1, over="TensorZero")
    verdict = judge(measured(paced_us={V1: 60, "TensorZero": 40}), goal)
    assert (verdict.figure, verdict.text, verdict.basis) == (1.5, "NOT REACHED", "60.0 ÷ 40.0 µs")


def test_how_many_times_dearer_another_system_is() -> None:
    """`under` divides theirs by ours."""
    goal = Goal("cost", "plain_us", V1, "at least", 100, under="LiteLLM")
    verdict = judge(measured(plain_us={V1: 200, "LiteLLM": 22_000}), goal)
    assert (verdict.figure, verdict.text, verdict.basis) == (110, "reached", "22,000 ÷ 200 µs")


@pytest.mark.parametrize(
    ("figures", "missing"), [({V1: 200}, "LiteLLM"), ({"LiteLLM": 200}, "this phase"), ({}, "this phase")]
)
def test_what_was_not_measured_is_not_judged(figures: dict[str, float], missing: str) -> None:
    """The verdict names what is missing instead."""
    goal = Goal("cost", "plain_us", V1, "at least", 100, under="LiteLLM")
    verdict = judge(measured(plain_us=figures), goal)
    assert verdict.text == f"not measured: {missing}"
    assert verdict.figure is None


def test_the_ceiling_of_the_load_is_shown_beside_a_count_of_streams() -> None:
    """Nobody can hold more streams than mock and load without a gateway."""
    goal = Goal("streams", "streams", V1, "at least", 800, ceiling=True)
    assert judge(measured(streams={V1: 400, "direct": 630}), goal).basis == "no gateway 630"


def test_added_time_is_what_is_added_to_no_gateway() -> None:
    """The goal for the first token is judged without the upstream's own time."""
    goal = Goal("first token", "first_p50_ms", V1, "at most", 0.3, unit="ms")
    verdict = judge(measured(first_p50_ms={V1: 10.5, "direct": 10.25}), goal)
    assert (verdict.figure, verdict.text) == (0.25, "reached")


def test_every_goal_is_one_row() -> None:
    """Those of which nothing was measured too, so that none gets lost."""
    rows = goal_table(verdicts({}), markdown=False).splitlines()
    assert len(rows) == 1 + len(GOALS)
    assert all(row.endswith("not measured: this phase") for row in rows[1:])


def test_goals_need_only_what_some_phase_measures() -> None:
    """A metric of a goal has a row in the table, or it could never be seen."""
    names = {goal.metric for goal in GOALS}
    figures = {name: {V1: [1.0], NATIVE: [1.0]} for name in names}
    assert len(table(summary(figures), [V1, NATIVE], markdown=False).splitlines()) == 1 + len(names)


def test_goals_as_data() -> None:
    """What `--json` has of a goal."""
    goal = Goal("cost", "burst_us", V1, "at most", 5, 3, "µs")
    assert goals_as_data([judge(measured(burst_us={V1: 4}), goal)]) == [
        {"goal": "cost", "bound": "≤ 5 µs", "stretch": 3, "figure": 4, "verdict": "reached"}
    ]


def test_the_table_has_ratios_to_nginx_where_they_mean_something() -> None:
    """In brackets, not for nginx itself, and `—` where a system wasn't measured."""
    text = table(measured(plain_us={"nginx": 20, V1: 50}), ["nginx", V1, "MLflow"], markdown=True)
    assert text.splitlines() == [
        "|  | nginx | gateway /v1 | MLflow |",
        "| --- | ---: | ---: | ---: |",
        "| CPU per non-stream request, µs | 20 | 50 (2.5x) | — |",
    ]


def test_columns_are_aligned() -> None:
    """Text to the left, numbers to the right, no blanks at the end of a line."""
    assert aligned([["a", "n"], ["bbb", "10"], ["c", ""]], "-r", markdown=False).splitlines() == [
        "a     n",
        "bbb  10",
        "c",
    ]


def test_an_older_gateway_beside_this_one() -> None:
    """Each figure is divided by the older gateway's; what only one of them has is left open."""
    data = measured(paced_us={V1: 21, f"{BESIDE}{V1}": 20, NATIVE: 3}, idle_kb={NATIVE: 1, f"{BESIDE}{NATIVE}": 2})
    head, tokens, memory = ratios(data, (V1, NATIVE), markdown=False).splitlines()
    assert head.split()[-3:] == ["/v1", "gateway", "/chat/stream"]
    assert tokens.split()[-2:] == ["1.05", "—"]
    assert memory.split()[-2:] == ["—", "0.50"]
