"""GET /traces/export: the traces of a search as a file, a page at a time, however many there are.

How many they are is in a header, so that a reader can tell a whole file from one that was cut. What comes meanwhile is
not in it: the pages go from the newest at the beginning to the oldest.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec

from gateway.domain.search import TraceQuery
from gateway.errors import InvalidValue
from gateway.storage.scripts.counts import assessment_names, count_part
from gateway.storage.scripts.listing import list_traces
from gateway.web.request import PIECE_BYTES, ClientGone, Request
from gateway.web.traces import search
from gateway.wire.rating_body import refuse
from gateway.wire.trace_export import MEDIA, Writer, read_format, writer_of
from gateway.wire.trace_query import QUERY, read_trace_query
from gateway.wire.traces import trace_item

_PAGE = 500


async def export(request: Request) -> None:
    """Send all traces of a search as JSON Lines, CSV or Parquet."""
    query = read_trace_query(request.query(), request.principal.project, (*QUERY, "format"))
    try:
        form = read_format(request.query_dict().get("format") or "jsonl")
    except InvalidValue as error:
        refuse([("format", error.message)])
    columns = [] if form == "jsonl" else await search(request, assessment_names, query.project)
    writer = await asyncio.to_thread(writer_of, form, columns)
    total = await _count(request, query)
    name = f'attachment; filename="traces.{form}"'.encode()
    await request.head(
        200,
        MEDIA[form].encode(),
        [(b"x-total-count", b"%d" % total), (b"content-disposition", name), (b"cache-control", b"no-store")],
    )
    async for piece in _pieces(request, msgspec.structs.replace(query, limit=_PAGE), writer):
        await _send(request, piece)
    await request.send({"type": "http.response.body", "body": b""})


async def _count(request: Request, query: TraceQuery) -> int:
    """Return how many there are: counted in parts, so that no search takes too long."""
    total, edge = await search(request, count_part, query)
    while edge is not None:
        count, edge = await search(request, count_part, msgspec.structs.replace(query, until=edge))
        total += count
    return total


async def _pieces(request: Request, query: TraceQuery, writer: Writer) -> AsyncIterator[bytes]:
    token: str | None = ""
    while token is not None:
        query = msgspec.structs.replace(query, page_token=token or None)
        found, token = await search(request, list_traces, query)
        yield await asyncio.to_thread(writer.write, [trace_item(each) for each in found])
    yield await asyncio.to_thread(writer.end)


async def _send(request: Request, data: bytes) -> None:
    """Send a page. A client that takes nothing for a while is cut off."""
    try:
        for at in range(0, len(data), PIECE_BYTES):
            async with asyncio.timeout(request.services.config.streaming.send_timeout_s):
                await request.piece(data[at : at + PIECE_BYTES])
    except TimeoutError:
        request.services.metrics.send_timeout()
        request.abort()
        raise ClientGone from None
