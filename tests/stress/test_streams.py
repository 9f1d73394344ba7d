"""Very many streams at once, half of them with readers that misbehave."""

from __future__ import annotations

from pathlib import Path

from tests.stress.streams import many_streams

STREAMS = 1000


async def test_a_thousand_streams_lose_nothing(tmp_path: Path) -> None:
    """Every reader ends with the text that the upstream sent, also those that stall; deaf ones are dropped.

    Whether tokens are merged for those that stall is for the kernel's buffers to say; tests/streaming has that.
    """
    figures = await many_streams(tmp_path, STREAMS)
    print(figures)
    assert figures["send timeouts"] > 0
    assert figures["resumes"] > 0
