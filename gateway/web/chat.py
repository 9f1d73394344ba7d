"""The chat routes: native, OpenAI-compatible, resume, stop, and conversations. Thin: decode, start, read, encode."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from gateway.access.authenticator import TICKET_S
from gateway.chat import stored_parts
from gateway.domain import ids
from gateway.domain.answer import answer_text
from gateway.domain.events import Done, Terminal
from gateway.domain.messages import ChatRequest
from gateway.errors import InvalidValue, NotFound
from gateway.streaming.reader import Reader
from gateway.streaming.run import Run
from gateway.web.exchange import Exchange
from gateway.web.stream import send_events, send_raw, wait_whole
from gateway.wire import native, openai
from gateway.wire.chat_body import convert, decode_fields


async def begin(x: Exchange, request: ChatRequest, *, resumable: bool = False) -> tuple[Run, Reader]:
    """Start a chat with its reader. Once this returns the trace's row is committed."""
    run = await x.services.chat.start(x.principal, request, resumable=resumable, address=x.address)
    reader = run.attach(raw=request.raw)
    try:
        await asyncio.shield(run.begun)
    except BaseException:
        run.detach(reader)
        raise
    x.trace_id = run.trace_id
    return run, reader


async def chat(x: Exchange) -> None:
    """POST /chat: the whole answer at once."""
    request = native.decode_chat(await x.json_body(), "/chat", x.header(b"traceparent"))
    run, reader = await begin(x, request)
    try:
        terminal, _ = await wait_whole(x, run.log, reader)
    finally:
        run.detach(reader)
    if isinstance(terminal, Done):
        started = run.log.started
        text = answer_text(run.log.parts())
        await x.reply(
            native.ChatReply(
                text,
                run.trace_id,
                started.session_id,
                started.model,
                terminal.usage,
                terminal.finish_reason,
                terminal.feedback_token,
            )
        )


async def chat_stream(x: Exchange) -> None:
    """POST /chat/stream: server-sent events."""
    request = native.decode_chat(await x.json_body(), "/chat/stream", x.header(b"traceparent"))
    run, reader = await begin(x, request, resumable=True)
    try:
        await send_events(x, run.log, reader)
    finally:
        run.detach(reader)


async def resume(x: Exchange) -> None:
    """GET /chat/stream/{trace_id}: what came after `Last-Event-ID` or `?after=`, then live; 204 where nothing can."""
    trace_id = trace_id_of(x.path_params["trace_id"])
    given = x.header(b"last-event-id") or x.query_dict().get("after", "0")  # an EventSource advances only the header
    if not (given.isascii() and given.isdigit() and len(given) <= 15):
        raise InvalidValue("after: must be an event's id", details=[("after", "must be an event's id")])
    found = await x.services.chat.find(x.principal, trace_id)
    log = found.log if isinstance(found, Run) else found
    if log is None or (log.closed is not None and int(given) >= log.end):
        x.trace_id = trace_id
        await x.no_content()
        return
    x.trace_id = trace_id
    x.services.metrics.resumed()
    token = x.services.chat.resumed_token(x.principal, trace_id)
    if isinstance(found, Run):
        reader = found.attach(after=int(given))
        reader.token = token
        try:
            await send_events(x, log, reader)
        finally:
            found.detach(reader)
    else:
        with x.services.chat.runs.replaying(log, int(given)) as reader:
            reader.token = token
            await send_events(x, log, reader)


async def stop(x: Exchange) -> None:
    """POST /chat/stream/{trace_id}/stop."""
    trace_id = trace_id_of(x.path_params["trace_id"])
    outcome = await x.services.chat.stop(x.principal, trace_id)
    x.trace_id = trace_id
    await x.reply({"status": "success", "trace_id": trace_id, "outcome": outcome})


