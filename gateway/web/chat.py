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
from gateway.web.request import Request
from gateway.web.stream import send_events, send_raw, wait_whole
from gateway.wire import native, openai


async def begin(request: Request, chat_request: ChatRequest, *, resumable: bool = False) -> tuple[Run, Reader]:
    """Start a chat with its reader. Once this returns the trace's row is committed."""
    run = await request.services.chat.start(
        request.principal, chat_request, resumable=resumable, address=request.address
    )
    reader = run.attach(raw=chat_request.raw)
    try:
        await asyncio.shield(run.begun)
    except BaseException:
        run.detach(reader)
        raise
    request.trace_id = run.trace_id
    return run, reader


async def chat(request: Request) -> None:
    """POST /chat: the whole answer at once."""
    chat_request = native.decode_chat(await request.json_body(), "/chat", request.header(b"traceparent"))
    run, reader = await begin(request, chat_request)
    try:
        terminal, _ = await wait_whole(request, run.log, reader)
    finally:
        run.detach(reader)
    if isinstance(terminal, Done):
        started = run.log.started
        text = answer_text(run.log.parts())
        await request.reply(
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


async def chat_stream(request: Request) -> None:
    """POST /chat/stream: server-sent events."""
    chat_request = native.decode_chat(await request.json_body(), "/chat/stream", request.header(b"traceparent"))
    run, reader = await begin(request, chat_request, resumable=True)
    try:
        await send_events(request, run.log, reader)
    finally:
        run.detach(reader)


async def resume(request: Request) -> None:
    """GET /chat/stream/{trace_id}: what came after `Last-Event-ID` or `?after=`, then live; 204 where nothing can."""
    trace_id = trace_id_of(request.path_params["trace_id"])
    given = request.header(b"last-event-id") or request.query_dict().get(
        "after", "0"
    )  # an EventSource advances only the header
    if not (given.isascii() and given.isdigit() and len(given) <= 15):
        raise InvalidValue("after: must be an event's id", details=[("after", "must be an event's id")])
    found = await request.services.chat.find(request.principal, trace_id)
    log = found.log if isinstance(found, Run) else found
    if log is None or (log.closed is not None and int(given) >= log.end):
        request.trace_id = trace_id
        await request.no_content()
        return
    request.trace_id = trace_id
    request.services.metrics.resumed()
    token = request.services.chat.resumed_token(request.principal, trace_id)
    if isinstance(found, Run):
        reader = found.attach(after=int(given))
        reader.token = token
        try:
            await send_events(request, log, reader)
        finally:
            found.detach(reader)
    else:
        with request.services.chat.runs.replaying(log, int(given)) as reader:
            reader.token = token
            await send_events(request, log, reader)


async def stop(request: Request) -> None:
    """POST /chat/stream/{trace_id}/stop."""
    trace_id = trace_id_of(request.path_params["trace_id"])
    outcome = await request.services.chat.stop(request.principal, trace_id)
    request.trace_id = trace_id
    await request.reply({"status": "success", "trace_id": trace_id, "outcome": outcome})


async def completions(request: Request) -> None:
    """POST /v1/chat/completions, stream and not."""
    chat_request = openai.decode_chat(await request.json_body(), "/v1/chat/completions", request.raw_headers)
    run, reader = await begin(request, chat_request)
    return_trace_id = (request.header(b"x-mlflow-return-trace-id") or "").lower() == "true"
    model, created = run.log.started.model, ids.now_ms() // 1000

    def end(terminal: Terminal) -> bytes:
        if isinstance(terminal, Done):
            return openai.stream_end(terminal, model, created, return_trace_id=return_trace_id)
        return openai.failure_event(terminal)

    try:
        if chat_request.stream:
            await send_raw(request, run.log, reader, end)
            return
        terminal, raw = await wait_whole(request, run.log, reader)
    finally:
        run.detach(reader)
    if isinstance(terminal, Done):
        await request.reply(raw or openai.stopped_completion(terminal, run.log.parts(), model, created))


def trace_id_of(text: str) -> str:
    """A trace ID from a path or frame. InvalidValue for what can't be one."""
    if not ids.TRACE_ID.fullmatch(text):
        problem = "must be tr- and 32 hex digits"
        raise InvalidValue(f"trace_id: {problem}", details=[("trace_id", problem)])
    return text
