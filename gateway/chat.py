"""The spine: start a chat, come back to it, stop it. Every wire goes through here; nothing here knows a wire.

start ─▶ the trace's row is on its way to the store, and the provider is being called; readers may attach
find  ─▶ a run that still runs or was kept, or a log made again from the store
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from gateway.access.limits import Limits
from gateway.access.principal import Principal
from gateway.access.tokens import Tokens
from gateway.config.current import Current
from gateway.config.schema import Config
from gateway.config.show import config_hash
from gateway.domain import ids
from gateway.domain.activity import ChatActivity
from gateway.domain.answer import Part, answer_text
from gateway.domain.events import Done, Failed, Started, Terminal
from gateway.domain.messages import ChatRequest
from gateway.domain.trace import Attempt, Outcome, State, Trace, TraceEnd, TraceStart
from gateway.errors import AnswerTooLong, ContentTooLarge, GatewayError, InvalidValue, NotFound, ProviderRefused
from gateway.providers.router import Router
from gateway.storage.engine import Store
from gateway.storage.scripts.traces import begin_trace, get_session, get_trace, session_traces
from gateway.streaming.log import EventLog
from gateway.streaming.recorder import Recorder
from gateway.streaming.run import Owner, Run
from gateway.streaming.runs import Runs

_TURNS = 50  # of a conversation that are looked at; the first of them brings the earlier ones along
NO_SUCH_STREAM = "There is no such stream."
_FINAL = {ProviderRefused.code, AnswerTooLong.code, GatewayError.code}  # errors that trying again doesn't mend


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

    async def start(self, principal: Principal, request: ChatRequest, *, resumable: bool, address: str = "") -> Run:
        """Begin. Await `run.begun` before anything goes to the client. `address`: the caller's, for its limits.

        Raises NotFound for an unknown model or somebody else's session, InvalidValue where a conversation's content
        isn't stored or has too many messages, ContentTooLarge where it is too long, TooManyRequests where the caller
        has its share of streams, Unavailable where all together have theirs, and while the server drains.
        """
        settings = self.settings
        name, model = settings.router.model(request.model)
        if principal.user_id is not None:
            request = msgspec.structs.replace(request, user_id=principal.user_id)
        if request.continues:
            request = await self._continue(principal, request)
        self.limits.messages(request.fields["messages"])
        content = settings.config.capture.content
        start = TraceStart(
            trace_id=ids.new_trace_id(),
            root_span_id=ids.new_span_id(),
            project=principal.project,
            route=request.route,
            request_time=ids.now_ms(),
            model=name,
            session_id=request.session_id or ids.new_session_id(),
            user_id=request.user_id,
            client_request_id=request.client_request_id,
            request_preview=request.preview if content != "none" else None,
            tags=request.tags,
            metadata=request.metadata,
            traceparent=request.traceparent,
            key_id=principal.key_id,
            config_hash=settings.config_hash,
        )
        attempts: list[Attempt] = []

        def token() -> str:
            return self._tokens.issue(principal, start.trace_id, start.user_id).text

        run = Run(
            Started(start.trace_id, start.session_id, name, "" if request.raw else token()),
            Owner(principal.project, principal.key_id),
            Recorder(start, attempts, content),
            self._store,
            settings.config.streaming,
            grace_s=settings.config.streaming.disconnect_grace_s if resumable else 0,
            replayable=resumable,
            token=str if request.raw else token,
        )
        release = self.limits.stream(principal.key_id, address)
        try:
            self.runs.add(run)
        except GatewayError:
            release()
            raise

        def settled(run: Run) -> None:
            release()
            self.runs.settled(run)
            if run.end is not None:
                self._finished(_record(start, run.end, len(attempts)), run.end)

        messages = bytes(request.fields["messages"]).decode() if content == "full" else None
        run.start(
            self._store.write(begin_trace, msgspec.structs.replace(start, request=messages)),  # which alone keeps them
            lambda: settings.router.answer(model, request, run, attempts),
            settled,
        )
        return run

    async def find(self, principal: Principal, trace_id: str) -> Run | EventLog | None:
        """The caller's own stream: its run, or its log once that is over; None: nothing to resume.

        Raises NotFound for an unknown trace and for somebody else's alike.
        """
        principal.check_trace(trace_id)
        found = self.runs.get(trace_id)
        if found is not None:
            if not _owns(principal, found.owner):
                raise NotFound(NO_SUCH_STREAM)
            return found if isinstance(found, Run) else found.log
        trace = await self._store.read(get_trace, principal.project, trace_id)
        if trace is None or not _owns(principal, Owner(trace.project, trace.key_id)):
            raise NotFound(NO_SUCH_STREAM)
        if ids.now_ms() - (trace.end_time or 0) > self.settings.config.streaming.resume_window_s * 1000:
            return None
        token = self._tokens.issue(principal, trace_id, principal.user_id or trace.user_id)
        return replay(trace, token.text)

    def resumed_token(self, principal: Principal, trace_id: str) -> str | None:
        """What the events of a resumed stream bear where a feedback token resumes it: its own rater's, not that of
        whoever asked. None: what they have."""
        return self._tokens.issue(principal, trace_id, principal.user_id).text if principal.token else None

    async def stop(self, principal: Principal, trace_id: str) -> str:
        """Stop the caller's own stream, and wait until its record is stored; its outcome, whatever it is."""
        found = await self.find(principal, trace_id)
        if isinstance(found, Run):
            found.cancel(Outcome.STOPPED)
            await found.wait()
            if found.end is not None:
                return found.end.outcome.value
        trace = await self._store.read(get_trace, principal.project, trace_id)
        if trace is None or trace.outcome is None:
            raise NotFound(NO_SUCH_STREAM)
        return trace.outcome.value

    async def conversation(self, project: str, user_id: str | None, session_id: str) -> list[Trace]:
        """The traces of a session, oldest first. NotFound where it is not this user's."""
        session = await self._store.read(get_session, project, session_id)
        if session is None or session.user_id not in (None, user_id):
            raise NotFound("There is no such session.")
        return await self._store.read(session_traces, project, session_id)

    async def _continue(self, principal: Principal, request: ChatRequest) -> ChatRequest:
        """Put the stored turns before the message."""
        session_id = request.session_id or ""
        session = await self._store.read(get_session, principal.project, session_id)
        if session is None:
            return request
        if session.user_id not in (None, request.user_id):
            raise NotFound("There is no such session.")
        turns: list[Any] = []
        for trace in await self._store.read(session_traces, principal.project, session_id, _TURNS):
            if trace.outcome is None:
                continue
            if trace.request is None or trace.response is None:
                raise InvalidValue("The earlier turns of this session are not stored.", code="content_not_stored")
            if not (text := answer_text(stored_parts(trace))):
                continue  # providers refuse two questions in a row
            asked: list[Any] = msgspec.json.decode(trace.request)
            # A turn brings those before it along; one that was asked beside another adds its question alone.
            turns = asked if asked[: len(turns)] == turns else [*turns, asked[-1]]
            turns.append({"role": "assistant", "content": text})
        turns += msgspec.json.decode(request.fields["messages"])
        messages = msgspec.json.encode(turns)
        if len(messages) > (most := self.settings.config.server.max_body_bytes):
            # Each turn is stored with all before it: what one may send at once, one may not gather either.
            raise ContentTooLarge(f"With its earlier turns this is larger than {most} bytes. Begin another session.")
        fields = {**request.fields, "messages": msgspec.Raw(messages)}
        return msgspec.structs.replace(request, fields=fields)


