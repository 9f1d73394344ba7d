"""The routes of the Vercel AI SDK: `useChat` pointed at /api/chat works as it is. Thin: decode, ask, send.

A chat's ID is a session's. Resume is a full replay, as the SDK's clients expect it.
"""

from __future__ import annotations

from gateway.web.chat import ask, decoded, send_resumed
from gateway.web.pump import stream
from gateway.web.request import Request
from gateway.wire import ai_sdk
from gateway.wire.native_events import StopReply


async def chat(request: Request) -> None:
    """Ask, as the rater of the history's own tokens where the key is a publishable one."""
    asked, token = await decoded(request, ai_sdk.decode_chat_and_token)
    _go_on_as(request, token)
    chat = ask(request, asked, resumable=True)
    del asked  # this frame lasts as long as the stream
    async with chat as reader:
        await stream(request, reader, ai_sdk.UIMessageStream())


async def resume(request: Request) -> None:
    """Send the chat's running answer from its beginning on; 204 where none is running."""
    async with request.services.chat.resume_session(request.principal, *_session(request)) as reader:
        await send_resumed(request, reader, ai_sdk.UIMessageStream())


async def stop(request: Request) -> None:
    """Stop the chat's running answer; that there is none is no error. A body may bring the history, for its tokens."""
    if body := await request.body():
        request.require_json()
        _go_on_as(request, ai_sdk.history_token(body))
    stopped = await request.services.chat.stop_session(request.principal, *_session(request))
    request.trace_id, outcome = stopped if stopped is not None else (None, None)
    await request.reply(StopReply(trace_id=request.trace_id, outcome=outcome))


def _go_on_as(request: Request, token: str | None) -> None:
    if token is not None:
        authenticator = request.services.authenticator
        request.principal = authenticator.as_earlier_rater(
            request.principal, request.raw_headers, request.client_host, token
        )


def _session(request: Request) -> tuple[str, str | None]:
    """Return the session, and the user that the query names."""
    return request.path_params["session_id"], request.query_dict().get("user_id")
