"""A Run owns one provider call, writes its log, and gives it exactly one terminal state.

    start ─▶ answer(run) … emit, emit, emit … ─▶ ending ─▶ the store commits it ─▶ the log is closed with it
                 ▲ cancel(outcome): stop, disconnect, shutdown

Clients are readers of the log: one that leaves detaches, one that comes back attaches again. Made by chat.py; swept by
Runs. Only `cancel` ends the task early, and it does nothing once the ending is known, so a final record is never
interrupted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol

import msgspec

from gateway.config.schema import Streaming
from gateway.domain.answer import Part
from gateway.domain.events import ChoiceDelta, Delta, Done, Failed, Started, Terminal
from gateway.domain.trace import Outcome, State, TraceEnd
from gateway.errors import AnswerTooLong, GatewayError, ProviderTimeout, StoreUnavailable
from gateway.storage.engine import Engine
from gateway.storage.scripts.traces import finish_trace
from gateway.streaming.log import EventLog
from gateway.streaming.reader import Reader

COMMIT_WAIT_S = 5.0  # a final record that takes longer ends the stream without it, and is retried
_log = logging.getLogger("gateway.run")


class Owner(msgspec.Struct, frozen=True):
    """Who may resume and stop a stream."""

    project: str
    key_id: str | None


class Ending(msgspec.Struct, frozen=True):
    """How the provider call came out."""

    outcome: Outcome
    error: GatewayError | None = None


class Recorder(Protocol):
    """Folds what happens into the trace."""

    def tap(self, events: Sequence[Delta]) -> None: ...

    def checkpoint(self, parts: str) -> str | None:
        """The parts, JSON, as the store keeps them; None where content isn't stored."""

    def end(self, ending: Ending, parts: list[Part], said: int) -> TraceEnd:
        """`said` is how many frames came that `tap` has not seen."""


