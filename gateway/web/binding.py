"""Binds a table of endpoints that another package keeps to HTTP. app.py brings the two together.

Such endpoints know nothing of this package: they take values and return values. They are not in /openapi.json.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, Protocol

from starlette.types import Receive, Scope, Send

from gateway.access.principal import Role
from gateway.web.request import ClientGone, Request
from gateway.web.responses import JSONResponse, Response
from gateway.web.route import Handler, Route
from gateway.wire.errors import Wire


class Endpoint(Protocol):
    """What a line of such a table has. Its handler returns a JSON value, or bytes of the type `media`, whole or as an
    iterator over pieces.

    `open`: for everybody, without a key. `any_type`: the body needn't say that it is JSON. `reads`: it changes nothing,
    so that it ends when its caller has left.
    """

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def handler(self) -> Callable[[Any], Awaitable[Any]]: ...
    @property
    def open(self) -> bool: ...
    @property
    def media(self) -> str: ...
    @property
    def any_type(self) -> bool: ...
    @property
    def reads(self) -> bool: ...
    @property
    def wire(self) -> Wire: ...


def bind(
    endpoints: Iterable[Endpoint], roles: tuple[Role, ...], take: Callable[[Request, bytes], Any]
) -> tuple[Route, ...]:
    """Return a route for each endpoint. `take` makes of a request and its body what the handlers take."""
    return tuple(
        Route(one.method, one.path, _handler(one, take), () if one.open else roles, one.wire) for one in endpoints
    )


@contextlib.asynccontextmanager
async def while_there(request: Request) -> AsyncIterator[None]:
    """End what runs meanwhile when the client leaves; also for reads elsewhere that take long. Raise ClientGone."""
    gone = request.extension("gateway.gone")
    if gone is None:  # another server than our own
        yield
        return
    timer, loop = asyncio.timeout(None), asyncio.get_running_loop()

    def end() -> None:
        if timer.when() is None:
            timer.reschedule(loop.time())

    try:
        async with timer:
            gone.add(end)
            if gone.happened:
                end()
            yield
    except TimeoutError:
        if not gone.happened:
            raise
        raise ClientGone from None
    finally:
        gone.discard(end)


class _Pieces(Response):
    """A reply that is written piece by piece. The first is there before the head, so that its error is a status."""

    def __init__(self, pieces: AsyncGenerator[bytes, None], media: str) -> None:
        super().__init__(media_type=media)
        del self.headers["content-length"]
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request.of(scope)
        async with contextlib.aclosing(self._pieces) as pieces, while_there(request):
            piece = await anext(pieces)
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            if scope["method"] != "HEAD":
                await request.write(piece, send)
                async for piece in pieces:
                    await request.write(piece, send)
            await request.write(b"", send, more=False)


def _handler(endpoint: Endpoint, take: Callable[[Request, bytes], Any]) -> Handler:
    async def handle(request: Request) -> Response:
        body = await request.body()
        if body and not endpoint.any_type:  # a web page can't send JSON, nor PUT, without a preflight request
            request.require_json()
        async with while_there(request) if endpoint.reads else contextlib.nullcontext():
            reply = await endpoint.handler(take(request, body))
        if isinstance(reply, bytes):
            return Response(reply, media_type=endpoint.media)
        if isinstance(reply, AsyncGenerator):
            return _Pieces(reply, endpoint.media)
        return JSONResponse(reply)

    return handle
