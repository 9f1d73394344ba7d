"""Evaluation datasets: what a team collects its cases in."""

from __future__ import annotations

import base64
import secrets
from typing import Any

import msgspec

from gateway.mlflow.call import Call
from gateway.mlflow.scripts import datasets as sql
from gateway.mlflow.scripts.datasets import Dataset, NewRecord, Record
from gateway.mlflow.wire.body import decode_text, dumps, read_offset, without_none
from gateway.mlflow.wire.datasets import matches, parse_dataset_filter, parse_dataset_order
from gateway.mlflow.wire.errors import check_length, check_pairs, invalid
from gateway.mlflow.wire.traces import MAX_KEY, MAX_TAG

_MAX_BATCH, _MAX_PAGE, _SOURCES = 10_000, 1_000, ("TRACE", "HUMAN", "DOCUMENT", "CODE", "UNSPECIFIED")


class _Create(msgspec.Struct):
    name: str
    experiment_ids: list[str] = []
    tags: str = "{}"
    created_by: str | None = None


class _Search(msgspec.Struct):
    experiment_ids: list[str] = []
    filter_string: str = ""
    max_results: int = 1_000
    order_by: list[str] = []
    page_token: str | None = None


class _Tags(msgspec.Struct):
    tags: str


class _Experiments(msgspec.Struct):
    experiment_ids: list[str]


class _Upsert(msgspec.Struct):
    records: str


class _DeleteRecords(msgspec.Struct):
    dataset_record_ids: list[str] = []


async def create(call: Call) -> Any:
    """Names needn't differ, as in MLflow."""
    body = call.read(_Create)
    check_length("A dataset's name", body.name, MAX_KEY, 1)
    tags = {key: value or "" for key, value in _tags(body.tags).items()}
    user = body.created_by or tags.get(sql.USER)
    new = Dataset(
        dataset_id=f"d-{secrets.token_hex(16)}",
        project=call.project,
        name=body.name,
        digest=sql.digest(body.name, call.now),
        created_time=call.now,
        last_update_time=call.now,
        created_by=user,
        last_updated_by=user,
        experiment_ids=list(dict.fromkeys(body.experiment_ids)),
        tags=tags,
    )
    return {"dataset": _write(await call.store.write(sql.create_dataset, new))}


async def get(call: Call) -> Any:
    return {"dataset": _write(await call.store.read(sql.get_dataset, call.project, call.params["dataset_id"]))}


async def search(call: Call) -> Any:
    body = call.read(_Search)
    clauses, orders = parse_dataset_filter(body.filter_string), parse_dataset_order(body.order_by)
    wanted = set(body.experiment_ids)
    found = [
        each
        for each in await call.store.search(sql.list_datasets, call.project)
        if (not wanted or wanted & set(each.experiment_ids))
        and matches(clauses, {name: getattr(each, name) for name in Dataset.__struct_fields__}, each.tags)
    ]
    for order in reversed(orders):
        found.sort(key=lambda each, key=order.key: getattr(each, key), reverse=not order.ascending)  # type: ignore[misc]
    at = read_offset(body.page_token)
    page = found[at : at + max(0, min(body.max_results, _MAX_PAGE))]
    following = str(at + len(page)) if page and at + len(page) < len(found) else None
    return without_none([("datasets", [_write(each) for each in page]), ("next_page_token", following)])


async def delete(call: Call) -> Any:
    await call.store.write(sql.delete_dataset, call.project, call.params["dataset_id"])
    return {}


async def set_tags(call: Call) -> Any:
    tags = _tags(call.read(_Tags).tags)
    await call.store.write(sql.set_tags, call.project, call.params["dataset_id"], tags)
    return {}


async def delete_tag(call: Call) -> Any:
    await call.store.write(sql.delete_tag, call.project, call.params["dataset_id"], call.params["key"])
    return {}


async def add_experiments(call: Call) -> Any:
    ids = call.read(_Experiments).experiment_ids
    changed = await call.store.write(sql.set_experiments, call.project, call.params["dataset_id"], ids, [])
    return {"dataset": _write(changed)}


