"""The route that gives out tickets for WebSockets. The sockets themselves are socket.py's."""

from __future__ import annotations

from gateway.access.authenticator import TICKET_S
from gateway.web.exchange import Exchange
from gateway.wire import native


async def ws_ticket(x: Exchange) -> None:
    """POST /chat/ws-ticket: for a browser, which can't send a key when it opens a WebSocket."""
    body = await x.body()
    if body:
        x.require_json()
    wanted = native.decode_ticket(body) if body else native.TicketRequest()
    ticket = x.services.door.issue_ticket(x.principal, x.headers, wanted.user_id)
    await x.reply(native.TicketReply(ticket, TICKET_S))
