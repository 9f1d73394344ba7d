"""A real kill -9 of a gateway that streams and takes ratings."""

from __future__ import annotations

from pathlib import Path

from tests.crash.kills import many_kills

KILLS = 5


async def test_kills_under_load_lose_nothing_acknowledged(tmp_path: Path) -> None:
    """Ratings, traces, text up to the last second; streams that were cut off can be resumed to their error."""
    figures = await many_kills(tmp_path, KILLS)
    print(figures)
    assert figures["open at the kill"] > KILLS
    assert figures["unanswered at the kill"] > 0
    assert figures["closed by recovery"] > 0