class Run:
    """`begun` is done once the trace's row is committed: no byte goes to a client before."""

    def __init__(
        self,
        started: Started,
        owner: Owner,
        recorder: Recorder,
        store: Engine,
        limits: Streaming,
        *,
        grace_s: float,
        replayable: bool,
        token: Callable[[], str] = str,
    ) -> None:
        self.trace_id = started.trace_id
        self.owner = owner
        self.log = EventLog(started)
        self.recorder = recorder
        self.replayable = replayable  # worth keeping the log for a resume once it has ended
        self.end: TraceEnd | None = None  # the final record, once it is written or on its way
        self.saved = (0, 0)  # mark of the last checkpoint
        self.checkpoints = 0
        self.token = token  # makes the feedback token of `done`
        self.turn = 0  # of which sweep it is stored in, see Runs
        self.begun: asyncio.Future[None]
        self._store = store
        self._limits = limits
        self._grace_s = grace_s
        self._grace: asyncio.TimerHandle | None = None
        self._said = 0  # frames that came by `say`
        self._others = 0  # characters of choices after the first, which are not in the log
        self._ending: Ending | None = None
        self._cancelled: Outcome | None = None
        self.task: asyncio.Task[None]
        self._entered = False

    def start(
        self, begun: Awaitable[None], answer: Callable[[], Awaitable[None]], settled: Callable[[Run], None]
    ) -> None:
        """Begin the provider call beside the commit of the trace's row; `settled` is called when all is over."""
        self.begun = asyncio.ensure_future(begun)
        self.begun.add_done_callback(self._begin_done)
        self.task = asyncio.get_running_loop().create_task(self._main(answer, settled))

    @property
    def over(self) -> bool:
        """The ending is known: nothing can change it."""
        return self._ending is not None

    def emit(self, events: Sequence[Delta], raw: Iterable[bytes] = ()) -> None:
        """What the provider said next. Raises AnswerTooLong."""
        self.recorder.tap(events)
        self.log.append(events, raw)
        self._others += sum(len(event.text) for event in events if isinstance(event, ChoiceDelta))
        if self.log.size + self._others > self._limits.max_answer_bytes:
            raise AnswerTooLong("The answer is longer than this server allows.")

    def say(self, text: bytes, chars: int, frames: int, raw: bytes) -> bool:
        """The text of some frames, `raw`: most of what `emit` gets, for less; it comes after the first token only.

        Whether it is crowded now. Raises AnswerTooLong.
        """
        self._said += frames
        late = self.log.say(text, chars, raw)
        if self.log.size + self._others > self._limits.max_answer_bytes:
            raise AnswerTooLong("The answer is longer than this server allows.")
        return late and self.crowded

    @property
    def crowded(self) -> bool:
        """Whether the slowest reader is too far behind for the provider to be read on."""
        return self.log.behind() > self._limits.max_buffer_bytes

    async def room(self) -> None:
        """Wait until it has caught up."""
        await self.log.room(self._limits.max_buffer_bytes)

    def attach(self, *, raw: bool = False, after: int = 0) -> Reader:
        """A client's reader, from position `after` on."""
        if self._grace is not None:
            self._grace.cancel()
            self._grace = None
        reader = Reader(self.log, raw=raw, after=after, now=asyncio.get_running_loop().time())
        self.log.readers.add(reader)
        return reader

    def detach(self, reader: Reader) -> None:
        """The client left, or has it all. When it was the last, the policy says what becomes of the call."""
        self.log.readers.discard(reader)
        self.log.advanced()
        if not self.log.readers and not self.over and self._limits.disconnect == "cancel":
            if self._grace_s > 0:
                loop = asyncio.get_running_loop()
                self._grace = loop.call_later(self._grace_s, self.cancel, Outcome.DISCONNECTED)
            else:
                self.cancel(Outcome.DISCONNECTED)

    def cancel(self, outcome: Outcome) -> None:
        """End the provider call now, with this outcome. The first one counts; an ending that is known stays."""
        if not self.over and self._cancelled is None:
            self._cancelled = outcome
            if self._entered:  # a task cancelled before its first step would never reach its clean-up
                self.task.cancel()

    async def wait(self) -> None:
        """Until the final record is in the store; not much longer than a client waits for it."""
        await asyncio.wait({self.task}, timeout=COMMIT_WAIT_S + 1)

    def _begin_done(self, begun: asyncio.Future[None]) -> None:
        if begun.cancelled() or begun.exception() is not None:
            self.cancel(Outcome.INTERRUPTED)  # nobody may see an answer that has no row

    async def _main(self, answer: Callable[[], Awaitable[None]], settled: Callable[[Run], None]) -> None:
        self._entered = True
        try:
            ending = self._ending = await self._answer(answer)
            if self._grace is not None:
                self._grace.cancel()
            try:
                await self.begun
            except GatewayError as error:
                self.log.close(_failed(self.trace_id, error))
                return
            await self._settle(ending)
        except Exception:
            _log.exception("the end of %s failed", self.trace_id)
            self.log.close(_failed(self.trace_id, GatewayError("Something went wrong in the gateway.")))
        finally:
            if self.log.closed is None:  # cancelled amid the final write, at the very end of a drain
                self.log.close(_failed(self.trace_id, StoreUnavailable("The answer's record could not be stored.")))
            settled(self)

    async def _answer(self, answer: Callable[[], Awaitable[None]]) -> Ending:
        if self._cancelled is not None:
            return Ending(self._cancelled)
        try:
            await answer()
        except asyncio.CancelledError:
            return Ending(self._cancelled or Outcome.INTERRUPTED)
        except ProviderTimeout as error:
            return Ending(Outcome.TIMEOUT, error)
        except AnswerTooLong as error:
            return Ending(Outcome.TOO_LONG, error)
        except GatewayError as error:
            return Ending(Outcome.UPSTREAM_ERROR, error)
        except Exception:
            _log.exception("the answer of %s failed", self.trace_id)
            return Ending(Outcome.UPSTREAM_ERROR, GatewayError("Something went wrong in the gateway."))
        gone = not self.log.readers and self._limits.disconnect == "drain"
        return Ending(Outcome.DRAINED if gone else Outcome.COMPLETE)

    async def _settle(self, ending: Ending) -> None:
        """Commit the final record, then close the log; past COMMIT_WAIT_S, the other way round."""
        self.end = end = self.recorder.end(ending, self.log.parts(), self._said)
        terminal = _terminal(end, ending.error, self.token)
        write = asyncio.ensure_future(self._store.write(finish_trace, end))
        loop = asyncio.get_running_loop()
        late = loop.time() + COMMIT_WAIT_S
        await asyncio.wait({write}, timeout=COMMIT_WAIT_S)
        if not write.done() or write.cancelled() or write.exception() is not None:  # the record must get in
            write.add_done_callback(lambda w: w.cancelled() or w.exception())
            retry = asyncio.create_task(self._retry(end))
            try:
                await asyncio.wait({retry}, timeout=max(0, late - loop.time()))
                if not retry.done():
                    unsaved = StoreUnavailable("The answer is here, but its record could not be stored yet.")
                    self.log.close(_failed(self.trace_id, unsaved))
                await retry
            finally:
                retry.cancel()  # where this was cancelled
        self.log.close(terminal)

    async def _retry(self, end: TraceEnd) -> None:
        """Write the final record until it is in; where it can't be stored as it is, without what it can do without."""
        delay = 0.05
        while True:
            try:
                await self._store.write(finish_trace, end)
            except StoreUnavailable as error:
                _log.warning("the final record of %s waits: %s", end.trace_id, error.message)
                await asyncio.sleep(delay)
                delay = min(delay * 2, 2.0)
            except Exception:
                if not end.spans:
                    raise
                _log.exception("the final record of %s is stored without its spans and usage", end.trace_id)
                end = msgspec.structs.replace(end, usage=None, spans=())
            else:
                return


def _terminal(end: TraceEnd, error: GatewayError | None, token: Callable[[], str]) -> Terminal:
    if end.outcome.state is State.ERROR:
        return Failed(
            end.trace_id,
            end.error_message or "The answer failed.",
            end.error_code or "upstream_error",
            error.retryable if error else True,
            error.status if error else 503,
            error.retry_after if error else None,
        )
    reason = end.finish_reason or "stop"
    return Done(end.trace_id, reason, end.usage, end.first_token_ms, end.duration_ms, token())


def _failed(trace_id: str, error: GatewayError) -> Failed:
    return Failed(trace_id, error.message, error.code, error.retryable, error.status, error.retry_after)
