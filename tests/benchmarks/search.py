"""The search for the most streams: over a ladder of steps, bounded in time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

LADDER = (25, 32, 40, 50, 63, 80, 100, 125, 160, 200, 250, 320, 400, 500, 630, 800, 1000, 1250, 1600, 2000, 2500, 3200)


_HALVING = 3  # steps of the ladder


def most(ladder: Sequence[int], first: int, holds: Callable[[int], bool], in_time: Callable[[], bool]) -> int | None:
    """The highest step that holds; 0 if even the lowest does not.

    Begins at the step `first`, halves or doubles until one step holds and one does not, then bisects.
    When time runs out it is the highest step that was seen to hold, a lower bound; None if there was none.
    """
    low, high = -1, len(ladder)
    probe = ladder.index(first)
    while high - low > 1 and in_time():
        if holds(ladder[probe]):
            low = probe
        else:
            high = probe
        if low < 0:
            probe = max(0, high - _HALVING)
        elif high == len(ladder):
            probe = min(high - 1, low + _HALVING)
        else:
            probe = (low + high) // 2
    if low >= 0:
        return ladder[low]
    return None if high > 0 else 0
