"""A Run owns one provider call, writes its log, and gives it exactly one terminal state.

    start ─▶ answer(run) … emit, emit, emit … ─▶ ending ─▶ the store commits it ─▶ the log is closed with it
                 ▲ cancel(outcome): stop, disconnect, shutdown

Clients are readers of the log; Runs tells the run when one comes and when one leaves. It does not know a wire or a
provider. Made by chat.py. Only `cancel` ends the task early, and it does nothing once the ending is known, so a final
record is never interrupted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from gateway.config.schema import Streaming
from gateway.domain.events import Delta, Started
from gateway.domain.trace import Outcome, TraceEnd
from gateway.errors import AnswerTooLong, GatewayError, ProviderTimeout, StoreUnavailable
from gateway.storage.engine import Engine
from gateway.storage.scripts.traces import finish_trace
from gateway.streaming.ending import Ending, failed, terminal_of
from gateway.streaming.log import EventLog
from gateway.streaming.recorder import Recorder

COMMIT_WAIT_S = 5.0  # a final record that takes longer ends the stream without it, and is retried
_log = logging.getLogger("gateway.run")


class Owner(msgspec.Struct, frozen=True):
    """Who may resume and stop a stream. `person`: in whose name it was asked."""

    project: str
    key_id: str | None
    person: str | None = None


class Run:
    """`begin_committed` is done once the trace's row is committed: no byte goes to a client before."""

    def __init__(
        self,
        started: Started,
        owner: Owner,
        recorder: Recorder,
        store: Engine,
        config: Streaming,
        *,
        grace_s: float,
        replayable: bool,
        body_digest: bytes = b"",
        token: Callable[[], str] = str,
    ) -> None:
        self.trace_id = started.trace_id
        self.owner = owner
        self.log = EventLog(started)
        self.recorder = recorder
        self.replayable = replayable  # worth keeping the log for a resume once it has ended
        self.body_digest = body_digest  # of the request, see streaming/again.py
        self.end: TraceEnd | None = None  # the final record, once it is written or on its way
        self.saved = (0, 0)  # mark of the last checkpoint
        self.checkpoints = 0
        self.token = token  # makes the feedback token of `done`
        self.turn = 0  # of which sweep it is stored in, see Runs
        self.begin_committed: asyncio.Future[None]
        self._store = store
        self._config = config
        self._grace_s = grace_s
        self._grace: asyncio.TimerHandle | None = None
        self._ending: Ending | None = None
        self._cancelled: Outcome | None = None
        self.task: asyncio.Task[None]
        self._entered = False

    def start(
        self, begin: Awaitable[None], answer: Callable[[], Awaitable[None]], on_finished: Callable[[Run], None]
    ) -> None:
        """Begin the provider call beside the commit of the trace's row; `on_finished` is called when all is over."""
        self.begin_committed = asyncio.ensure_future(begin)
        self.begin_committed.add_done_callback(self._begin_done)
        self.task = asyncio.get_running_loop().create_task(self._main(answer, on_finished))

    @property
    def finished(self) -> bool:
        """Return True once the ending is known: nothing can change it."""
        return self._ending is not None

    def emit(self, events: Sequence[Delta], raw: Sequence[bytes] = ()) -> bool:
        """Record and log what the provider said next. Return True when a reader is too far behind: await `drain`.

        `raw` is the same as the provider's own frames, where a reader wants those. Raises AnswerTooLong.
        """
        log, recorder = self.log, self.recorder
        recorder.observe(events)
        behind = log.append(events, raw)
        if log.size + recorder.other_chars > self._config.max_answer_bytes:
            raise AnswerTooLong("The answer is longer than this server allows.")
        return behind and self.over_high_water

    @property
    def over_high_water(self) -> bool:
        """Return True when the slowest reader is too far behind for the provider to be read on."""
        return self.log.behind() > self._config.max_buffer_bytes

    async def drain(self) -> None:
        """Wait until the slowest reader has caught up."""
        await self.log.drain(self._config.max_buffer_bytes)

    def reader_came(self) -> None:
        """Go on, if this is within the grace after the last reader left."""
        if self._grace is not None:
            self._grace.cancel()
            self._grace = None

    def reader_left(self) -> None:
        """Do as the policy says, if it was the last one."""
        if not self.log.listeners and not self.finished and self._config.disconnect == "cancel":
            if self._grace_s > 0:
                loop = asyncio.get_running_loop()
                self._grace = loop.call_later(self._grace_s, self.cancel, Outcome.DISCONNECTED)
            else:
                self.cancel(Outcome.DISCONNECTED)

    def cancel(self, outcome: Outcome) -> None:
        """End the provider call now, with this outcome. The first one counts; an ending that is known stays."""
        if not self.finished and self._cancelled is None:
            self._cancelled = outcome
            if self._entered:  # a task cancelled before its first step would never reach its clean-up
                self.task.cancel()

    async def stop(self) -> TraceEnd | None:
        """Stop the answer, wait until its record is stored, and return that; None where there is none yet."""
        self.cancel(Outcome.STOPPED)
        await self.wait()
        return self.end

    async def wait(self) -> None:
        """Wait until the final record is in the store, and not much longer than a client waits for it."""
        await asyncio.wait({self.task}, timeout=COMMIT_WAIT_S + 1)

    def _begin_done(self, begin: asyncio.Future[None]) -> None:
        if begin.cancelled() or begin.exception() is not None:
            self.cancel(Outcome.INTERRUPTED)  # nobody may see an answer that has no row

    async def _main(self, answer: Callable[[], Awaitable[None]], on_finished: Callable[[Run], None]) -> None:
        self._entered = True
        try:
            ending = self._ending = await self._answer(answer)
            if self._grace is not None:
                self._grace.cancel()
            try:
                await self.begin_committed
            except GatewayError as error:
                self.log.close(failed(self.trace_id, error))
                return
            await self._finish(ending)
        except Exception:
            _log.exception("The end of %s failed.", self.trace_id)
            self.log.close(failed(self.trace_id, GatewayError("Something went wrong in the gateway.")))
        finally:
            if self.log.closed is None:  # cancelled during the final write, at the very end of a drain
                self.log.close(failed(self.trace_id, StoreUnavailable("The answer's record could not be stored.")))
            on_finished(self)

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
            _log.exception("The answer of %s failed.", self.trace_id)
            return Ending(Outcome.UPSTREAM_ERROR, GatewayError("Something went wrong in the gateway."))
        gone = not self.log.listeners and self._config.disconnect == "drain"
        return Ending(Outcome.DRAINED if gone else Outcome.COMPLETE)

    async def _finish(self, ending: Ending) -> None:
        """Commit the final record, then close the log; past COMMIT_WAIT_S, the other way round."""
        self.end = end = self.recorder.end(ending, self.log.parts())
        terminal = terminal_of(end, self.token(), ending.error)
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
                    self.log.close(failed(self.trace_id, unsaved))
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
                _log.warning("The final record of %s waits: %s", end.trace_id, error.message)
                await asyncio.sleep(delay)
                delay = min(delay * 2, 2.0)
            except Exception:
                if not end.spans:
                    raise
                _log.exception("The final record of %s is stored without its spans and usage.", end.trace_id)
                end = msgspec.structs.replace(end, usage=None, spans=())
            else:
                return
