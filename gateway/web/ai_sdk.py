"""The routes of the Vercel AI SDK: `useChat` pointed at /api/chat works as it is. Thin: decode, ask, send.

A chat's ID is a session's. Resume is a full replay, as the SDK's clients expect it.
"""

from __future__ import annotations

from gateway.web.chat import send_resumed, stream_route
from gateway.web.request import Request
from gateway.wire import ai_sdk
from gateway.wire.native_events import StopReply

chat = stream_route(ai_sdk.decode_chat, ai_sdk.UIMessageStream)  # POST /api/chat


async def resume(request: Request) -> None:
    """Send the chat's running answer from its beginning on; 204 where none is running."""
    async with request.services.chat.resume_session(request.principal, *_session(request)) as reader:
        await send_resumed(request, reader, ai_sdk.UIMessageStream())


async def stop(request: Request) -> None:
    """Stop the chat's running answer; that there is none is no error."""
    stopped = await request.services.chat.stop_session(request.principal, *_session(request))
    request.trace_id, outcome = stopped if stopped is not None else (None, None)
    await request.reply(StopReply(trace_id=request.trace_id, outcome=outcome))


def _session(request: Request) -> tuple[str, str | None]:
    """Return the session, and the user that the query names."""
    return request.path_params["session_id"], request.query_dict().get("user_id")
