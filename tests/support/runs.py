"""A store and an owner for runs: doubles at the edge, everything between them real."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Any

from gateway.config.current import Current
from gateway.config.schema import Config, Streaming
from gateway.domain.events import Delta, Finished, Started, TextDelta
from gateway.domain.trace import Attempt, Checkpoint, Trace, TraceEnd, TraceStart
from gateway.storage.scripts import traces as scripts
from gateway.storage.scripts.traces import Session
from gateway.streaming.reader import Reader
from gateway.streaming.recorder import Recorder
from gateway.streaming.run import Owner, Run
from gateway.streaming.runs import Runs
from tests.support.rows import a_start

OWNER = Owner("default", None)


class FakeStore:
    """An engine that knows the scripts of a chat, and keeps what they are given.

    `fail` holds the errors of the next writes; a closed `gate` holds writes back.
    """

    def __init__(self) -> None:
        self.begun: list[TraceStart] = []
        self.ended: list[TraceEnd] = []
        self.checkpoints: list[Checkpoint] = []
        self.traces: dict[str, Trace] = {}
        self.sessions: dict[str, Session] = {}
        self.fail: list[Exception] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._writes: dict[Any, Callable[..., object]] = {
            scripts.begin_trace: self.begun.append,
            scripts.checkpoint: lambda deltas, now: self.checkpoints.extend(deltas),
            scripts.finish_trace: self.ended.append,
        }
        self._reads: dict[Any, Callable[..., object]] = {
            scripts.get_trace: lambda project, trace_id: self.traces.get(trace_id),
            scripts.get_session: lambda project, session_id: self.sessions.get(session_id),
            scripts.session_traces: lambda project, session_id, limit=0, count=None: [
                trace for trace in self.traces.values() if trace.session_id == session_id
            ],
        }

    async def write(self, script: Any, *args: Any, **kwargs: Any) -> Any:
        await self.gate.wait()
        if self.fail:
            raise self.fail.pop(0)
        return self._writes[script](*args, **kwargs)

    async def read(self, script: Any, *args: Any, **kwargs: Any) -> Any:
        return self._reads[script](*args, **kwargs)

    async def search(self, project: str, script: Any, *args: Any, **kwargs: Any) -> Any:
        return await self.read(script, *args, **kwargs)

    async def close(self) -> None:
        """Nothing is open."""

    @property
    def outcomes(self) -> list[str]:
        return [end.outcome.value for end in self.ended]


def text(said: str, count: int = 1) -> TextDelta:
    return TextDelta(json.dumps(said, ensure_ascii=False)[1:-1].encode(), len(said), count)


def finished(reason: str = "stop") -> Finished:
    return Finished(0, reason)


class RunHarness:
    """Runs over a fake store, and how often the sweep did what."""

    def __init__(self, **limits: Any) -> None:
        self.store = FakeStore()
        self.limits = Streaming(**limits)
        self.counts: list[str] = []
        self.runs = Runs(self.store, Current(Config(streaming=self.limits)), self.counts.append)
        self.finished: list[Run] = []
        self._open: dict[Reader, AbstractContextManager[Reader]] = {}

    def run(
        self,
        answer: Callable[[Run], Awaitable[None]],
        *,
        grace_s: float = 0,
        replayable: bool = True,
        content: Any = "full",
        begin: bool = True,
    ) -> Run:
        start = a_start()
        attempts: list[Attempt] = []
        run = Run(
            Started(start.trace_id, start.session_id, start.model),
            OWNER,
            Recorder(start, attempts, content),
            self.store,
            self.limits,
            grace_s=grace_s,
            replayable=replayable,
        )
        self.runs.add(run)

        def on_finished(run: Run) -> None:
            self.runs.finished(run)
            self.finished.append(run)

        if begin:
            run.start(self.store.write(scripts.begin_trace, start), lambda: answer(run), on_finished)
        return run

    def attach(self, run: Run, **options: Any) -> Reader:
        """A reader that stays until it is detached."""
        reading = self.runs.reading(run.log, **options)
        reader = reading.__enter__()
        self._open[reader] = reading
        return reader

    def detach(self, reader: Reader) -> None:
        """Its client left."""
        self._open.pop(reader).__exit__(None, None, None)


class ScriptedAnswer:
    """An answer in steps: texts are emitted, errors raised; `hold` waits for `go`."""

    hold = object()

    def __init__(self, *steps: Any) -> None:
        self.steps = steps
        self.go = asyncio.Event()
        self.reached = asyncio.Event()
        self.cancelled = False

    async def __call__(self, run: Run) -> None:
        try:
            for step in self.steps:
                if step is self.hold:
                    self.reached.set()
                    await self.go.wait()
                elif isinstance(step, BaseException):
                    raise step
                else:
                    event: Delta = text(step) if isinstance(step, str) else step
                    run.emit([event])
        except asyncio.CancelledError:
            self.cancelled = True
            raise


def answer_of(run: Run) -> str:
    """All text in the log."""
    return "".join(value for kind, value in run.log.parts() if kind == "text")
