"""Identifiers have the forms that others rely on; outcomes have one state each."""

from __future__ import annotations

import re

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
