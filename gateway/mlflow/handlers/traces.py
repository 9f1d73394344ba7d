"""Handlers of traces: store a client's, read, search, tag and delete any, and the files of older clients."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec

from gateway.domain.trace import Assessment
from gateway.mlflow.imports import portions
from gateway.mlflow.request import Request
from gateway.mlflow.scripts import search as search_scripts
from gateway.mlflow.scripts import traces as scripts
from gateway.mlflow.values import ChatSpans, ClientTrace, StoredTrace
from gateway.mlflow.wire import assessments, spans
from gateway.mlflow.wire import traces as wire
from gateway.mlflow.wire.body import without_none
from gateway.mlflow.wire.checks import check_length, invalid, missing

_MAX_IDS, _MAX_FILE = 500, 10_000_000


async def start(request: Request) -> Any:
    """Store the info of a client's trace. The same again changes nothing."""

    def read(pace: Callable[[], None]) -> tuple[ClientTrace, list[Assessment]]:
        info = request.decode(wire.StartTrace).trace.trace_info
        trace = wire.read_info(info, request.now)
        ratings = []
        for at, message in enumerate(info.assessments):
            pace()
            rating_id = _rating_id(trace.trace_id, at, message)
            ratings.append(
                assessments.read_assessment(message, request.project, trace.trace_id, rating_id, request.now)
            )
        return trace, ratings

    trace, ratings = await request.read_much(read)
    stored = await request.write(scripts.save_info, request.project, trace, ratings, request.now)
    return {"trace": {"trace_info": wire.write_info(stored)}}


def _rating_id(trace_id: str, at: int, message: assessments.Message) -> str:
    """Return the same ID for the same message, so that a client that repeats its trace doesn't rate it twice.

    IDs begin with the position, which keeps the ratings in order.
    """
    content = msgspec.json.encode((trace_id, at, message))
    return f"a-{at:013x}{hashlib.sha256(content).hexdigest()[:19]}"


async def get_info(request: Request) -> Any:
    """Read a trace without its spans."""
    return {"trace": {"trace_info": wire.write_info(await _stored(request, request.params["trace_id"]))}}


async def get(request: Request) -> Any:
    """Read a trace with its spans; a chat that still runs has none yet."""
    (whole,) = await _with_spans(request, [await _stored(request, request.query_value("trace_id"))])
    return {"trace": whole}


async def batch_get(request: Request) -> AsyncIterator[bytes]:
    """Read traces with their spans; those that aren't there are left out."""
    return _one_by_one(request, await request.search(scripts.get_infos, request.project, _trace_ids(request)))


async def _one_by_one(request: Request, stored: list[StoredTrace]) -> AsyncIterator[bytes]:
    """Yield a reply trace by trace: all of them with their spans might not find room in memory."""
    before = b'{"traces":['
    for each in stored:
        (whole,) = await _with_spans(request, [each])
        yield before + msgspec.json.encode(whole)
        before = b","
    yield b"]}" if stored else before + b"]}"


async def batch_get_infos(request: Request) -> Any:
    """Read traces without their spans; those that aren't there are left out."""
    stored = await request.search(scripts.get_infos, request.project, _trace_ids(request))
    return {"trace_infos": [wire.write_info(each) for each in stored]}


async def search(request: Request) -> Any:
    """Find traces, a page at a time."""
    query = wire.read_query(request.decode(wire.SearchTraces), request.project)
    found, token = await request.search(search_scripts.search_traces, query)
    return without_none([("traces", [wire.write_info(each) for each in found]), ("next_page_token", token)])


async def set_tag(request: Request) -> Any:
    """Set a tag of a trace; `mlflow.traceName` is its name."""
    body = request.decode(wire.TraceTag)
    ((key, value),) = wire.read_tags({body.key: body.value or ""}).items()
    await request.write(scripts.set_tag, request.project, request.params["trace_id"], key, value)
    return {}


async def delete_tag(request: Request) -> Any:
    """Delete a tag of a trace."""
    key = request.decode(wire.TraceTag).key
    await request.write(scripts.set_tag, request.project, request.params["trace_id"], key, None)
    return {}


async def delete(request: Request) -> Any:
    """Delete traces by ID, or the oldest up to a time."""
    body = request.decode(wire.DeleteTraces)
    ids = wire.read_deleted_ids(body, 10 * _MAX_IDS)
    deleted, most = 0, body.max_traces or 2**53
    batches: Sequence[Sequence[str] | None] = [None] if ids is None else list(portions(ids, lambda _: 1, _MAX_IDS))
    for batch in batches:
        more = True
        while more and deleted < most:  # in batches, so that chats needn't wait long for their own writes
            limit = min(_MAX_IDS, most - deleted)
            count, more = await request.write(
                scripts.delete_traces, request.project, body.experiment_id, batch, body.max_timestamp_millis, limit
            )
            deleted += count
    return {"traces_deleted": deleted}


async def put_artifact(request: Request) -> Any:
    """Store the spans as one file, which clients before 3.17 send."""
    try:
        data = request.body.decode()
    except UnicodeDecodeError:
        invalid("The file is not UTF-8.")
    check_length("The file", data, _MAX_FILE)
    await request.write(scripts.save_artifact, request.project, request.params["trace_id"], data)
    return {}


async def get_artifact(request: Request) -> bytes:
    """Return the file that a client stored; for a chat, one is made."""
    trace_id = request.params["trace_id"]
    data = await request.search(scripts.get_artifact, request.project, trace_id)
    if data is not None:
        return data.encode()
    found = await request.search(scripts.get_spans_of, request.project, [trace_id])
    if not isinstance(chat := found.get(trace_id), ChatSpans):
        missing(f"There is no such file of trace '{trace_id}'.")
    return spans.write_artifact(chat).encode()


async def _stored(request: Request, trace_id: str) -> StoredTrace:
    found = await request.store.read(scripts.get_infos, request.project, [trace_id])
    if not found:
        missing(f"Trace with ID '{trace_id}' not found.")
    return found[0]


async def _with_spans(request: Request, stored: list[StoredTrace]) -> list[dict[str, Any]]:
    ids = [each.trace.trace_id for each in stored]
    found = await request.search(scripts.get_spans_of, request.project, ids)
    return [
        {
            "trace_info": wire.write_info(each),
            "spans": spans.write_spans(found[trace_id]) if trace_id in found else [],
        }
        for trace_id, each in zip(ids, stored, strict=True)
    ]


def _trace_ids(request: Request) -> list[str]:
    ids = [value for key, value in request.query if key == "trace_ids"]
    if not ids:
        invalid("Missing value for required parameter 'trace_ids'.")
    if len(ids) > _MAX_IDS:
        invalid(f"At most {_MAX_IDS} traces can be read at once.")
    return list(dict.fromkeys(ids))
