"""The final record: a fold over what happened."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gateway.config.schema import Model
from gateway.domain import ids
from gateway.domain.answer import Part
from gateway.domain.events import ChoiceDelta, Finished, ReasoningDelta, TextDelta, ToolCallDelta, UsageReported
from gateway.domain.messages import Usage
from gateway.domain.trace import PREVIEW_CHARS, Attempt, Outcome, preview
from gateway.errors import ProviderRefused, ProviderTimeout
from gateway.streaming.ending import Ending, failed, terminal_of
from gateway.streaming.recorder import Recorder
from tests.support.rows import a_start

TEXT: list[Part] = [("text", "Hello")]


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The time of day, as the one element of a list."""
    clock = [2_000]
    monkeypatch.setattr(ids, "monotonic_ms", lambda: clock[0])
    return clock


def recorder(attempts: list[Attempt] | None = None, content: Any = "full", **start: Any) -> Recorder:
    record = Recorder(a_start(**start), attempts if attempts is not None else [], content)
    record._began = record._start.request_time  # both clocks say the same here
    return record


@pytest.mark.parametrize(
    ("price_in", "price_out", "cost"), [(None, None, None), (2.0, 5.0, 12e-6), (None, 5.0, 10e-6), (2.0, None, 2e-6)]
)
def test_what_it_costs(price_in: float | None, price_out: float | None, cost: float | None) -> None:
    """By the model's prices of a million tokens, if it has any, and the tokens, if they are known."""
    model = Model(targets=("demo/echo",), price_in=price_in, price_out=price_out)
    record = Recorder(a_start(), [], "full", model.cost)
    assert record.end(Ending(Outcome.COMPLETE), []).cost is None
    record.observe([UsageReported(Usage(1, 2, 3))])
    assert record.end(Ending(Outcome.COMPLETE), TEXT).cost == cost


def attempt(**over: Any) -> Attempt:
    fields: dict[str, Any] = {"span_id": ids.new_span_id(), "provider": "openai", "model": "gpt", "start_ms": 1_010}
    return Attempt(**(fields | over))


def test_a_whole_answer(at: list[int]) -> None:
    """Times from the request on, the provider's usage and reason, the model that answered."""
    one = attempt(first_ms=1_500, end_ms=1_900, status=200)
    record = recorder([one])
    at[0] = 1_600
    record.observe([TextDelta(b"Hel", 3, 2)])
    at[0] = 1_700
    record.observe([TextDelta(b"lo", 2), Finished(0, "length"), UsageReported(Usage(1, 2, 3))])
    at[0] = 2_000
    end = record.end(Ending(Outcome.COMPLETE), TEXT)
    assert (end.first_token_ms, end.duration_ms, end.end_time) == (600, 1_000, 2_000)
    assert (end.finish_reason, end.usage, end.usage_estimated) == ("length", Usage(1, 2, 3), False)
    assert (end.answered_model, end.provider, end.error_code) == ("gpt", "openai", None)
    assert (end.response_preview, end.parts) == ("Hello", None)
    assert json.loads(end.response or "") == [{"role": "assistant", "content": "Hello"}]
    root, call = end.spans
    assert (root.kind, root.status, root.start_ms, root.end_ms) == ("SERVER", "OK", 1_000, 2_000)
    assert root.attributes["gen_ai.response.finish_reasons"] == ["length"]
    assert root.attributes["gen_ai.usage.output_tokens"] == 2
    assert root.attributes["gen_ai.server.time_to_first_token"] == 0.6
    assert "gateway.usage_estimated" not in root.attributes
    assert (call.name, call.kind, call.parent_id, call.status) == ("chat openai/gpt", "CLIENT", root.span_id, "OK")
    assert call.attributes["http.response.status_code"] == 200
    assert call.attributes["gen_ai.server.time_to_first_token"] == 0.49


def test_a_failure_with_its_attempts(at: list[int]) -> None:
    """Each attempt is a span with its error; one that was cancelled is none of its own."""
    attempts = [
        attempt(end_ms=1_100, status=500, error="upstream_error", message="The provider answered 500."),
        attempt(provider="backup", error="cancelled"),
    ]
    end = recorder(attempts).end(Ending(Outcome.TIMEOUT, ProviderTimeout("Too late.")), [])
    assert (end.error_code, end.error_message, end.finish_reason) == ("upstream_timeout", "Too late.", None)
    assert (end.usage, end.usage_estimated, end.response_preview, end.first_token_ms) == (None, False, None, None)
    root, first, second = end.spans
    assert (root.status, root.message, root.attributes["error.type"]) == ("ERROR", "Too late.", "upstream_timeout")
    assert (first.status, first.message, first.end_ms) == ("ERROR", "The provider answered 500.", 1_100)
    assert first.attributes["error.type"] == "upstream_error"
    assert (second.status, second.end_ms) == ("OK", 2_000)
    assert "http.response.status_code" not in second.attributes


def test_what_an_operator_asks_for_is_on_the_attempts_span(at: list[int]) -> None:
    """Why the provider couldn't be reached, and its own ID of the request."""
    attempts = [attempt(error="upstream_error", cause="connection refused"), attempt(request_id="req_1", status=200)]
    _, first, second = recorder(attempts).end(Ending(Outcome.COMPLETE), []).spans
    assert first.attributes["gateway.failure_cause"] == "connection refused"
    assert "gateway.provider_request_id" not in first.attributes
    assert second.attributes["gateway.provider_request_id"] == "req_1"
    assert "gateway.failure_cause" not in second.attributes


