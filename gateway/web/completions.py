"""POST /v1/completions, OpenAI's legacy route, over any chat provider: recorded and rated as every chat."""

from __future__ import annotations

from gateway.domain import ids
from gateway.web.chat import ask, decoded
from gateway.web.pump import stream, whole
from gateway.web.request import Request
from gateway.wire import openai, text_completion


async def completions(request: Request) -> None:
    """Answer a prompt as OpenAI's API does, streamed or not."""
    asked = await decoded(request, text_completion.decode_completion)
    streamed = asked.stream
    chat = ask(request, asked)
    del asked  # this frame lasts as long as the stream
    async with chat as reader:
        model, created = reader.log.started.model, ids.now_ms() // 1000
        if streamed:
            wanted = (request.header(b"x-mlflow-return-trace-id") or "").lower() == "true"
            await stream(request, reader, text_completion.TextStream(model, created, return_trace_id=wanted))
            return
        done, body = await whole(request, reader)
    body = body or openai.stopped_completion(done, reader.log.parts(), model, created)
    await request.reply(text_completion.completion(body))
