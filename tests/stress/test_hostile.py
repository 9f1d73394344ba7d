"""The short forms of three attacks: others get all that they asked for meanwhile, and memory keeps its bound."""

from __future__ import annotations

from pathlib import Path

from tests.stress.hostile import deaf_readers, dropped_streams, slow_senders


async def test_connections_that_send_a_byte_a_second(tmp_path: Path) -> None:
    """Each is answered with 408 in its time."""
    print(await slow_senders(tmp_path, 300, 9, timeout_s=3))


async def test_readers_that_never_read(tmp_path: Path) -> None:
    """The provider isn't read on for them, and they are cut off."""
    print(await deaf_readers(tmp_path, 60, timeout_s=3, buffer=262_144))


async def test_streams_that_are_dropped(tmp_path: Path) -> None:
    """Each has its trace with one end, and nothing of it is left."""
    print(await dropped_streams(tmp_path, 600))
