"""The routes of the Vercel AI SDK: `useChat` pointed at /api/chat works as it is. Thin: decode, start, read, encode.

A chat's ID is a session's. Resume is a full replay, as the SDK's clients expect it.
"""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.domain.trace import Outcome
from gateway.errors import NotFound
from gateway.storage.scripts.traces import get_session
from gateway.streaming.reader import Reader
from gateway.streaming.run import Owner, Run
from gateway.web.chat import begin
from gateway.web.request import Request
from gateway.web.stream import SSE, attended, send_data
from gateway.wire import ai_sdk


async def chat(request: Request) -> None:
    """POST /api/chat."""
    chat_request = ai_sdk.decode_chat(await request.json_body(), request.header(b"traceparent"))
    run, reader = await begin(request, chat_request, resumable=True)
    try:
        await _send(request, run, reader)
    finally:
        run.detach(reader)


async def resume(request: Request) -> None:
    """GET /api/chat/{id}/stream: the running answer from its beginning on; 204 where none is."""
    run = await _running(request)
    if run is None:
        await request.no_content()
        return
    reader = run.attach()
    try:
        await asyncio.shield(run.begun)
        request.trace_id = run.trace_id
        request.services.metrics.resumed()
        await _send(request, run, reader)
    finally:
        run.detach(reader)


async def stop(request: Request) -> None:
    """POST /api/chat/{id}/stop: stop the running answer; that there is none is no error."""
    run = await _running(request)
    reply: dict[str, Any] = {"status": "success", "trace_id": None, "outcome": None}
    if run is not None:
        run.cancel(Outcome.STOPPED)
        await run.wait()
        request.trace_id = run.trace_id
        reply |= {"trace_id": run.trace_id, "outcome": run.end.outcome if run.end else None}
    await request.reply(reply)


async def _running(request: Request) -> Run | None:
    """The newest running answer of the caller's chat. NotFound where the chat is another user's."""
    chat_id, principal = request.path_params["session_id"], request.principal
    session = await request.services.store.read(get_session, principal.project, chat_id)
    if session is not None and session.user_id not in (None, principal.user_id or request.query_dict().get("user_id")):
        raise NotFound("There is no such chat.")
    owner = Owner(principal.project, principal.key_id)
    for run in reversed(request.services.chat.runs.running.values()):
        if run.log.started.session_id == chat_id and run.owner == owner:
            principal.check_trace(run.trace_id)
            return run
    return None


async def _send(request: Request, run: Run, reader: Reader) -> None:
    """The whole stream."""
    log, wire = run.log, ai_sdk.UIMessageStream()
    async with attended(request, reader):
        await request.head(200, SSE, ai_sdk.HEADERS)
        if write := request.extension("gateway.push"):

            def push(text: bytes, _: bytes, __: int) -> bool:
                data = wire.text(text)
                return data is not None and bool(write(data))

            reader.push = push
        data, more = ai_sdk.CONNECTED, True
        while more:
            if events := reader.read():
                data += wire.encode(events)
                more = log.closed is None or events[-1][1] is not log.closed
            if not data:
                if await reader.wait():
                    continue
                data = ai_sdk.HEARTBEAT
            await send_data(request, reader, data, more=more)
            data = b""
