"""Handlers of evaluation datasets: the cases that a team collects."""

from __future__ import annotations

import secrets
from typing import Any

from gateway.mlflow.imports import portions
from gateway.mlflow.names import AUTHOR
from gateway.mlflow.request import Request
from gateway.mlflow.scripts import datasets as scripts
from gateway.mlflow.values import Dataset, NewRecord
from gateway.mlflow.wire import datasets as wire
from gateway.mlflow.wire.body import read_offset, write_page
from gateway.mlflow.wire.dataset_filter import matches, parse_dataset_filter, parse_dataset_order

_RECORDS, _DELETED = 100, 500  # of one write: others' writes wait for it


async def create(request: Request) -> Any:
    """Create a dataset. Several may have one name, as in MLflow."""
    body = request.decode(wire.CreateDataset)
    name = wire.read_name(body.name)
    tags = {key: value or "" for key, value in wire.read_tags(body.tags).items()}
    author = body.created_by or tags.get(AUTHOR)
    new = Dataset(
        dataset_id=f"d-{secrets.token_hex(16)}",
        project=request.project,
        name=name,
        digest=scripts.digest(name, request.now),
        created_time=request.now,
        last_update_time=request.now,
        created_by=author,
        last_updated_by=author,
        experiment_ids=wire.read_experiments(body.experiment_ids),
        tags=tags,
    )
    return {"dataset": wire.write_dataset(await request.write(scripts.create_dataset, new))}


async def get(request: Request) -> Any:
    """Read one dataset, without its records."""
    return {"dataset": wire.write_dataset(await _dataset(request))}


async def search(request: Request) -> Any:
    """Find datasets of the project, of some experiments or of all."""
    body = request.decode(wire.SearchDatasets)
    clauses, orders = parse_dataset_filter(body.filter_string), parse_dataset_order(body.order_by)
    wanted = set(body.experiment_ids)

    def keep(dataset: Dataset) -> bool:
        return (not wanted or not wanted.isdisjoint(dataset.experiment_ids)) and matches(clauses, dataset)

    at, limit = read_offset(body.page_token), max(0, min(body.max_results, wire.MAX_PAGE))
    page, more = await request.search(scripts.search_datasets, request.project, keep, orders, limit, at)
    return write_page("datasets", [wire.write_dataset(each) for each in page], at, more=more)


async def delete(request: Request) -> Any:
    """Delete a dataset with its records, if it is there."""
    dataset_id = request.params["dataset_id"]
    while await request.write(scripts.empty_dataset, request.project, dataset_id, _DELETED) == _DELETED:
        pass
    await request.write(scripts.delete_dataset, request.project, dataset_id)
    return {}


async def set_tags(request: Request) -> Any:
    """Set tags, and delete those that are null."""
    tags = wire.read_tags(request.decode(wire.SetDatasetTags).tags)
    await request.write(scripts.set_tags, request.project, request.params["dataset_id"], tags)
    return {}


async def delete_tag(request: Request) -> Any:
    """Delete a tag, if it is there."""
    await request.write(scripts.delete_tag, request.project, request.params["dataset_id"], request.params["key"])
    return {}


async def add_experiments(request: Request) -> Any:
    """Put a dataset into experiments."""
    return await _change_experiments(request, add=True)


async def remove_experiments(request: Request) -> Any:
    """Take a dataset out of experiments."""
    return await _change_experiments(request, add=False)


async def get_experiment_ids(request: Request) -> Any:
    """List the experiments that a dataset is in."""
    return {"experiment_ids": (await _dataset(request)).experiment_ids}


async def upsert_records(request: Request) -> Any:
    """Add records, some at a time. One with the same inputs as another changes that one.

    Those of one request have one time, and IDs that rise: they are read back in the order in which they were sent.
    """
    records = await request.read_much(lambda pace: wire.read_records(request.body or b"{}", pace))
    ids = sorted(f"dr-{secrets.token_hex(16)}" for _ in records)
    given = list(zip(ids, records, strict=True))
    dataset_id = request.params["dataset_id"]
    await request.search(scripts.check_room, request.project, dataset_id, given)
    inserted = updated = 0
    for some in portions(given, _weigh, _RECORDS):
        new, old = await request.write(scripts.upsert_records, request.project, dataset_id, some, request.now)
        inserted, updated = inserted + new, updated + old
    return {"inserted_count": inserted, "updated_count": updated}


def _weigh(given: tuple[str, NewRecord]) -> int:
    _, record = given
    return 1 + sum(len(part or ()) for part in (record.inputs, record.expectations, record.tags)) // 10


async def get_records(request: Request) -> Any:
    """Read a page of a dataset's records, in the order they came."""
    limit = wire.read_limit(request.query_value("max_results", str(wire.MAX_PAGE)))
    after = wire.read_cursor(request.query_value("page_token", ""))
    dataset_id = request.params["dataset_id"]
    found, more = await request.search(scripts.get_records, request.project, dataset_id, limit, after)
    return wire.write_records(found, more=more)


async def delete_records(request: Request) -> Any:
    """Delete records by ID, some at a time; those that aren't there don't count."""
    ids = wire.read_record_ids(request.decode(wire.DeleteRecords))
    deleted = 0
    for some in portions(ids, lambda _: 1, _DELETED) if ids else [()]:
        deleted += await request.write(
            scripts.delete_records, request.project, request.params["dataset_id"], some, request.now
        )
    return {"deleted_count": deleted}


async def _dataset(request: Request) -> Dataset:
    return await request.store.read(scripts.get_dataset, request.project, request.params["dataset_id"])


async def _change_experiments(request: Request, *, add: bool) -> Any:
    ids = wire.read_experiments(request.decode(wire.DatasetExperiments).experiment_ids)
    added, removed = (ids, []) if add else ([], ids)
    changed = await request.write(
        scripts.set_experiments, request.project, request.params["dataset_id"], added, removed, request.now
    )
    return {"dataset": wire.write_dataset(changed)}
