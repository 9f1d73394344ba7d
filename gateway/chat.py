"""The spine: ask for an answer, come back to it, stop it. Every wire goes through here; nothing here knows a wire.

    async with chat.ask(principal, request, …) as reader:       the trace's row is on its way to the store, and the
                                                                provider is being called
    async with chat.resume(principal, trace_id, after) as reader:   live, kept or stored: the reader is the same

Who reads is done when the block ends: a client that leaves is a block that is left.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec

from gateway.access.limits import Limits
from gateway.access.principal import Principal
from gateway.access.tokens import Tokens
from gateway.config.current import Current
from gateway.config.schema import Config
from gateway.config.show import config_hash
from gateway.domain import ids
from gateway.domain.activity import ChatActivity
from gateway.domain.answer import have_thoughts
from gateway.domain.events import Started
from gateway.domain.messages import ChatRequest
from gateway.domain.trace import Attempt, Outcome, Trace, TraceEnd, TraceStart
from gateway.errors import ContentTooLarge, GatewayError, NotFound
from gateway.providers.router import Router
from gateway.storage.engine import Store
from gateway.storage.scripts.traces import Count, begin_trace, get_session, get_trace, last_asked, session_traces
from gateway.streaming.again import check_same
from gateway.streaming.begin import owns, trace_start
from gateway.streaming.log import EventLog
from gateway.streaming.reader import Reader
from gateway.streaming.recorder import Recorder
from gateway.streaming.run import Owner, Run
from gateway.streaming.runs import Asked, Kept, Reading, Runs
from gateway.streaming.stored import replay, turns_of

_TURNS = 50  # of a conversation that are looked at; the first of them brings the earlier ones along
NO_SUCH_STREAM = "There is no such stream."
NO_SUCH_SESSION = "There is no such session."


class Settings(msgspec.Struct, frozen=True):
    """What a reload replaces as a whole: a chat keeps those that it began with."""

    config: Config
    config_hash: str
    router: Router


class Chat:
    """`router` makes one for a configuration. `finished` is told of every chat once its final record is committed."""

    def __init__(
        self,
        current: Current,
        router: Callable[[Config], Router],
        store: Store,
        runs: Runs,
        finished: Callable[[ChatActivity, TraceEnd], None],
        tokens: Tokens,
        limits: Limits,
    ) -> None:
        self.settings: Settings
        self.runs = runs
        self.limits = limits
        self._store = store
        self._finished = finished
        self._tokens = tokens
        self._router = router
        current.subscribe(self._configure)

    def _configure(self, config: Config) -> None:
        self.settings = Settings(config, config_hash(config), self._router(config))

    def ask(self, principal: Principal, request: ChatRequest, *, resumable: bool = False, address: str = "") -> Asked:
        """Return a block that starts a chat and has its reader. Await `reader.ready` before anything goes out.

        Entering it raises as `start` does.
        """

        async def begin() -> Reading:
            run = await self.start(principal, request, resumable=resumable, address=address)
            return self.runs.reading(run.log, raw=request.raw)

        return Asked(begin)

    @asynccontextmanager
    async def resume(
        self, principal: Principal, trace_id: str, after: int = 0, *, end_again: bool = False
    ) -> AsyncIterator[Reader | None]:
        """Yield a reader of the caller's own stream from position `after` on, or None where nothing can come.

        `end_again`: who has had everything gets the terminal event once more.
        Raises NotFound for an unknown trace and for somebody else's alike.
        """
        found = self._in_memory(principal, trace_id)
        log = found.log if found is not None else self._replay(principal, await self._stored(principal, trace_id))
        after = min(after, log.end - 1) if end_again and log is not None else after
        if log is None or (log.closed is not None and after >= log.end):
            yield None
            return
        # A feedback token that resumes a stream gets one of its own rater's, not that of whoever asked.
        token = self._tokens.issue(principal, trace_id, principal.user_id).text if principal.token else None
        with self.runs.reading(log, after=after, token=token) as reader:
            yield reader

    async def asked_before(self, principal: Principal, request: ChatRequest) -> str | None:
        """Return the trace of the caller's own stream that this request, with its client_request_id, asks for again.

        Return None where there is none. Raises Conflict where it is another user's, or its body was another one.
        """
        named = (principal.project, principal.key_id, request.route, request.client_request_id or "")
        if (trace := await self._store.read(last_asked, *named)) is None:
            return None
        found = self.runs.get(trace.trace_id)
        if found is None and self._replay(principal, trace) is None:
            return None
        if principal.user_id is not None:
            request = msgspec.structs.replace(request, user_id=principal.user_id)
        check_same(trace, request, found.body_digest if found is not None else None)
        return trace.trace_id

    @asynccontextmanager
    async def resume_session(
        self, principal: Principal, session_id: str, user_id: str | None
    ) -> AsyncIterator[Reader | None]:
        """Yield a reader of the session's running answer from its beginning on, or None where none is running.

        Raises NotFound where the session is another user's.
        """
        run = await self._running(principal, session_id, user_id)
        if run is None:
            yield None
            return
        with self.runs.reading(run.log) as reader:
            yield reader

    async def stop(self, principal: Principal, trace_id: str) -> Outcome:
        """Stop the caller's own stream, wait until its record is stored, and return its outcome, whatever it is."""
        self._in_memory(principal, trace_id)
        run = self.runs.running.get(trace_id)
        if run is not None and (end := await run.stop()) is not None:
            return end.outcome
        trace = await self._stored(principal, trace_id)
        if trace.outcome is None:
            raise NotFound(NO_SUCH_STREAM)
        return trace.outcome

    async def stop_session(
        self, principal: Principal, session_id: str, user_id: str | None
    ) -> tuple[str, Outcome | None] | None:
        """Stop the session's running answer, wait until its record is stored, and return the trace and its outcome.

        Return None where none is running. Raises NotFound where the session is another user's.
        """
        if (run := await self._running(principal, session_id, user_id)) is None:
            return None
        end = await run.stop()
        return run.trace_id, end.outcome if end is not None else None

    async def start(self, principal: Principal, request: ChatRequest, *, resumable: bool, address: str = "") -> Run:
        """Start a chat that nobody reads yet. `address` is the caller's, for its limits.

        Raises NotFound for an unknown model or somebody else's session, InvalidValue where a conversation's content
        isn't stored or has too many messages, ContentTooLarge where it is too long, TooManyRequests where the caller
        has its share of streams, Unavailable where all together have theirs, and while the server drains.
        """
        settings = self.settings
        name, model = settings.router.model(request.model)
        if principal.user_id is not None:
            request = msgspec.structs.replace(request, user_id=principal.user_id)
        if request.continues:
            request = await self._continue(principal, request, name)
        self.limits.messages(request.fields["messages"])
        start = trace_start(principal, request, name, model, settings.config.capture.content, settings.config_hash)
        attempts: list[Attempt] = []
        run = self._new_run(settings, principal, request, start, attempts, resumable=resumable)
        release = self.limits.stream(principal.key_id, address)
        try:
            request = self.limits.memory.keep(request)
            self.runs.add(run)
        except GatewayError:
            request.fields.clear()
            release()
            raise

        def on_finished(run: Run) -> None:
            release()
            request.fields.clear()
            self.runs.finished(run)
            if run.end is not None:
                self._finished(run.recorder.activity(run.end), run.end)

        if settings.config.capture.content == "full":  # only the row keeps the messages
            start = msgspec.structs.replace(start, request=str(memoryview(request.fields["messages"]), "utf-8"))
        run.start(
            self._store.write(begin_trace, start),
            lambda: settings.router.answer(model, request, run, attempts),
            on_finished,
        )
        return run

    async def conversation(self, project: str, user_id: str | None, session_id: str, count: Count) -> list[Trace]:
        """Return the traces of a session, oldest first; see session_traces. Raises NotFound where it is another's."""
        if not await self._has_session(project, user_id, session_id):
            raise NotFound(NO_SUCH_SESSION)
        return await self._store.read(session_traces, project, session_id, count=count)

    async def _has_session(self, project: str, user_id: str | None, session_id: str) -> bool:
        """Return whether there is such a session. Raises NotFound where it is another user's."""
        session = await self._store.read(get_session, project, session_id)
        if session is not None and session.user_id not in (None, user_id):
            raise NotFound(NO_SUCH_SESSION)
        return session is not None

    def _in_memory(self, principal: Principal, trace_id: str) -> Run | Kept | None:
        """Return what this process has of the caller's own stream. Raises NotFound for somebody else's."""
        principal.check_trace(trace_id)
        found = self.runs.get(trace_id)
        if found is not None and not owns(principal, found.owner):
            raise NotFound(NO_SUCH_STREAM)
        return found

    async def _stored(self, principal: Principal, trace_id: str) -> Trace:
        """Return the stored trace of the caller's own stream. Raises NotFound."""
        trace = await self._store.read(get_trace, principal.project, trace_id)
        if trace is None or not owns(principal, Owner(trace.project, trace.key_id, trace.user_id)):
            raise NotFound(NO_SUCH_STREAM)
        return trace

    def _replay(self, principal: Principal, trace: Trace) -> EventLog | None:
        """Return a stored answer's log, or None where it is too old to be resumed or its content isn't there."""
        if ids.now_ms() - (trace.end_time or 0) > self.settings.config.streaming.resume_window_s * 1000:
            return None
        token = self._tokens.issue(principal, trace.trace_id, principal.user_id or trace.user_id)
        return replay(trace, token.text)

    async def _running(self, principal: Principal, session_id: str, user_id: str | None) -> Run | None:
        """Return the newest running answer of the caller's session. Raises NotFound where that is another user's."""
        await self._has_session(principal.project, principal.user_id or user_id, session_id)
        for run in reversed(self.runs.running.values()):
            if run.log.started.session_id == session_id and owns(principal, run.owner):
                principal.check_trace(run.trace_id)
                return run
        return None

    def _new_run(
        self,
        settings: Settings,
        principal: Principal,
        request: ChatRequest,
        start: TraceStart,
        attempts: list[Attempt],
        *,
        resumable: bool,
    ) -> Run:
        def token(raw: bool = request.raw) -> str:  # OpenAI's wire has no place for one; the run keeps no request
            return "" if raw else self._tokens.issue(principal, start.trace_id, start.user_id).text

        streaming = settings.config.streaming
        return Run(
            Started(start.trace_id, start.session_id, start.model, token()),
            Owner(principal.project, principal.key_id, start.user_id),
            Recorder(start, attempts, settings.config.capture.content, settings.router.model(start.model)[1].cost),
            self._store,
            streaming,
            grace_s=streaming.disconnect_grace_s if resumable else 0,
            replayable=resumable,
            body_digest=request.body_digest,
            token=token,
        )

    async def _continue(self, principal: Principal, request: ChatRequest, model: str) -> ChatRequest:
        """Return the request with the session's stored turns before its message."""
        session_id = request.session_id or ""
        if not await self._has_session(principal.project, request.user_id, session_id):
            return request
        with self.limits.memory.room() as count:
            traces = await self._store.read(session_traces, principal.project, session_id, _TURNS, count)
            turns = turns_of(traces, model)
            del traces
        asked = msgspec.json.decode(request.fields["messages"])
        if asked[0]["role"] == "system":  # the one in force now, which must come first
            turns = [asked.pop(0), *(turn for turn in turns if turn["role"] != "system")]
        turns += asked
        messages = msgspec.json.encode(turns)
        if len(messages) > (most := self.settings.config.server.max_body_bytes):
            # Each turn is stored with all before it, so a conversation may not grow past what one may send at once.
            raise ContentTooLarge(f"With its earlier turns this is larger than {most} bytes. Begin another session.")
        fields = {**request.fields, "messages": msgspec.Raw(messages)}
        size = max(request.size, len(messages))
        return msgspec.structs.replace(request, fields=fields, size=size, thoughts=have_thoughts(turns))
