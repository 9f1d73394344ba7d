"""Traces: a client's own in, all of a project's out, search, tags, deletion, and the files of older clients."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from gateway.mlflow.call import Call, Plain
from gateway.mlflow.scripts import search as mlflow_search
from gateway.mlflow.scripts import traces as mlflow_traces
from gateway.mlflow.wire import assessments, spans, traces
from gateway.mlflow.wire.body import without_none
from gateway.mlflow.wire.errors import check_length, invalid, missing
from gateway.mlflow.wire.filter import parse_filter, parse_order

MAX_RESULTS, _MAX_IDS, _MAX_ARTIFACT = 500, 500, 10_000_000


class _Search(msgspec.Struct):
    locations: list[traces.Location]
    filter: str | None = None
    max_results: int = 100
    order_by: list[str] = []
    page_token: str | None = None


class _Tag(msgspec.Struct):
    key: str
    value: str | None = None


class _Delete(msgspec.Struct):
    experiment_id: str
    request_ids: list[str] | None = None
    trace_ids: list[str] | None = None
    max_timestamp_millis: int | None = None
    max_traces: int | None = None


async def start(call: Call) -> Any:
    """A client's word on its own trace; repeated, it changes nothing."""
    info = call.read(traces.Start).trace.trace_info
    trace = traces.read_info(info, call.now)
    ratings = [
        assessments.read_new(message, call.project, trace.trace_id, _rating_id(trace.trace_id, at, message), call.now)
        for at, message in enumerate(info.assessments)
    ]
    stored = await call.store.write(mlflow_traces.save_info, call.project, trace, ratings, call.now)
    return {"trace": {"trace_info": traces.write_info(stored)}}


def _rating_id(trace_id: str, at: int, message: assessments.Message) -> str:
    """The same for the same message: a client that sends its trace again must not rate it twice. In their order."""
    said = msgspec.json.encode((trace_id, at, message))
    return f"a-{at:013x}{hashlib.sha256(said).hexdigest()[:19]}"


async def get_info(call: Call) -> Any:
    return {"trace": {"trace_info": traces.write_info(await _stored(call, call.params["trace_id"]))}}


async def get(call: Call) -> Any:
    """With its spans; a chat that still runs has none yet."""
    stored = await _stored(call, call.one("trace_id"))
    trace_id = stored.trace.trace_id
    found = await call.store.read(mlflow_traces.spans_of, call.project, [trace_id])
    return {"trace": {"trace_info": traces.write_info(stored), "spans": found.get(trace_id, [])}}


async def batch_get(call: Call) -> Any:
    """Those that are there."""
    ids = _ids(call)
    infos = await call.store.read(mlflow_traces.get_infos, call.project, ids)
    found = await call.store.read(mlflow_traces.spans_of, call.project, [each.trace.trace_id for each in infos])
    return {
        "traces": [
            {"trace_info": traces.write_info(each), "spans": found.get(each.trace.trace_id, [])} for each in infos
        ]
    }


async def batch_get_infos(call: Call) -> Any:
    infos = await call.store.read(mlflow_traces.get_infos, call.project, _ids(call))
    return {"trace_infos": [traces.write_info(each) for each in infos]}


async def search(call: Call) -> Any:
    body = call.read(_Search)
    if body.max_results > MAX_RESULTS:
        invalid(f"max_results must be at most {MAX_RESULTS}.")
    experiments = [place.mlflow_experiment.experiment_id for place in body.locations if place.mlflow_experiment]
    if len(experiments) > MAX_RESULTS:
        invalid(f"At most {MAX_RESULTS} locations are searched at once.")
    query = mlflow_search.Query(
        project=call.project,
        experiment_ids=tuple(experiments),
        clauses=parse_filter(body.filter or ""),
        orders=parse_order(body.order_by),
        limit=body.max_results,
        page_token=body.page_token,
    )
    found, token = await call.store.search(mlflow_search.search_traces, query)
    return without_none([("traces", [traces.write_info(each) for each in found]), ("next_page_token", token)])


async def set_tag(call: Call) -> Any:
    body = call.read(_Tag)
    ((key, value),) = traces.check_tags({body.key: body.value or ""}).items()
    await call.store.write(mlflow_traces.set_tag, call.project, call.params["trace_id"], key, value)
    return {}


async def delete_tag(call: Call) -> Any:
    await call.store.write(mlflow_traces.set_tag, call.project, call.params["trace_id"], call.read(_Tag).key, None)
    return {}


async def delete(call: Call) -> Any:
    """By IDs, or up to a time."""
    body = call.read(_Delete)
    ids = body.request_ids or body.trace_ids or None
    if (ids is None) == (body.max_timestamp_millis is None):
        invalid("Either `max_timestamp_millis` or `trace_ids` must be specified, and not both.")
    if ids is not None and body.max_traces is not None:
        invalid("`max_traces` can't be specified if `trace_ids` is specified.")
    if body.max_traces is not None and body.max_traces <= 0:
        invalid(f"`max_traces` must be a positive integer, received {body.max_traces}.")
    if ids is not None and len(ids) > 10 * _MAX_IDS:
        invalid(f"At most {10 * _MAX_IDS} traces at once.")
    deleted, most = 0, body.max_traces or 2**53
    while True:  # in pieces, so that chats needn't wait long for their own writes
        piece = min(_MAX_IDS, most - deleted)
        some, ids = (ids[:piece], ids[piece:]) if ids is not None else (None, None)
        count = await call.store.write(
            mlflow_traces.delete_traces, call.project, body.experiment_id, some, body.max_timestamp_millis, piece
        )
        deleted += count
        if deleted >= most or (not ids if some is not None else count < piece):
            return {"traces_deleted": deleted}


async def put_artifact(call: Call) -> Any:
    """The spans as one file, from clients before 3.17."""
    try:
        data = call.body.decode()
    except UnicodeDecodeError:
        invalid("The file is not UTF-8.")
    check_length("The file", data, _MAX_ARTIFACT)
    await call.store.write(mlflow_traces.save_artifact, call.project, call.params["trace_id"], data)
    return {}


async def get_artifact(call: Call) -> Any:
    """The same back; for a chat of the gateway's own, one is made."""
    trace_id = call.params["trace_id"]
    data = await call.store.read(mlflow_traces.get_artifact, call.project, trace_id)
    if data is None:
        chat = await call.store.read(mlflow_traces.get_chat, call.project, trace_id)
        if chat is None:
            missing(f"There is no such file of trace '{trace_id}'.")
        data = spans.artifact(*chat)
    return Plain(data.encode(), b"application/octet-stream")


async def _stored(call: Call, trace_id: str) -> traces.Stored:
    found = await call.store.read(mlflow_traces.get_infos, call.project, [trace_id])
    if not found:
        missing(f"Trace with ID '{trace_id}' not found.")
    return found[0]


def _ids(call: Call) -> list[str]:
    ids = [value for key, value in call.query if key == "trace_ids"]
    if not ids:
        invalid("Missing value for required parameter 'trace_ids'.")
    if len(ids) > _MAX_IDS:
        invalid(f"At most {_MAX_IDS} traces at once.")
    return list(dict.fromkeys(ids))
