"""Identifiers have the forms that others rely on; outcomes have one state each."""

from __future__ import annotations

import re

import pytest

from gateway.domain import ids
from gateway.domain.trace import Outcome, State


def test_a_trace_id_begins_with_the_time() -> None:
    """So inserts stay local; the rest is random."""
    before = ids.now_ms()
    one, two = ids.new_trace_id(), ids.new_trace_id()
    assert ids.TRACE_ID.fullmatch(one)
    assert before <= int(one[3:15], 16) <= ids.now_ms()
    assert one != two


def test_the_other_ids() -> None:
    """Span 16 hex, assessment a- and 32, and ours for requests and sessions."""
    assert ids.SPAN_ID.fullmatch(ids.new_span_id())
    assert re.fullmatch(r"a-[0-9a-f]{32}", ids.new_assessment_id())
    assert re.fullmatch(r"req-[0-9a-f]{24}", ids.new_request_id())
    assert re.fullmatch(r"s-[0-9a-f]{32}", ids.new_session_id())


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_is_ok_or_an_error(outcome: Outcome) -> None:
    """By the table: what the user or the provider ended is OK."""
    good = {"complete", "drained", "stopped", "disconnected"}
    assert outcome.state is (State.OK if outcome.value in good else State.ERROR)
