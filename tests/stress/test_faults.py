"""The store's bad days, in short; scripts/soak has the long ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stress import faults


async def test_a_full_disk(tmp_path: Path) -> None:
    """Chats go on or are refused, ratings get 503, nothing acknowledged is lost, and it goes on when there is space."""
    if not faults.can_mount():
        pytest.skip("making a small disk takes the right to mount one (root)")
    print(await faults.full_disk(tmp_path, 1.5))


async def test_a_store_that_another_process_locks(tmp_path: Path) -> None:
    """The same for a lock that is held longer than anybody waits."""
    print(await faults.locked_store(tmp_path, 4))


@pytest.mark.parametrize("replaced", [False, True], ids=["deleted", "replaced"])
async def test_a_store_that_is_gone(tmp_path: Path, replaced: bool) -> None:
    """Nothing is acknowledged into a file without a name."""
    print(await faults.missing_store(tmp_path, replaced=replaced))


async def test_a_clock_that_jumps(tmp_path: Path) -> None:
    """Back an hour, and on again."""
    print(await faults.jumping_clock(tmp_path, (-3600, 3600), 1.5))