@pytest.mark.parametrize(
    ("outcome", "reason", "code"),
    [(Outcome.STOPPED, "stopped", None), (Outcome.DISCONNECTED, "disconnected", None), (Outcome.COMPLETE, "stop", None),
     (Outcome.DRAINED, "stop", None), (Outcome.INTERRUPTED, None, "server_shutdown")],
)  # fmt: skip
def test_the_reason_by_outcome(outcome: Outcome, reason: str | None, code: str | None) -> None:
    """Where the provider gave none."""
    end = recorder().end(Ending(outcome), [])
    assert (end.finish_reason, end.error_code, end.answered_model, end.provider) == (reason, code, None, None)
    assert end.duration_ms >= 0


def test_another_choices_reason_is_better_than_none() -> None:
    """Where choice 0 has none."""
    record = recorder()
    record.observe([Finished(1, "length")])
    assert record.end(Ending(Outcome.COMPLETE), []).finish_reason == "length"


def test_usage_is_estimated_where_the_provider_does_not_count() -> None:
    """Frames with content, marked as an estimate."""
    record = recorder()
    record.observe(
        [TextDelta(b"a", 1, 3), ReasoningDelta(b"b", 1), ToolCallDelta(msgspec.Raw(b"{}")), ChoiceDelta(1, "text", "x")]
    )
    record.observe([ChoiceDelta(1, "text", "y")])
    end = record.end(Ending(Outcome.STOPPED), [("reasoning", "b"), ("text", "a"), ("tool_call", {"id": "c"})])
    assert (end.usage, end.usage_estimated) == (Usage(0, 7, 7), True)
    assert end.spans[0].attributes["gateway.usage_estimated"]
    assert json.loads(end.parts or "") == [["reasoning", "b"], ["text", "a"], ["tool_call", {"id": "c"}]]
    assert json.loads(end.response or "")[1] == {"role": "assistant", "content": "xy"}


@pytest.mark.parametrize(
    ("content", "shown", "whole"), [("full", "Hello", True), ("preview", "Hello", False), ("none", None, False)]
)
def test_what_is_stored_of_the_answer(content: str, shown: str | None, whole: bool) -> None:
    """By `[capture] content`."""
    end = recorder(content=content).end(Ending(Outcome.COMPLETE), [*TEXT, ("reasoning", "x")])
    assert (end.response_preview, end.response is not None, end.parts is not None) == (shown, whole, whole)


def test_a_preview_is_a_thousand_characters() -> None:
    """A longer text says that there is more."""
    assert preview("x" * PREVIEW_CHARS) == "x" * PREVIEW_CHARS
    assert preview("x" * 1_001) == "x" * 999 + "…"


def test_checkpoints_by_content() -> None:
    """All parts; as much text as a preview needs; nothing."""
    many = msgspec.json.encode([("text", "x" * 600), ("reasoning", "y")]).decode()
    assert recorder().checkpoint(many) == many
    assert recorder(content="none").checkpoint(many) is None
    short = recorder(content="preview")
    sizes = [len(json.loads(short.checkpoint(many) or "[[0,0]]")[0][1]) for _ in range(2)]
    assert sizes == [600, 400]
    assert short.checkpoint(many) is None


@pytest.mark.parametrize("content", ["preview", "none"])
def test_a_providers_words_are_content(at: list[int], content: Any) -> None:
    """Its error may quote the prompt: where that isn't kept as a whole, only the status is, on trace and spans."""
    refused = ProviderRefused("can't take 'my name is Ann'", status=400)
    refused.upstream_status = 400
    attempts = [
        attempt(error="upstream_error", message="Ann", status=200, end_ms=1_020),
        attempt(error=refused.code, message=refused.message, status=400, end_ms=1_030),
    ]
    end = recorder(attempts, content).end(Ending(Outcome.UPSTREAM_ERROR, refused), [])
    assert end.error_message == "The provider answered 400."
    assert [span.message for span in end.spans] == [end.error_message, "The provider failed.", end.error_message]
    assert terminal_of(end, error=refused) == failed(end.trace_id, refused)
    whole = recorder(attempts).end(Ending(Outcome.UPSTREAM_ERROR, refused), [])
    assert [span.message for span in whole.spans] == [refused.message, "Ann", refused.message]


def test_the_gateways_own_words_are_kept(at: list[int]) -> None:
    """They quote nobody."""
    late = ProviderTimeout("The first token did not come in time.")
    attempts = [attempt(error=late.code, message=late.message, end_ms=1_020)]
    end = recorder(attempts, "none").end(Ending(Outcome.TIMEOUT, late), [])
    assert end.error_message == late.message
    assert end.spans[1].message == late.message


def test_a_finish_reason_is_a_word(at: list[int]) -> None:
    """Prose of the provider's is none: it could be anything, and it outlives an erasure."""
    for said, kept in (("content_filter", "content_filter"), ("because Ann said so", "other"), ("x" * 65, "other")):
        record = recorder()
        record.observe([Finished(0, said)])
        assert record.end(Ending(Outcome.COMPLETE), TEXT).finish_reason == kept


def test_details_of_the_usage_are_on_the_requests_span() -> None:
    """Under the names that OpenTelemetry has for them."""
    record = recorder()
    record.observe([UsageReported(Usage(9, 8, 17, {"cached_tokens": 5}, {"reasoning_tokens": 4}))])
    attributes = record.end(Ending(Outcome.COMPLETE), []).spans[0].attributes
    assert attributes["gen_ai.usage.cache_read.input_tokens"] == 5
    assert attributes["gen_ai.usage.reasoning.output_tokens"] == 4
