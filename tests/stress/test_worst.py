"""The short form of each row of tests/soak/worst.py: others get all that they asked for meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.worst import ROWS, at_worst


@pytest.mark.parametrize("name", ROWS)
async def test_others_are_served_while_one_does_its_worst(tmp_path: Path, name: str) -> None:
    """Each of their answers is whole and rated, and the gateway ends when it is told to."""
    print(await at_worst(tmp_path, name, 1, calm_s=1, at_once=1))
