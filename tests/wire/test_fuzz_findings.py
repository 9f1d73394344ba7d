"""What the fuzzer once found stays repaired, and what it starts from is good."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.oracles import upstream

TESTS = Path(__file__).parents[1]
FINDINGS = sorted((TESTS / "wire/fuzz_findings").iterdir())
STREAMS = sorted((TESTS / "recordings").glob("*.sse"))


@pytest.mark.parametrize("path", FINDINGS, ids=lambda path: path.name)
def test_what_was_found_stays_mended(path: Path) -> None:
    """The same bytes break no promise any more."""
    upstream(path.read_bytes())


@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.stem)
def test_recordings_pass_every_check(path: Path) -> None:
    """As a stream, folded, as a completion and with a small bound."""
    for reader in (3, 4, 5, 6, 7):
        upstream(bytes([reader]) + path.read_bytes()[:2000])
