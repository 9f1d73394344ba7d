"""Folds one run into its final record: usage, times, previews, and a span for the request and for each attempt.

Attribute names: OpenTelemetry semantic conventions for generative AI. It does no I/O; Run calls `observe` for every
batch of events and `end` once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from gateway.domain import ids
from gateway.domain.activity import ChatActivity
from gateway.domain.answer import Part, answer_text, assistant_messages
from gateway.domain.events import ChoiceDelta, Delta, Finished, ReasoningDelta, TextDelta, UsageReported
from gateway.domain.messages import Usage
from gateway.domain.trace import PREVIEW_CHARS, Attempt, Outcome, Span, State, TraceEnd, TraceStart, preview
from gateway.errors import AnswerTooLong, GatewayError, ProviderTimeout
from gateway.streaming.ending import Ending

Content = Literal["full", "preview", "none"]
_OWN_WORDS = {ProviderTimeout.code, AnswerTooLong.code, GatewayError.code}  # errors whose messages are made here
_WORD = re.compile(r"[A-Za-z0-9_.:-]{1,64}")  # what a finish reason is; prose could quote the prompt, and stays


class Recorder:
    """`attempts` is the router's list, which fills up while the run goes on. `cost` prices tokens."""

    def __init__(
        self,
        start: TraceStart,
        attempts: list[Attempt],
        content: Content,
        cost: Callable[[Usage], float | None] = lambda _: None,
    ) -> None:
        self._start, self._attempts, self._content, self._cost = start, attempts, content, cost
        self.other_chars = 0  # characters of the choices after the first, which are not in the log
        self._first_ms: int | None = None
        self._began = ids.monotonic_ms()  # at request_time
        self._frames = 0  # with content: the estimate of completion tokens where the provider doesn't count
        self._others: dict[int, list[Part]] = {}  # what the choices after the first said
        self._reasons: dict[int, str] = {}
        self._usage: Usage | None = None
        self._preview_left = PREVIEW_CHARS  # of checkpoints, where only previews are kept

    def observe(self, events: Sequence[Delta]) -> None:
        """Note what the provider said next."""
        for event in events:
            kind = type(event)
            if kind is TextDelta or kind is ReasoningDelta:
                self._frames += event.count  # type: ignore[union-attr]
            elif isinstance(event, Finished):
                self._reasons[event.index] = event.reason
                continue
            elif isinstance(event, UsageReported):
                self._usage = event.usage
                continue
            else:
                self._frames += 1
                if isinstance(event, ChoiceDelta):
                    self._others.setdefault(event.index, []).append((event.kind, event.value))
                    text = isinstance(event.value, str)
                    self.other_chars += len(event.value if text else msgspec.json.encode(event.value))
            if self._first_ms is None:
                self._first_ms = ids.monotonic_ms() - self._began

    def checkpoint(self, parts: str) -> str | None:
        """Return the new parts, JSON, as the store keeps them. Return None where content isn't stored, or where a
        preview has enough."""
        if self._content == "none" or not self._preview_left:
            return None
        if self._content == "full":
            return parts
        text = answer_text(msgspec.json.decode(parts))[: self._preview_left]
        self._preview_left -= len(text)
        return msgspec.json.encode([("text", text)]).decode()

    def end(self, ending: Ending, parts: list[Part]) -> TraceEnd:
        """Return the final record. No duration is negative, although the clock may have been set back."""
        start, outcome = self._start, ending.outcome
        end_time = self._at(ids.monotonic_ms())
        last = self._attempts[-1] if self._attempts else None
        text = answer_text(parts)
        messages = assistant_messages(parts, self._others)
        simple = len(parts) <= 1 and not self._others and all(kind == "text" for kind, _ in parts)
        full = self._content == "full"
        error, usage = ending.error, self._usage or self._estimate()
        code = error.code if error else None
        message = self._kept_message(code, error.message, getattr(error, "upstream_status", None)) if error else None
        if outcome is Outcome.INTERRUPTED:
            code, message = "server_shutdown", "The server was shut down while answering."
        record = TraceEnd(
            trace_id=start.trace_id,
            project=start.project,
            outcome=outcome,
            end_time=end_time,
            duration_ms=end_time - start.request_time,
            first_token_ms=self._first_ms,
            finish_reason=self._reason(outcome),
            error_code=code,
            error_message=message,
            answered_model=last.model if last else None,
            provider=last.provider if last else None,
            usage=usage,
            cost=self._cost(usage) if usage else None,
            usage_estimated=self._usage is None and self._frames > 0,
            response_preview=preview(text) if self._content != "none" and text else None,
            response=msgspec.json.encode(messages).decode() if full else None,
            parts=msgspec.json.encode(parts).decode() if full and not simple else None,
        )
        msgspec.structs.force_setattr(record, "spans", self._spans(record))  # nobody else has seen it yet
        return record

    def activity(self, end: TraceEnd) -> ChatActivity:
        """Return what the log and the live feed show of a chat that is over."""
        start = self._start
        return ChatActivity(
            time=end.end_time,
            trace_id=end.trace_id,
            route=start.route,
            model=start.model,
            provider=end.provider,
            attempts=len(self._attempts),
            outcome=end.outcome.value,
            first_token_ms=end.first_token_ms,
            duration_ms=end.duration_ms,
            tokens=end.usage.total_tokens if end.usage else None,
            error=end.error_code,
            project=start.project,
            session_id=start.session_id,
            user_id=start.user_id,
            preview=start.request_preview,
        )

    def _reason(self, outcome: Outcome) -> str | None:
        if outcome in (Outcome.STOPPED, Outcome.DISCONNECTED):
            return outcome.value
        if outcome.state is State.ERROR:
            return None
        reason = self._reasons.get(0) or next(iter(self._reasons.values()), "stop")
        return reason if _WORD.fullmatch(reason) else "other"

    def _kept_message(self, code: str | None, message: str, status: int | None) -> str:
        """Return an error's message as it is kept: what the provider said of the prompt is content, too."""
        if self._content == "full" or code in _OWN_WORDS:
            return message
        return "The provider failed." if status in (None, 200) else f"The provider answered {status}."

    def _estimate(self) -> Usage | None:
        return Usage(0, self._frames, self._frames) if self._frames else None

    def _spans(self, end: TraceEnd) -> tuple[Span, ...]:
        start = self._start
        root: dict[str, Any] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": start.model,
            "gen_ai.conversation.id": start.session_id,
            "gateway.route": start.route,
            "gateway.outcome": end.outcome.value,
            "gateway.config_hash": start.config_hash,
        }
        if end.answered_model:
            root["gen_ai.response.model"] = end.answered_model
        if end.finish_reason:
            root["gen_ai.response.finish_reasons"] = [end.finish_reason]
        if end.usage:
            root["gen_ai.usage.input_tokens"] = end.usage.prompt_tokens
            root["gen_ai.usage.output_tokens"] = end.usage.completion_tokens
            if cached := end.usage.prompt_tokens_details.get("cached_tokens"):
                root["gen_ai.usage.cache_read.input_tokens"] = cached
            if reasoning := end.usage.completion_tokens_details.get("reasoning_tokens"):
                root["gen_ai.usage.reasoning.output_tokens"] = reasoning
        if end.usage_estimated:
            root["gateway.usage_estimated"] = True
        if end.error_code:
            root["error.type"] = end.error_code
        if end.first_token_ms is not None:
            root["gen_ai.server.time_to_first_token"] = end.first_token_ms / 1000
        failed = end.outcome.state is State.ERROR
        request = Span(
            span_id=start.root_span_id,
            parent_id=None,
            name=f"chat {start.model}",
            kind="SERVER",
            start_ms=start.request_time,
            end_ms=end.end_time,
            status="ERROR" if failed else "OK",
            message=end.error_message,
            attributes=root,
        )
        return (request, *(self._attempt_span(attempt, end.end_time) for attempt in self._attempts))

    def _at(self, monotonic_ms: int) -> int:
        """Return the time of day, by the clock of when the chat began: it may be set while the answer runs."""
        return self._start.request_time + monotonic_ms - self._began

    def _attempt_span(self, attempt: Attempt, end_time: int) -> Span:
        attributes: dict[str, Any] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": attempt.provider,
            "gen_ai.request.model": attempt.model,
        }
        if attempt.status is not None:
            attributes["http.response.status_code"] = attempt.status
        if attempt.error is not None:
            attributes["error.type"] = attempt.error
        if attempt.cause is not None:
            attributes["gateway.failure_cause"] = attempt.cause
        if attempt.request_id is not None:
            attributes["gateway.provider_request_id"] = attempt.request_id
        if attempt.first_ms is not None:
            attributes["gen_ai.server.time_to_first_token"] = (attempt.first_ms - attempt.start_ms) / 1000
        return Span(
            span_id=attempt.span_id,
            parent_id=self._start.root_span_id,
            name=f"chat {attempt.provider}/{attempt.model}",
            kind="CLIENT",
            start_ms=self._at(attempt.start_ms),
            end_ms=end_time if attempt.end_ms is None else self._at(attempt.end_ms),
            status="ERROR" if attempt.error not in (None, "cancelled") else "OK",
            message=attempt.message and self._kept_message(attempt.error, attempt.message, attempt.status),
            attributes=attributes,
        )
