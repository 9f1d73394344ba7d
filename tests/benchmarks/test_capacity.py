"""The benchmark's rule for whether a number of streams keeps the pace."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import pytest

from .capacity import decided


def results(*values: float) -> Callable[[], float]:
    """Loads that come out like this, one after the other; one more is an error."""
    return iter(values).__next__


@pytest.mark.parametrize(("result", "expected"), [(0.1, True), (0.8, True), (1.5, False), (inf, False)])
def test_a_clear_load_decides_alone(result: float, expected: bool) -> None:
    """Far from the bound one load is enough."""
    assert decided(results(result), lambda: True) is expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((0.9, 0.9), True),
        ((1.1, 1.1), False),
        ((0.9, 1.1, 0.9), True),
        ((1.1, 0.9, 1.1), False),
        ((1.1, 0.5, 0.5), True),
        ((0.9, inf, 0.9), True),
    ],
)
def test_near_the_bound_two_of_three_decide(values: tuple[float, ...], expected: bool) -> None:
    """A narrow result is repeated until two agree."""
    assert decided(results(*values), lambda: True) is expected


def test_what_was_not_confirmed_in_time_does_not_hold() -> None:
    """A narrow pass alone is not taken for one when time is out."""
    assert decided(results(0.9), lambda: False) is False
