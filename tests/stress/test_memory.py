"""What a gateway holds on to: the short forms of what the soak runner does at length."""

from __future__ import annotations

from pathlib import Path

from tests.stress.memory import idle_streams, many_requests


async def test_short_requests_leave_nothing_behind(tmp_path: Path) -> None:
    """Two and a half times as many requests don't take much more memory. The bound is wide, since caches still fill."""
    figures = await many_requests(tmp_path, 2_000, 5_000)
    print(figures)
    assert figures["ratio"] < 1.2


async def test_an_idle_stream_is_small(tmp_path: Path) -> None:
    """An open stream that says nothing takes a few dozen kilobytes, and all of them can be closed again."""
    figures = await idle_streams(tmp_path, 300)
    print(figures)
    assert figures["kB each"] < 100
