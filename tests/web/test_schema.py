"""/openapi.json tells the truth: hundreds of requests made from it, by somebody else's tool, half of them broken."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz.api import many


def test_every_answer_is_as_described(tmp_path: Path) -> None:
    """Documented statuses and forms only, no 5xx but the documented 503, and nothing hangs."""
    assert many(tmp_path, 400)["requests"] >= 400
