"""The benchmark's search for the most streams."""

from __future__ import annotations

from itertools import count

import pytest

from .search import LADDER, most


@pytest.mark.parametrize("first", [25, 800, 3200])
@pytest.mark.parametrize(("limit", "expected"), [(24, 0), (25, 25), (999, 800), (1000, 1000), (99_999, 3200)])
def test_finds_the_highest_step_that_holds(first: int, limit: int, expected: int) -> None:
    """Wherever the search begins, it ends on the last step within the limit, or on 0."""
    assert most(LADDER, first, lambda streams: streams <= limit, lambda: True) == expected


def test_never_claims_a_step_that_was_not_seen_to_hold() -> None:
    """When time runs out the answer is a step that was tried and held."""
    calls = count()
    tried: list[int] = []

    def holds(streams: int) -> bool:
        tried.append(streams)
        return streams <= 999

    assert most(LADDER, 3200, holds, lambda: next(calls) < 3) == 800
    assert tried == [3200, 1600, 800]


def test_does_not_guess_where_nothing_held_in_time() -> None:
    """When time runs out before a step held there is no answer, not even 0."""
    calls = count()
    assert most(LADDER, 3200, lambda _: False, lambda: next(calls) < 3) is None