async def completions(x: Exchange) -> None:
    """POST /v1/chat/completions, stream and not."""
    request = openai.decode_chat(await x.json_body(), "/v1/chat/completions", x.headers)
    run, reader = await begin(x, request)
    return_trace_id = (x.header(b"x-mlflow-return-trace-id") or "").lower() == "true"
    model, created = run.log.started.model, ids.now_ms() // 1000

    def end(terminal: Terminal) -> bytes:
        if isinstance(terminal, Done):
            return openai.stream_end(terminal, model, created, return_trace_id=return_trace_id)
        return openai.failure_event(terminal)

    try:
        if request.stream:
            await send_raw(x, run.log, reader, end)
            return
        terminal, raw = await wait_whole(x, run.log, reader)
    finally:
        run.detach(reader)
    if isinstance(terminal, Done):
        await x.reply(raw or openai.stopped_completion(terminal, run.log.parts(), model, created))


async def ws_ticket(x: Exchange) -> None:
    """POST /chat/ws-ticket: for a browser, which can't send a key when it opens a WebSocket."""
    body = await x.body()
    if body:
        x.require_json()
    wanted = native.decode_ticket(body) if body else native.TicketRequest()
    ticket = x.services.door.issue_ticket(x.principal, x.headers, wanted.user_id)
    await x.reply(native.TicketReply(ticket, TICKET_S))


async def models(x: Exchange) -> None:
    """GET /v1/models: the declared ones."""
    data = [
        {"id": name, "object": "model", "created": 0, "owned_by": "feedback-gateway"}
        for name in x.services.config.models
    ]
    await x.reply({"object": "list", "data": data})


async def embeddings(x: Exchange) -> None:
    """POST /v1/embeddings: the provider's reply as it is."""
    fields = decode_fields(await x.json_body())
    name = convert(bytes(fields.pop("model", b"null")), str | None, "model")
    router = x.services.chat.settings.router
    _, model = router.model(name)
    await x.reply(await router.embed(model, fields))


async def session(x: Exchange) -> None:
    """GET /sessions/{session_id}: the turns with their traces and this rater's ratings."""
    session_id, principal = x.path_params["session_id"], x.principal
    user_id = principal.user_id or x.query_dict().get("user_id")
    if principal.token is not None:  # it knows its trace, and that trace its session
        trace = await x.services.store.get_trace(principal.project, principal.token.trace_id)
        if trace is None or trace.session_id != session_id:
            raise NotFound("There is no such session.")
        if user_id == f"anonymous:{trace.trace_id}":
            user_id = None  # of each turn it is the anonymous rater
    traces = await x.services.chat.conversation(principal.project, user_id, session_id)
    ratings = await x.services.store.feedback_of(x.principal.project, [trace.trace_id for trace in traces], user_id)
    turns = []
    for trace in traces:
        turn: dict[str, Any] = {
            "trace_id": trace.trace_id,
            "model": trace.model,
            "time": trace.request_time,
            "state": trace.state,
            "outcome": trace.outcome,
            "message": _last_question(trace.request) or trace.request_preview,
            "response": answer_text(stored_parts(trace)) if trace.response else trace.response_preview,
            "error": trace.error_message,
            "feedback_token": x.services.chat.token(principal, trace.trace_id, user_id),
            "feedback": [
                {
                    "assessment_id": rating.assessment_id,
                    "name": rating.name,
                    "value": rating.value,
                    "rationale": rating.rationale,
                    "metadata": rating.metadata,
                }
                for rating in ratings.get(trace.trace_id, ())
            ],
        }
        turns.append(turn)
    await x.reply({"session_id": session_id, "turns": turns})


def trace_id_of(text: str) -> str:
    """A trace ID from a path or frame. InvalidValue for what can't be one."""
    if not ids.TRACE_ID.fullmatch(text):
        problem = "must be tr- and 32 hex digits"
        raise InvalidValue(f"trace_id: {problem}", details=[("trace_id", problem)])
    return text


def _last_question(request: str | None) -> Any:
    """The content of the last user message: text, or the parts it had."""
    for message in reversed(msgspec.json.decode(request) if request else []):
        if message.get("role") == "user":
            return message.get("content")
    return None