async def remove_experiments(call: Call) -> Any:
    ids = call.read(_Experiments).experiment_ids
    changed = await call.store.write(sql.set_experiments, call.project, call.params["dataset_id"], [], ids)
    return {"dataset": _write(changed)}


async def experiment_ids(call: Call) -> Any:
    found = await call.store.read(sql.get_dataset, call.project, call.params["dataset_id"])
    return {"experiment_ids": found.experiment_ids}


async def upsert_records(call: Call) -> Any:
    """The same inputs again change the record that is there."""
    records = decode_text(call.read(_Upsert).records, list[NewRecord], "records")
    check_pairs("records at once", [("", "")] * len(records), _MAX_BATCH)
    for record in records:
        if record.source and record.source.get("source_type") not in _SOURCES:
            invalid(f"Invalid source type. Valid source types: {', '.join(_SOURCES)}")
    given = [(f"dr-{secrets.token_hex(16)}", record) for record in records]
    dataset = call.params["dataset_id"]
    inserted, updated = await call.store.write(sql.upsert_records, call.project, dataset, given, call.now)
    return {"inserted_count": inserted, "updated_count": updated}


async def get_records(call: Call) -> Any:
    limit = call.one("max_results", str(_MAX_PAGE))
    if not limit.isdecimal() or len(limit) > 9:
        invalid("max_results must be a whole number.")
    count = min(int(limit), _MAX_PAGE)
    after = _read_token(call.one("page_token", ""))
    found = await call.store.read(sql.get_records, call.project, call.params["dataset_id"], count, after)
    token = None
    if found and len(found) == count:
        token = base64.b64encode(f"{found[-1].created_time}:{found[-1].record_id}".encode()).decode()
    return without_none([("records", dumps([_write_record(each) for each in found])), ("next_page_token", token)])


async def delete_records(call: Call) -> Any:
    ids = call.read(_DeleteRecords).dataset_record_ids
    check_pairs("records at once", [("", "")] * len(ids), _MAX_BATCH)
    return {
        "deleted_count": await call.store.write(
            sql.delete_records, call.project, call.params["dataset_id"], ids, call.now
        )
    }


def _tags(text: str) -> dict[str, str | None]:
    tags = decode_text(text or "{}", dict[str, str | None], "tags")
    check_pairs("tags", [("", "")] * len(tags), 100)
    for key, value in tags.items():
        check_length("A tag's key", key, MAX_KEY, 1)
        check_length("A tag's value", value or "", MAX_TAG)
    return tags


def _read_token(token: str) -> tuple[int, str] | None:
    if not token:
        return None
    try:
        time, _, record_id = base64.b64decode(token, validate=True).decode().partition(":")
        return int(time), record_id
    except ValueError:
        invalid("Invalid page token.")


def _write(dataset: Dataset) -> dict[str, Any]:
    return without_none(
        [
            ("dataset_id", dataset.dataset_id),
            ("name", dataset.name),
            ("tags", dumps(dataset.tags)),
            ("schema", dataset.schema),
            ("profile", dataset.profile),
            ("digest", dataset.digest),
            ("created_time", dataset.created_time),
            ("last_update_time", dataset.last_update_time),
            ("created_by", dataset.created_by),
            ("last_updated_by", dataset.last_updated_by),
            ("experiment_ids", dataset.experiment_ids),
        ]
    )


def _write_record(record: Record) -> dict[str, Any]:
    source = record.source or {}
    fields = without_none(
        [
            ("dataset_record_id", record.record_id),
            ("dataset_id", record.dataset_id),
            ("inputs", record.inputs),
            ("expectations", record.expectations),
            ("tags", record.tags),
            ("source", record.source),
            ("source_id", sql.source_id(record.source)),
            ("source_type", source.get("source_type")),
            ("created_time", record.created_time),
            ("last_update_time", record.last_update_time),
            ("created_by", record.created_by),
            ("last_updated_by", record.last_updated_by),
        ]
    )
    return fields | {"outputs": {} if record.outputs is None else record.outputs}
