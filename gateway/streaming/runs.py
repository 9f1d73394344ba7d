"""All runs of this process: the running ones, and the finished ones that can still be replayed.

One sweep, four times a second, does for all of them what each would else need a timer for: heartbeats, send timeouts,
checkpoints and the end of the resume window. Made by app.py; used by chat.py and by the drain.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable

import msgspec

from gateway.config.current import Current
from gateway.config.schema import Streaming
from gateway.domain.ids import now_ms
from gateway.domain.trace import Checkpoint, Outcome
from gateway.errors import GatewayError, Unavailable
from gateway.storage.engine import Engine
from gateway.storage.scripts.traces import checkpoint
from gateway.streaming.log import EventLog
from gateway.streaming.reader import RawReader, Reader
from gateway.streaming.run import COMMIT_WAIT_S, Owner, Run

SWEEP_S = 0.25
_TURNS = 4  # sweeps in which each running answer is stored once, a part of them at a time: a second
_KEPT_BYTES = 2048  # of a kept log beside its text, about
_log = logging.getLogger("gateway.runs")


class Kept(msgspec.Struct, frozen=True):
    """What is left of a run that can still be replayed: not the request, nor anything else that takes memory."""

    log: EventLog
    owner: Owner
    ended: float  # loop time
    body_digest: bytes

    @property
    def size(self) -> int:
        return self.log.size + _KEPT_BYTES


class Reading:
    """A block in which a client reads: `with runs.reading(log) as reader`. Leaving it is how the client leaves.

    A class, not a generator: each open stream keeps one.
    """

    __slots__ = ("_reader", "_readers", "_run")

    def __init__(self, readers: set[Reader], reader: Reader, run: Run | None) -> None:
        self._readers, self._reader, self._run = readers, reader, run

    def __enter__(self) -> Reader:
        reader = self._reader
        self._readers.add(reader)
        reader.log.listeners.add(reader)
        if self._run is not None:
            self._run.reader_came()
        return reader

    def __exit__(self, *_: object) -> None:
        reader = self._reader
        self._readers.discard(reader)
        reader.log.listeners.discard(reader)
        reader.log.advanced()
        if self._run is not None:
            self._run.reader_left()


class Asked:
    """A block in which a new answer is read, which `begin` starts: `async with chat.ask(…) as reader`."""

    __slots__ = ("_begin", "_reading")

    def __init__(self, begin: Callable[[], Awaitable[Reading]]) -> None:
        self._begin = begin

    async def __aenter__(self) -> Reader:
        self._reading = await self._begin()
        del self._begin  # it holds the request, which is not needed any more
        return self._reading.__enter__()

    async def __aexit__(self, *_: object) -> None:
        self._reading.__exit__()


class Runs:
    """The registry of runs and of readers. `count` tells the metrics what the sweep did: heartbeats, send_timeouts,
    checkpoints."""

    def __init__(self, store: Engine, current: Current, count: Callable[[str], None]) -> None:
        self.running: dict[str, Run] = {}
        self.draining = False
        self._current = current
        self._store = store
        self._count = count
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._kept_bytes = 0
        self.readers: set[Reader] = set()  # also those of answers that are finished
        self._saving: asyncio.Task[None] | None = None
        self._turn = self._added = 0

    @property
    def _config(self) -> Streaming:
        return self._current.value.streaming

    def add(self, run: Run) -> None:
        """Register a run. Raise Unavailable while the server drains."""
        if self.draining:
            raise Unavailable("The server is shutting down. Please try again.", retry_after=1)
        self.running[run.trace_id] = run
        run.turn = self._added = (self._added + 1) % _TURNS

    def finished(self, run: Run) -> None:
        """Take a run out, and keep its log for a while if somebody may come back for it."""
        self.running.pop(run.trace_id, None)
        if run.replayable and run.end is not None and self._config.resume_window_s > 0:
            kept = Kept(run.log, run.owner, asyncio.get_running_loop().time(), run.body_digest)
            self._kept[run.trace_id] = kept
            self._kept_bytes += kept.size
            while self._kept_bytes > self._config.replay_max_bytes:
                self._forget()

    def stop(self, trace_id: str) -> None:
        """Stop an answer if it still goes on. Its readers get the end once the record is stored."""
        if (run := self.running.get(trace_id)) is not None:
            run.cancel(Outcome.STOPPED)

    async def forget(self, trace_ids: Iterable[str]) -> bool:
        """Stop these where they run, and keep nothing of them. True: the final record of one isn't stored yet."""
        trace_ids = list(trace_ids)
        running = [run for each in trace_ids if (run := self.running.get(each))]
        for run in running:
            run.cancel(Outcome.STOPPED)
        if running:
            await asyncio.wait({run.task for run in running}, timeout=COMMIT_WAIT_S + 1)
        for trace_id in trace_ids:
            if kept := self._kept.pop(trace_id, None):
                self._kept_bytes -= kept.size
        return any(run.trace_id in self.running for run in running)

    def get(self, trace_id: str) -> Run | Kept | None:
        """Return a run that goes on, or what was kept of one that is over."""
        return self.running.get(trace_id) or self._kept.get(trace_id)

    def reading(self, log: EventLog, *, raw: bool = False, after: int = 0, token: str | None = None) -> Reading:
        """Return a block that reads a log from position `after` on, whether its run still goes on, or is over, or never
        was here. `raw`: of the provider's own frames. `token`: the feedback token that its events bear, in place of
        the log's."""
        run, now = self.running.get(log.started.trace_id), asyncio.get_running_loop().time()
        begun = run.begin_committed if run is not None else None
        reader = RawReader(log, begun=begun, now=now) if raw else Reader(log, after, token, begun=begun, now=now)
        return Reading(self.readers, reader, run)

    @property
    def following(self) -> int:
        """Return the number of clients that read an answer which goes on."""
        return sum(len(run.log.listeners) for run in self.running.values())

    @property
    def kept(self) -> int:
        """Return the number of finished answers that can be replayed from memory."""
        return len(self._kept)

    async def sweep_forever(self) -> None:
        """Sweep in a loop until cancelled; app.py owns the task."""
        try:
            while True:
                await asyncio.sleep(SWEEP_S)
                try:
                    self.sweep(asyncio.get_running_loop().time())
                except Exception:
                    _log.exception("The sweep failed.")
        finally:
            if self._saving is not None:
                self._saving.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await self._saving

    def sweep(self, now: float) -> None:
        """Look at every reader and a quarter of the runs once. `now` is loop time."""
        for reader in tuple(self.readers):
            if done := reader.check_timeout(now, self._config):
                self._count(done)
        while self._kept and next(iter(self._kept.values())).ended < now - self._config.resume_window_s:
            self._forget()
        if self._saving is None or self._saving.done():
            self._turn = (self._turn + 1) % _TURNS
            self._saving = asyncio.create_task(self._checkpoint())

    async def _checkpoint(self) -> None:
        """Store what the running answers have said since the last time, all in one transaction."""
        batch: list[Checkpoint] = []
        marks: list[tuple[Run, tuple[int, int]]] = []
        for run in self.running.values():
            if run.turn != self._turn:
                continue
            mark = run.log.mark()
            if mark != run.saved and not run.finished and run.begin_committed.done():
                parts = run.recorder.checkpoint(run.log.parts_json(run.saved))
                if parts is not None:
                    batch.append(Checkpoint(run.trace_id, run.checkpoints, parts))
                    marks.append((run, mark))
        if not batch:
            return
        try:
            await self._store.write(checkpoint, batch, now_ms())
        except GatewayError as error:
            _log.warning("A checkpoint waits: %s", error.message)
            return  # the marks stay, so the next one brings it all
        self._count("checkpoints")
        for run, mark in marks:
            run.saved = mark
            run.checkpoints += 1

    async def drain(self, seconds: float) -> None:
        """Refuse new runs, give the running ones `seconds` to end, then interrupt them; returns when all are over."""
        self.draining = True
        await self._wait_all(seconds)
        for run in list(self.running.values()):
            run.cancel(Outcome.INTERRUPTED)
        await self._wait_all(10)
        for run in list(self.running.values()):
            run.task.cancel()  # its record can't be stored; the next start finds its row open
        await self._wait_all(1)

    async def farewell(self) -> None:
        """After the drain: give clients a moment to take the end of their streams, and cut off those that don't."""
        for pause in (0.1, 0.9):
            await asyncio.sleep(pause)
            late = [reader for reader in self.readers if reader.sending_since is not None]
            if not late:
                return
        for reader in late:
            reader.time_out()

    async def _wait_all(self, seconds: float) -> None:
        if tasks := {run.task for run in self.running.values()}:
            await asyncio.wait(tasks, timeout=seconds)

    def _forget(self) -> None:
        _, kept = self._kept.popitem(last=False)
        self._kept_bytes -= kept.size
