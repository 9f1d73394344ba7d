"""The goals for speed, and whether a run reached them. Called by the benchmark's command when all is measured.

A goal is a bound on one figure of this gateway, or on its ratio to the same figure of another system in the same run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .report import Summary, aligned

V1, NATIVE = "gateway /v1", "gateway /chat/stream"


@dataclass(frozen=True)
class Goal:
    """`sense`: `at most` the limit, or `at least`. `stretch`: the bound to be proud of.

    With `over` the figure is ours divided by that system's; with `under`, that system's divided by ours.
    `ceiling`: what the load generator and the upstream reach without a gateway is shown beside it.
    """

    what: str
    metric: str
    system: str
    sense: Literal["at most", "at least"]
    limit: float
    stretch: float | None = None
    unit: str = ""
    over: str | None = None
    under: str | None = None
    ceiling: bool = False

    @property
    def bound(self) -> str:
        sign = "≤" if self.sense == "at most" else "≥"
        return f"{sign} {self.limit:,g}{self._scale}"

    @property
    def _scale(self) -> str:
        if self.over:
            return f" x {self.over}"
        return f" {self.unit}" if self.unit else ""

    def holds(self, figure: float, limit: float) -> bool:
        return figure <= limit if self.sense == "at most" else figure >= limit


@dataclass(frozen=True)
class Verdict:
    """`figure` None: not measured in this run, because `missing` wasn't."""

    goal: Goal
    figure: float | None
    basis: str
    missing: str = ""

    @property
    def text(self) -> str:
        if self.figure is None:
            return f"not measured: {self.missing}"
        if self.goal.stretch is not None and self.goal.holds(self.figure, self.goal.stretch):
            return "reached, stretch too"
        return "reached" if self.goal.holds(self.figure, self.goal.limit) else "NOT REACHED"


_PACED, _BURST, _FIRST = "CPU per token, 100 paced streams", "CPU per token, burst", "added time to first token"
GOALS = (
    Goal(f"{_PACED}, /v1", "paced_us", V1, "at most", 1.1, 1.0, over="TensorZero"),
    Goal(f"{_PACED}, /v1", "paced_us", V1, "at most", 3, 2.5, over="nginx"),
    Goal(f"{_PACED}, /chat/stream", "paced_us", NATIVE, "at most", 3.3, 2.5, over="nginx"),
    Goal(f"{_BURST}, /v1", "burst_us", V1, "at most", 5, 3, "µs"),
    Goal(f"{_BURST}, /chat/stream", "burst_us", NATIVE, "at most", 5, 3, "µs"),
    Goal("CPU per non-stream request, /v1", "plain_us", V1, "at most", 1, 0.8, over="TensorZero"),
    Goal(f"{_FIRST} p50, /v1", "first_p50_ms", V1, "at most", 0.3, unit="ms"),
    Goal(f"{_FIRST} p99, /v1", "first_p99_ms", V1, "at most", 0.6, unit="ms"),
    Goal(f"{_FIRST} p50, /chat/stream", "first_p50_ms", NATIVE, "at most", 0.3, unit="ms"),
    Goal(f"{_FIRST} p99, /chat/stream", "first_p99_ms", NATIVE, "at most", 0.6, unit="ms"),
    Goal("paced streams on one core, /v1", "streams", V1, "at least", 800, 1000, ceiling=True),
    Goal("paced streams on one core, /chat/stream", "streams", NATIVE, "at least", 800, 1000, ceiling=True),
    Goal("LiteLLM ÷ ours: CPU per token, 20 paced streams", "paced_20_us", V1, "at least", 15, under="LiteLLM"),
    Goal("LiteLLM ÷ ours: CPU per token, burst", "burst_us", V1, "at least", 100, under="LiteLLM"),
    Goal("LiteLLM ÷ ours: CPU per non-stream request", "plain_us", V1, "at least", 100, under="LiteLLM"),
    Goal("durable ratings per second, 32 connections", "ratings_32_per_s", NATIVE, "at least", 5000),
    Goal("rating p99, the same load", "ratings_32_p99_ms", NATIVE, "at most", 20, unit="ms"),
    Goal("memory per open idle stream, /v1", "idle_kb", V1, "at most", 20, 15, "kB"),
    Goal("memory per open idle stream, /chat/stream", "idle_kb", NATIVE, "at most", 20, 15, "kB"),
    Goal("start to ready", "start_ms", V1, "at most", 1000, unit="ms"),
)


def _number(value: float) -> str:
    return f"{value:,.2f}" if value < 10 else f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def judge(data: Summary, goal: Goal) -> Verdict:
    cells = data.get(goal.metric, {})
    ours, other = cells.get(goal.system), goal.over or goal.under
    if ours is None:
        return Verdict(goal, None, "", "this phase")
    figure = ours["median"]
    if other is None:
        ceiling = cells.get("direct") if goal.ceiling else None
        return Verdict(goal, figure, f"no gateway {_number(ceiling['median'])}" if ceiling else "")
    if other not in cells:
        return Verdict(goal, None, "", other)
    theirs = cells[other]["median"]
    above, below = (figure, theirs) if goal.over else (theirs, figure)
    return Verdict(goal, above / below, f"{_number(above)} ÷ {_number(below)} µs")


def verdicts(data: Summary) -> list[Verdict]:
    return [judge(data, goal) for goal in GOALS]


def goal_table(found: list[Verdict], markdown: bool) -> str:
    rows = [["goal", "bound", "stretch", "figure", "of", "verdict"]]
    for verdict in found:
        goal = verdict.goal
        stretch = "" if goal.stretch is None else f"{goal.stretch:,g}"
        figure = "—" if verdict.figure is None else _number(verdict.figure)
        rows.append([goal.what, goal.bound, stretch, figure, verdict.basis, verdict.text])
    return aligned(rows, "-rrrr-", markdown)


def goals_as_data(found: list[Verdict]) -> list[dict[str, object]]:
    return [
        {
            "goal": verdict.goal.what,
            "bound": verdict.goal.bound,
            "stretch": verdict.goal.stretch,
            "figure": verdict.figure,
            "verdict": verdict.text,
        }
        for verdict in found
    ]
