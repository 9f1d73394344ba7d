"""The chat routes: native, OpenAI-compatible, resume and stop. Thin: decode, ask, and let the pump send.

A wire that only streams needs no handler of its own: `stream_route` makes one of its decoder and its encoder.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from gateway.domain import ids
from gateway.domain.answer import answer_text
from gateway.domain.messages import ChatRequest
from gateway.errors import InvalidValue, NotFound
from gateway.streaming.reader import Reader
from gateway.web.callers import identified
from gateway.web.pump import stream, whole
from gateway.web.request import Request
from gateway.wire import native, openai
from gateway.wire.encoder import Encoder, Headers
from gateway.wire.native_events import StopReply

Decode = Callable[[bytes, str, Headers], ChatRequest]  # of a body, its route and its headers
_T = TypeVar("_T")
_LONG = 500_000  # bytes of a body from which on decoding it would hold up every stream


def stream_route(
    decode: Decode, encoder: Callable[[], Encoder], *, resumable: bool = True
) -> Callable[[Request], Awaitable[None]]:
    """Return the handler of a wire whose answers are streams.

    `resumable`: a client may come back, so the answer goes on for a while after it left.
    """

    async def handler(request: Request) -> None:
        chat = ask(request, await decoded(request, decode), resumable=resumable)
        async with chat as reader:
            await stream(request, reader, encoder())

    return handler


async def decoded(request: Request, decode: Callable[[bytes, str, Headers], _T]) -> _T:
    """Return what the body asks for. A large one is decoded in a thread, where it holds up no stream."""
    body = await request.json_body()
    if len(body) < _LONG:
        return decode(body, request.path, request.raw_headers)
    return await asyncio.to_thread(decode, body, request.path, request.raw_headers)


def ask(request: Request, asked: ChatRequest, *, resumable: bool = False) -> AbstractAsyncContextManager[Reader]:
    """Start the caller's chat; see Chat.ask."""
    if request.services.current.value.server.id_headers:
        asked = identified(request, asked)
    if request.counted:
        request.let_go()  # the chat counts its question itself
    return request.services.chat.ask(request.principal, asked, resumable=resumable, address=request.address)


async def chat_stream(request: Request) -> None:
    """Answer with events. A reader that retries its own POST after a cut, by `Last-Event-ID`, goes on where it was."""
    asked = await decoded(request, native.decode_chat)
    if asked.client_request_id is not None and (trace_id := await _asked_before(request, asked)) is not None:
        after = _event_id(request.header(b"last-event-id") or "")
        async with request.services.chat.resume(request.principal, trace_id, after, end_again=True) as reader:
            if reader is not None:
                del asked
                request.let_go()
                await send_resumed(request, reader, native.EventStream(), trace_id)
                return
    chat = ask(request, asked, resumable=True)
    del asked  # this frame lasts as long as the stream
    async with chat as reader:
        await stream(request, reader, native.EventStream())


async def _asked_before(request: Request, asked: ChatRequest) -> str | None:
    """Return the stream that this body asked for before, where its reader says that it was there; else None."""
    if request.header(b"last-event-id") is None:
        return None
    return await request.services.chat.asked_before(request.principal, identified(request, asked))


async def chat(request: Request) -> None:
    """Answer with the whole text at once."""
    chat = ask(request, await decoded(request, native.decode_chat))
    async with chat as reader:
        done, _ = await whole(request, reader)
    started = reader.log.started
    await request.reply(
        native.ChatReply(
            answer_text(reader.log.parts()),
            reader.trace_id,
            started.session_id,
            started.model,
            done.usage,
            done.finish_reason,
            done.feedback_token,
        )
    )


async def resume(request: Request) -> None:
    """Send what came after `Last-Event-ID` or `?after=`, then continue live; 204 where there is nothing to resume."""
    trace_id = trace_id_of(request.path_params["trace_id"])
    # An EventSource advances only the header.
    given = request.header(b"last-event-id") or request.query_dict().get("after", "0")
    async with request.services.chat.resume(request.principal, trace_id, _event_id(given)) as reader:
        await send_resumed(request, reader, native.EventStream(), trace_id)


def _event_id(given: str) -> int:
    """Return the id of an event. Raises InvalidValue for what can't be one."""
    if not (given.isascii() and given.isdigit() and len(given) <= 15):
        raise InvalidValue("after: must be an event's id", details=[("after", "must be an event's id")])
    return int(given)


async def send_resumed(request: Request, reader: Reader | None, encoder: Encoder, trace_id: str | None = None) -> None:
    """Send what a resume has found; 204 where that is nothing."""
    if reader is None:
        request.trace_id = trace_id
        await request.no_content()
        return
    request.services.metrics.resumed()
    await stream(request, reader, encoder)


async def stop(request: Request) -> None:
    """Stop a stream. One that has ended stays as it is."""
    trace_id = trace_id_of(request.path_params["trace_id"])
    outcome = await request.services.chat.stop(request.principal, trace_id)
    request.trace_id = trace_id
    await request.reply(StopReply(trace_id=trace_id, outcome=outcome))


async def completions(request: Request) -> None:
    """Answer as OpenAI's API does, streamed or not."""
    asked = await decoded(request, openai.decode_chat)
    streamed, chat = asked.stream, ask(request, asked)
    del asked  # this frame lasts as long as the answer
    await _complete(request, streamed, chat)


async def judgement(request: Request) -> None:
    """Answer as `completions` does, by a model that judges and by no other: what judges in MLflow's clients call."""
    asked = await decoded(request, openai.decode_chat)
    name, model = request.services.chat.settings.router.model(asked.model)
    if not model.judge:
        raise NotFound(f"The model '{name}' is no judge: [models] judge = true makes it one.", code="model_not_found")
    streamed, chat = asked.stream, ask(request, asked)
    del asked  # this frame lasts as long as the answer
    await _complete(request, streamed, chat)


async def _complete(request: Request, streamed: bool, chat: AbstractAsyncContextManager[Reader]) -> None:
    async with chat as reader:
        model, created = reader.log.started.model, ids.now_ms() // 1000
        if streamed:
            wanted = (request.header(b"x-mlflow-return-trace-id") or "").lower() == "true"
            await stream(request, reader, openai.ChunkStream(model, created, return_trace_id=wanted))
            return
        done, body = await whole(request, reader)
    await request.reply(body or openai.stopped_completion(done, reader.log.parts(), model, created))


def trace_id_of(text: str) -> str:
    """Return a trace ID from a path or a frame. Raises InvalidValue for what can't be one."""
    if not ids.TRACE_ID.fullmatch(text):
        problem = "must be tr- and 32 hex digits"
        raise InvalidValue(f"trace_id: {problem}", details=[("trace_id", problem)])
    return text
