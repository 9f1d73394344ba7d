"""Identifiers have the forms that others rely on; outcomes have one state each."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from gateway.domain import ids
from gateway.domain.trace import Outcome, State


def test_a_trace_id_begins_with_the_time() -> None:
    """A trace ID begins with the time, and the rest is random."""
    before = ids.now_ms()
    one, two = ids.new_trace_id(), ids.new_trace_id()
    assert ids.TRACE_ID.fullmatch(one)
    assert before <= int(one[3:15], 16) <= ids.now_ms()
    assert one != two


def test_trace_ids_of_one_millisecond_rise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trace IDs made within one millisecond rise, by steps that differ, and keep the time that they begin with."""
    monkeypatch.setattr(ids, "now_ms", lambda: 1_700_000_000_000)
    numbers = [int(ids.new_trace_id()[3:], 16) for _ in range(2000)]
    assert numbers == sorted(numbers)
    assert len({after - before for before, after in pairwise(numbers)}) == 1999
    assert {number >> 80 for number in numbers} == {1_700_000_000_000}


def test_span_ids_rise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also within a millisecond, and when the clock is set back."""
    now = iter([1_700_000_000_000] * 1000 + [1_600_000_000_000] * 1000)
    monkeypatch.setattr(ids, "now_ms", lambda: next(now))
    made = [ids.new_span_id() for _ in range(2000)]
    assert made == sorted(set(made))
    assert all(map(ids.SPAN_ID.fullmatch, made))


def test_the_other_ids() -> None:
    """A span's ID has 16 hex digits; those of assessments, requests and sessions have a prefix."""
    assert ids.SPAN_ID.fullmatch(ids.new_span_id())
    assert re.fullmatch(r"a-[0-9a-f]{32}", ids.new_assessment_id())
    assert re.fullmatch(r"req-[0-9a-f]{24}", ids.new_request_id())
    assert re.fullmatch(r"s-[0-9a-f]{32}", ids.new_session_id())


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_is_ok_or_an_error(outcome: Outcome) -> None:
    """An answer that the user or the provider ended is OK, and every other one an error."""
    good = {"complete", "drained", "stopped", "disconnected"}
    assert outcome.state is (State.OK if outcome.value in good else State.ERROR)
