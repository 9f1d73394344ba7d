"""What handlers of cold routes return: Starlette's responses, sent as this gateway sends them.

A large one goes out in pieces, so that a client which takes nothing is cut off, and a HEAD gets no body. Server-sent
events of ops.py are sse_starlette's.
"""

from __future__ import annotations

from typing import Any

import msgspec
import starlette.responses
from starlette.types import Receive, Scope, Send

from gateway.web.request import Request


class Response(starlette.responses.Response):
    """Bytes or text of any type."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await Request.of(scope).respond(self.status_code, self.raw_headers, bytes(self.body), send)


class JSONResponse(Response):
    """A value that msgspec encodes, which is faster than the standard library and knows structs."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return msgspec.json.encode(content)
