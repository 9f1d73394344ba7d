"""Very many streams at once, half of them with readers that misbehave."""

from __future__ import annotations

from pathlib import Path

from tests.stress.streams import many_streams

STREAMS = 1000


async def test_a_thousand_streams_lose_nothing(tmp_path: Path) -> None:
    """Every reader ends with the text that the upstream sent; readers behind were merged for, deaf ones dropped."""
    figures = await many_streams(tmp_path, STREAMS)
    print(figures)
    assert figures["merges"] > 0
    assert figures["send timeouts"] > 0
    assert figures["resumes"] > 0
