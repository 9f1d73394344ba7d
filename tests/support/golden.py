"""Golden files: what a codec writes, byte for byte, kept in tests/golden/.

After a change that is meant, run `GOLDEN=write pytest tests/wire` and read the diff before committing it.
"""

from __future__ import annotations

import os
from pathlib import Path

GOLDEN = Path(__file__).parents[1] / "golden"
RECORDINGS = Path(__file__).parents[1] / "recordings"


def check(name: str, data: bytes) -> None:
    """Assert that the golden file holds these bytes; with GOLDEN=write in the environment, write it."""
    file = GOLDEN / name
    if os.environ.get("GOLDEN") == "write":
        file.write_bytes(data)
    assert data == file.read_bytes()
