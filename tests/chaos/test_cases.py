"""Every model of the table, over a socket: the bytes say what the table says they do."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.chaos import CASES, FAMILIES, ChaosServer, Expect, case_for, expected_text
from gateway.chaos.cases import rows
from tests.support.chaos_reader import Answer, Reading, ask, request

DOC = Path(__file__).parents[2] / "docs" / "chaos.md"
STATUSES = {400: 400, 402: 402, 404: 404, 413: 413, 422: 422, 429: 429}
FAST = [name for name in CASES if name != "lorem-50-20ms"] + ["lorem-5-1ms"]


def outcome_of(reading: Reading, answer: Answer) -> str:
    if reading.end == "limit":
        return "too_long"
    if answer.complete:
        return "complete"
    return "timeout" if reading.end == "quiet" else "upstream_error"


def check(expect: Expect, reading: Reading, answer: Answer) -> None:
    assert outcome_of(reading, answer) == expect.outcome
    if expect.text is not None:
        assert answer.text == expect.text
    assert answer.reasoning == expect.reasoning
    assert tuple(answer.calls.values()) == expect.tool_calls
    assert answer.others == expect.others
    if expect.outcome == "complete":
        assert expect.finish in (None, answer.finish)
        assert bool(answer.usage) is expect.usage
    if not answer.text and expect.outcome == "upstream_error":
        assert STATUSES.get(reading.status, 502) == expect.status
    if expect.retry_after is not None:
        assert reading.headers["retry-after"] == str(expect.retry_after)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
@pytest.mark.parametrize("name", FAST)
async def test_the_bytes_are_what_the_table_says(server: ChaosServer, name: str, stream: bool) -> None:
    """A patient reader gets the text and the ending that the table expects."""
    case = case_for(name)
    assert case is not None
    expect = (case.stream if stream else case.plain).expect
    until = expect.text if expect.outcome == "timeout" or name.startswith("stall-finish") else None
    if name == "flaky-1":
        await ask(server, request(name, stream=stream))
    reading = await ask(server, request(name, stream=stream), until=until)
    check(expect, reading, Answer(reading))


def test_every_family_has_an_example_in_the_table() -> None:
    """Each family's examples are cases of that family, and no name belongs to two."""
    for family in FAMILIES:
        assert family.examples
        for name in family.examples:
            assert CASES[name].family == family.pattern
            assert sum(other.case(name) is not None for other in FAMILIES) == 1


def test_every_model_has_its_row_in_the_document() -> None:
    """docs/chaos.md has the table as the code has it."""
    lines = [line for line in DOC.read_text().splitlines() if line.startswith("| `")]
    assert lines == [f"| `{a}` | {b} | {c} | {d} |" for a, b, c, d in rows()]


def test_a_name_carries_any_number() -> None:
    """Models that aren't in the table are found by their pattern."""
    assert expected_text("reset-after-2") == "lorem ipsum"
    assert expected_text("reset-after-2", stream=False) == ""
    assert expected_text("lorem-3-7ms") == "lorem ipsum dolor"
    assert "reset-after-2" not in CASES


def test_an_unknown_name_is_no_case() -> None:
    """A name that is no model has no expected text."""
    assert case_for("gpt-4o") is None
    assert expected_text("reset-after-x") is None
