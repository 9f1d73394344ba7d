"""The chat routes: native, OpenAI-compatible, resume and stop. Thin: decode, start, read, encode."""

from __future__ import annotations

import asyncio

from gateway.domain import ids
from gateway.domain.answer import answer_text
from gateway.domain.events import Done, Terminal
from gateway.domain.messages import ChatRequest
from gateway.errors import InvalidValue
from gateway.streaming.reader import Reader
from gateway.streaming.run import Run
from gateway.web.exchange import Exchange
from gateway.web.stream import send_events, send_raw, wait_whole
from gateway.wire import native, openai


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


def trace_id_of(text: str) -> str:
    """A trace ID from a path or frame. InvalidValue for what can't be one."""
    if not ids.TRACE_ID.fullmatch(text):
        problem = "must be tr- and 32 hex digits"
        raise InvalidValue(f"trace_id: {problem}", details=[("trace_id", problem)])
    return text
