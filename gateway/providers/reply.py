"""Decodes one attempt's reply as it comes in, times it, and passes it on to the run.

It is the Sink that a provider feeds. Until the first real token nothing is passed on, so that the router can still
turn to another target. Used by router.py only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from gateway.config.schema import Model
from gateway.domain.events import Delta, UsageReported
from gateway.domain.ids import monotonic_ms
from gateway.domain.messages import LARGE, ChatRequest
from gateway.domain.trace import Attempt
from gateway.errors import ProviderError, ProviderTimeout
from gateway.wire.completion import CompletionDecoder, FoldingDecoder
from gateway.wire.sse import TELLING, looks_like_events
from gateway.wire.upstream import StreamDecoder

_LINGER_S = 1.0  # after a finish reason: how long the usage chunk and [DONE] may take
TOO_LATE = "The answer took longer than this server allows."
_MAX_BLANK_BYTES = 4_096  # which some servers send to keep a connection alive, before a body tells what it is
_MAX_HELD_BYTES = 1_048_576  # of frames without content before the first token


class Output(Protocol):
    """Where an answer goes: a Run."""

    trace_id: str

    def emit(self, events: Sequence[Delta], raw: Sequence[bytes] = ()) -> bool:
        """Take what the provider said next. Return True when a reader is too far behind: await `drain`."""

    @property
    def over_high_water(self) -> bool:
        """Return True when a reader is too far behind for the provider to be read on."""

    async def drain(self) -> None:
        """Wait until no reader is."""


class Reply:
    """Decodes, times and forwards one reply. `timer` ends the attempt when a timeout runs out."""

    def __init__(
        self,
        request: ChatRequest,
        output: Output,
        attempt: Attempt,
        model: Model,
        timer: asyncio.Timeout,
        max_answer_bytes: int,
        deadline: float,
    ) -> None:
        self.started = False  # a token was passed on: there is no way back
        self.too_late = False  # the whole answer's time ran out, not this attempt's
        self._deadline = deadline  # loop time
        self._request, self._output, self._attempt, self._model = request, output, attempt, model
        self._max_bytes = max_answer_bytes
        self._decoder: StreamDecoder | CompletionDecoder | None = None
        self._sse: bool | None = None  # what the head says that the body is
        self._beginning = b""  # of a body that doesn't tell yet what it is
        self._lingers = False
        self._held: list[Delta] = []
        self._several = "n" in request.fields  # answers may be asked for
        self._timer = timer
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()  # when the last event came
        self._waiting = "first token" if request.stream else "answer"
        self._paused = False
        self._timeout: asyncio.TimerHandle | None = None
        self._arm(model.first_token_timeout_s if request.stream else model.total_timeout_s)

    @property
    def done(self) -> bool:
        return self._decoder is not None and self._decoder.done

    @property
    def finished(self) -> bool:
        """Return True once a finish reason or [DONE] came: the answer is whole, whatever the connection does now."""
        return self._decoder is not None and (self._decoder.finished or self._decoder.done)

    @property
    def answered_model(self) -> str | None:
        return self._decoder.model if self._decoder else None

    def head(self, *, sse: bool, request_id: str | None = None) -> None:
        """See providers.base.ReplySink."""
        self._attempt.status, self._attempt.request_id = 200, request_id
        self._sse = sse
        if not self._request.stream:  # the body has begun: from here on it must keep coming
            self._waiting = "rest of the answer"
            self._last = self._loop.time()
            self._arm(self._model.idle_timeout_s)

    def feed(self, data: bytes) -> bool:
        """Take the next bytes; see providers.base.Sink. Raises the error that they are or report."""
        decoder = self._decoder
        if decoder is None:
            data = self._beginning + data
            if (decoder := self._begin(data)) is None:
                self._beginning = data
                self._last = self._last if self._request.stream else self._loop.time()
                return False
        full = False
        if events := decoder.feed(data):
            full = self._pass(decoder, events)
        elif decoder.raw:
            full = self._hold(decoder)
        if not self._request.stream:
            self._last = self._loop.time()
        if decoder.failure:
            raise decoder.failure
        if decoder.lingers is not self._lingers and not self._several:
            self._lingers = decoder.lingers
            self._arm(_LINGER_S if decoder.lingers else self._model.idle_timeout_s)
        return full or decoder.done

    def _begin(self, data: bytes, *, last: bool = False) -> StreamDecoder | CompletionDecoder | None:
        """Choose the decoder by how the body begins, else by its head; None where more of it has to come first."""
        if self._sse is None:
            raise ProviderError("The provider sent a body without a head.")
        sse = looks_like_events(data)
        if sse is None:
            if not last and len(data.lstrip()) < TELLING and len(data) < _MAX_BLANK_BYTES:
                return None
            sse = self._sse
        request, trace_id = self._request, self._output.trace_id
        if not sse:
            self._decoder = CompletionDecoder(
                trace_id, as_stream=request.stream, keep_usage=request.include_usage, max_bytes=self._max_bytes
            )
        elif request.raw and not request.stream:
            self._decoder = FoldingDecoder(trace_id, max_frame_bytes=self._max_bytes)
        else:
            self._decoder = StreamDecoder(
                trace_id, keep_raw=request.raw, keep_usage=request.include_usage, max_frame_bytes=self._max_bytes
            )
        return self._decoder

    async def drain(self) -> None:
        """See providers.base.Sink. Time spent here is the client's, so no timeout counts it."""
        if self._output.over_high_water:
            self._paused = True
            try:
                await self._output.drain()
            finally:
                self._paused = False
                self._last = self._loop.time()

    def close(self) -> None:
        """Pass on the rest, since the body ended. Raises ProviderError if that was not the answer's end."""
        self.disarm()
        if self._sse is None:
            raise ProviderError("The provider sent nothing.")
        decoder = self._decoder
        events = []
        if decoder is None:
            decoder = self._begin(self._beginning, last=True)
            assert decoder is not None  # noqa: S101 - for mypy
            events = decoder.feed(self._beginning)
        events += decoder.close()
        if decoder.failure and not self.finished:
            raise decoder.failure
        if not self.finished and not isinstance(decoder, CompletionDecoder):
            if self.started:
                self._pass(decoder, events)
            raise ProviderError("The provider ended the answer before it was complete.")
        self.started = True
        self._pass(decoder, events)

    def disarm(self) -> None:
        """Stop the clock."""
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None

    def timed_out(self) -> ProviderTimeout:
        """Return the error of an expired timer."""
        if self.too_late:
            return ProviderTimeout(TOO_LATE)
        return ProviderTimeout(f"The provider took too long: the {self._waiting} did not come in time.")

    def _pass(self, decoder: StreamDecoder | CompletionDecoder, events: list[Delta]) -> bool:
        self._last = self._loop.time()
        if self._attempt.first_ms is None:
            events = [*self._held, *events]
            if not self.started and all(isinstance(event, UsageReported) for event in events):
                self._held = events
                return self._hold(decoder)
            self._held = []
            self.started = True
            if self._request.size > LARGE:
                self._request.fields.clear()  # there is no way back to another target
            self._attempt.first_ms = monotonic_ms()
            if self._request.stream:
                self._waiting = "next token"
                self._arm(self._model.idle_timeout_s)
        if raw := decoder.raw:
            decoder.raw = []
        return self._output.emit(events, raw) if events or raw else False

    def _hold(self, decoder: StreamDecoder | CompletionDecoder) -> bool:
        """Pass on frames without content during an answer; keep them before it."""
        if self.started:
            raw, decoder.raw = decoder.raw, []
            return self._output.emit((), raw)
        if sum(map(len, decoder.raw)) > _MAX_HELD_BYTES:
            raise ProviderError("The provider sent no answer.")
        return False

    def _arm(self, seconds: float) -> None:
        """Start the clock again: the attempt ends when nothing comes for so long."""
        self.disarm()
        self._timeout = self._loop.call_at(min(self._last + seconds, self._deadline), self._check_timeout, seconds)

    def _check_timeout(self, seconds: float) -> None:
        # Tokens only note the time they came; this looks once per timeout whether one did.
        now = self._loop.time()
        if self._paused:
            self._last = now
        self.too_late = now >= self._deadline - 0.001
        if self.too_late or now - self._last >= seconds - 0.001:
            self._timer.reschedule(now)
        else:
            self._timeout = self._loop.call_at(min(self._last + seconds, self._deadline), self._check_timeout, seconds)