def stored_parts(trace: Trace) -> list[Part]:
    """A stored answer's parts, in the order they came."""
    if trace.parts is not None:
        return [(kind, value) for kind, value in msgspec.json.decode(trace.parts)]
    if trace.response is None:
        return []
    text = msgspec.json.decode(trace.response)[0].get("content")
    return [("text", text)] if text else []


def replay(trace: Trace, token: str) -> EventLog | None:
    """A finished answer's log from the store, with the positions it had; None where its content isn't there."""
    if trace.outcome is None or trace.response is None:
        return None
    log = EventLog(Started(trace.trace_id, trace.session_id, trace.model, token))
    log.restore(stored_parts(trace))
    log.close(_terminal(trace, token))
    return log


def _owns(principal: Principal, owner: Owner) -> bool:
    """Whether a stream is the caller's: by the key it was asked with, or by a feedback token that names it."""
    return principal.project == owner.project and (principal.token is not None or principal.key_id == owner.key_id)


def _terminal(trace: Trace, token: str) -> Terminal:
    if trace.state is State.ERROR:
        return Failed(
            trace.trace_id,
            trace.error_message or "The answer failed.",
            trace.error_code or "upstream_error",
            trace.error_code not in _FINAL,
        )
    reason = trace.finish_reason or "stop"
    return Done(trace.trace_id, reason, trace.usage, trace.first_token_ms, trace.duration_ms or 0, token)


def _record(start: TraceStart, end: TraceEnd, attempts: int) -> ChatActivity:
    return ChatActivity(
        time=end.end_time,
        trace_id=end.trace_id,
        route=start.route,
        model=start.model,
        provider=end.provider,
        attempts=attempts,
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
