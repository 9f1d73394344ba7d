"""How many examples a property test tries: a few in each run of the tests, many where TEST_EXAMPLES says so.

TEST_EXAMPLES=50000 pytest tests/mlflow/test_one_valid.py
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_CHECKS = list(HealthCheck)


def tried(few: int, *, most: int | None = None, steps: int = 20) -> settings:
    """Return the settings of a test of `few` examples by default; `most` bounds how many there may be."""
    asked = int(os.environ.get("TEST_EXAMPLES", 0))
    many = min(asked or few, most or asked or few)
    # What was found once is no help to a run that counts its examples.
    return settings(
        max_examples=many,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=_CHECKS,
    )
