"""The route that gives out tickets for WebSockets. The sockets themselves are socket.py's."""

from __future__ import annotations

from gateway.access.authenticator import TICKET_S
from gateway.web.request import Request
from gateway.web.responses import JSONResponse, Response
from gateway.wire import native


async def ws_ticket(request: Request) -> Response:
    """Give a ticket to a browser, which can't send a key when it opens a WebSocket."""
    body = await request.body()
    if body:
        request.require_json()
    wanted = native.decode_ticket(body) if body else native.TicketRequest()
    ticket = request.services.authenticator.issue_ticket(
        request.principal, request.raw_headers, wanted.user_id, request.client_host
    )
    return JSONResponse(native.TicketReply(ticket, TICKET_S))
