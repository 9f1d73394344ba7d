"""Transaction scripts over evaluation datasets and their records. Run by handlers/datasets.py.

A dataset has one record for the same inputs: whoever sends them again changes it. See gateway/storage/engine.py
for what a script is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import msgspec

from gateway.domain.search import Order
from gateway.errors import InvalidValue, NotFound
from gateway.mlflow.names import AUTHOR
from gateway.mlflow.scripts.dataset_schema import learn
from gateway.mlflow.scripts.experiments import require_experiment
from gateway.mlflow.values import Dataset, NewRecord, Record, source_trace
from gateway.storage.engine import Row, Script, Statement
from gateway.storage.scripts.traces import assignments, insert_into, numbers

MAX_RECORDS = 100_000
MOST_CHARS = 4_000_000  # of a page of records, which take several times as much while they are read and written
MAX_TAGS, MAX_TAG_CHARS = 1_000, 500_000  # of a dataset, together
_LOOK = 100  # datasets at a time
_CHUNK = 500  # hashes a query

_FIELDS = Dataset.__struct_fields__
_INSERT = insert_into("datasets", _FIELDS)
_JSON = ("inputs", "outputs", "expectations", "tags", "source")
_RECORD_FIELDS = ("dataset_id", "record_id", "created_time", "last_update_time", "created_by", "last_updated_by")
_INSERT_RECORD = insert_into("dataset_records", (*_RECORD_FIELDS, "input_hash", *_JSON, "source_id"))
# Of all upserts of a record, not of the first alone: an erased person's words may have come with any of them.
_INSERT_SOURCE = insert_into("dataset_sources", ("dataset_id", "record_id", "trace_id")) + " ON CONFLICT DO NOTHING"


def digest(name: str, time: int) -> str:
    """Return a short hash that differs after each change of a dataset."""
    return hashlib.sha256(f"{name}:{time}".encode()).hexdigest()[:8]


def create_dataset(new: Dataset) -> Script[Dataset]:
    """Insert a dataset. Raise NotFound for an experiment that isn't there."""
    for experiment_id in new.experiment_ids:
        yield from require_experiment(new.project, experiment_id)
    plain = msgspec.to_builtins(new) | {"tags": _dump(new.tags), "experiment_ids": _dump(new.experiment_ids)}
    yield _INSERT, [plain[name] for name in _FIELDS]
    return new


def get_dataset(project: str, dataset_id: str) -> Script[Dataset]:
    """Return a dataset. Raise NotFound."""
    rows = yield "SELECT * FROM datasets WHERE dataset_id = $1 AND project = $2", (dataset_id, project)
    if not rows:
        raise NotFound(f"Dataset with ID '{dataset_id}' not found")
    return _dataset(rows[0])


def search_datasets(
    project: str, keep: Callable[[Dataset], bool], orders: Sequence[Order], limit: int, offset: int
) -> Script[tuple[list[Dataset], bool]]:
    """Return a page of the datasets that `keep` is true for, in the order asked for, and whether more follow.

    They are looked at a few at a time, and of each only the values that it is ordered by are kept.
    """
    found: list[tuple[dict[str, Any], str]] = []
    after = (2**62, "")
    while True:
        rows = yield (
            "SELECT * FROM datasets WHERE project = $1 AND (created_time < $2 OR created_time = $2 AND dataset_id < $3)"
            " ORDER BY created_time DESC, dataset_id DESC LIMIT $4",
            (project, *after, _LOOK),
        )
        for row in rows:
            dataset = _dataset(row)
            if keep(dataset):
                found.append(({order.key: getattr(dataset, order.key) for order in orders}, dataset.dataset_id))
        if len(rows) < _LOOK:
            break
        after = (rows[-1]["created_time"], rows[-1]["dataset_id"])
    for order in reversed(orders):
        found.sort(key=lambda each, key=order.key: each[0][key], reverse=not order.ascending)  # type: ignore[misc]
    page = []
    for _, dataset_id in found[offset : offset + limit]:
        page.append((yield from get_dataset(project, dataset_id)))
    return page, offset + len(page) < len(found)


def set_tags(project: str, dataset_id: str, tags: dict[str, str | None]) -> Script[Dataset]:
    """Set tags, and delete those that are None. Raise NotFound for the dataset."""
    found = yield from get_dataset(project, dataset_id)
    merged = {key: value for key, value in (found.tags | tags).items() if value is not None}
    if len(merged) > MAX_TAGS or sum(map(len, merged.values())) > MAX_TAG_CHARS:
        raise InvalidValue(f"A dataset has at most {MAX_TAGS:,} tags, with {MAX_TAG_CHARS:,} characters together.")
    yield _change(dataset_id, tags=_dump(merged))
    return msgspec.structs.replace(found, tags=merged)


def delete_tag(project: str, dataset_id: str, key: str) -> Script[None]:
    """Delete a tag if the dataset and the tag are there."""
    rows = yield "SELECT * FROM datasets WHERE dataset_id = $1 AND project = $2", (dataset_id, project)
    if rows:
        yield from set_tags(project, dataset_id, {key: None})


def set_experiments(
    project: str, dataset_id: str, add: Sequence[str], remove: Sequence[str], now: int
) -> Script[Dataset]:
    """Put a dataset into experiments and take it out of others. Raise NotFound for it or an experiment."""
    found = yield from get_dataset(project, dataset_id)
    for experiment_id in add:
        yield from require_experiment(project, experiment_id)
    kept = [each for each in dict.fromkeys([*found.experiment_ids, *add]) if each not in set(remove)]
    time = now if add or kept != found.experiment_ids else found.last_update_time
    yield _change(dataset_id, experiment_ids=_dump(kept), last_update_time=time)
    return msgspec.structs.replace(found, experiment_ids=kept, last_update_time=time)


def _change(dataset_id: str, **columns: object) -> Statement:
    return f"UPDATE datasets SET {assignments(columns, 2)} WHERE dataset_id = $1", (dataset_id, *columns.values())  # noqa: S608


def empty_dataset(project: str, dataset_id: str, limit: int) -> Script[int]:
    """Delete so many records of a dataset that is about to be deleted; return how many there were."""
    rows = yield (
        "SELECT r.record_id FROM dataset_records r JOIN datasets d ON d.dataset_id = r.dataset_id"
        " WHERE d.dataset_id = $1 AND d.project = $2 LIMIT $3",
        (dataset_id, project, limit),
    )
    if rows:
        ids = [row["record_id"] for row in rows]
        for table in ("dataset_sources", "dataset_records"):
            yield (
                f"DELETE FROM {table} WHERE dataset_id = $1 AND record_id IN ({numbers(2, len(ids))})",  # noqa: S608
                (dataset_id, *ids),
            )
    return len(rows)


def delete_dataset(project: str, dataset_id: str) -> Script[None]:
    """Delete a dataset and its records if it is there."""
    rows = yield (
        "DELETE FROM datasets WHERE dataset_id = $1 AND project = $2 RETURNING dataset_id",
        (dataset_id, project),
    )
    if rows:
        yield "DELETE FROM dataset_records WHERE dataset_id = $1", (dataset_id,)
        yield "DELETE FROM dataset_sources WHERE dataset_id = $1", (dataset_id,)


def check_room(project: str, dataset_id: str, records: Sequence[tuple[str, NewRecord]]) -> Script[None]:
    """Raise NotFound for the dataset, and InvalidValue where it would have more than MAX_RECORDS."""
    yield from get_dataset(project, dataset_id)
    counted = yield "SELECT COUNT(*) AS n FROM dataset_records WHERE dataset_id = $1", (dataset_id,)
    if counted[0]["n"] + len(records) <= MAX_RECORDS:
        return
    hashes = list({_input_hash(new) for _, new in records})
    new = len(hashes)
    for at in range(0, len(hashes), _CHUNK):
        some = hashes[at : at + _CHUNK]
        known = yield (
            "SELECT COUNT(*) AS n FROM dataset_records WHERE dataset_id = $1"  # noqa: S608  numbers only
            f" AND input_hash IN ({numbers(2, len(some))})",
            (dataset_id, *some),
        )
        new -= known[0]["n"]
    if counted[0]["n"] + new > MAX_RECORDS:
        raise InvalidValue(f"A dataset has at most {MAX_RECORDS} records.")


def _input_hash(record: NewRecord) -> str:
    return hashlib.sha256(msgspec.json.encode(record.inputs, order="sorted")).hexdigest()


def upsert_records(
    project: str, dataset_id: str, records: Sequence[tuple[str, NewRecord]], now: int
) -> Script[tuple[int, int]]:
    """Insert records under the IDs given, or change those with the same inputs; return how many of each.

    Raise NotFound for the dataset, and InvalidValue beyond MAX_RECORDS.
    """
    found = yield from get_dataset(project, dataset_id)
    schema = msgspec.json.decode(found.schema) if found.schema else {"inputs": {}, "outputs": {}, "expectations": {}}
    inserted, user = 0, None
    for record_id, new in records:
        by = (new.tags or {}).get(AUTHOR)
        user = by or user
        key = _input_hash(new)
        rows = yield "SELECT * FROM dataset_records WHERE dataset_id = $1 AND input_hash = $2", (dataset_id, key)
        source_id = source_trace(new.source)
        if rows:
            yield _update_record(_record(rows[0]), new, by, now)
        else:
            inserted += 1
            texts = [_dump(getattr(new, name)) for name in _JSON]
            yield _INSERT_RECORD, (dataset_id, record_id, now, now, by, by, key, *texts, source_id)
        if source_id is not None:
            yield _INSERT_SOURCE, (dataset_id, rows[0]["record_id"] if rows else record_id, source_id)
        learn(schema, new)
    # only now is it known how many were new; where they are too many, the engine undoes all of it
    counted = yield "SELECT COUNT(*) AS n FROM dataset_records WHERE dataset_id = $1", (dataset_id,)
    if counted[0]["n"] > MAX_RECORDS:
        raise InvalidValue(f"A dataset has at most {MAX_RECORDS} records.")
    yield _change(
        dataset_id,
        last_update_time=now,
        last_updated_by=user,
        digest=digest(found.name, now),
        schema=_dump(schema | {"version": "1.0"}),
        profile=_profile(counted),
    )
    return inserted, len(records) - inserted


def _update_record(old: Record, new: NewRecord, by: str | None, now: int) -> Statement:
    """Return the UPDATE: expectations and tags are added to those there, outputs replaced; the first source stays."""
    outputs = new.outputs if new.outputs is not None else old.outputs
    expectations = {**(old.expectations or {}), **(new.expectations or {})} or None
    tags = {**(old.tags or {}), **(new.tags or {})} or None
    columns = {
        "outputs": _dump(outputs),
        "expectations": _dump(expectations),
        "tags": _dump(tags),
        "source": _dump(old.source if old.source is not None else new.source),
        "last_update_time": now,
        "last_updated_by": by if by is not None else old.last_updated_by,
    }
    return (
        f"UPDATE dataset_records SET {assignments(columns, 3)} WHERE dataset_id = $1 AND record_id = $2",  # noqa: S608
        (old.dataset_id, old.record_id, *columns.values()),
    )


_SIZE = " + ".join(f"COALESCE(LENGTH({name}), 0)" for name in _JSON)
_AFTER = """FROM dataset_records WHERE dataset_id = $1
AND (created_time > $2 OR (created_time = $2 AND record_id > $3)) ORDER BY created_time, record_id LIMIT $4"""


def get_records(
    project: str, dataset_id: str, limit: int, after: tuple[int, str] | None
) -> Script[tuple[list[Record], bool]]:
    """Return records in the order they came, after the time and ID given, and whether more may follow.

    They are fewer, but at least one, if they have more than MOST_CHARS together. Raise NotFound for the dataset.
    """
    yield from get_dataset(project, dataset_id)
    time, last = after or (-1, "")
    sizes = yield f"SELECT {_SIZE} AS size {_AFTER}", (dataset_id, time, last, limit)
    totals = accumulate(row["size"] for row in sizes)
    count = max(1, sum(total <= MOST_CHARS for total in totals))
    rows = yield f"SELECT * {_AFTER}", (dataset_id, time, last, min(count, limit))
    return [_record(row) for row in rows], bool(rows) and (len(rows) < len(sizes) or len(rows) == limit)


def delete_records(project: str, dataset_id: str, record_ids: Sequence[str], now: int) -> Script[int]:
    """Delete records; return how many were there. Raise NotFound for the dataset."""
    found = yield from get_dataset(project, dataset_id)
    if not record_ids:
        return 0
    rows = yield (
        f"DELETE FROM dataset_records WHERE dataset_id = $1 AND record_id IN ({numbers(2, len(record_ids))})"  # noqa: S608
        " RETURNING record_id",
        (dataset_id, *record_ids),
    )
    yield (
        f"DELETE FROM dataset_sources WHERE dataset_id = $1 AND record_id IN ({numbers(2, len(record_ids))})",  # noqa: S608
        (dataset_id, *record_ids),
    )
    counted = yield "SELECT COUNT(*) AS n FROM dataset_records WHERE dataset_id = $1", (dataset_id,)
    yield _change(dataset_id, last_update_time=now, digest=digest(found.name, now), profile=_profile(counted))
    return len(rows)


def _profile(counted: Sequence[Row]) -> str | None:
    return _dump({"num_records": counted[0]["n"]}) if counted[0]["n"] else None


def _dataset(row: Row) -> Dataset:
    fields = {name: row[name] for name in _FIELDS}
    fields |= {name: msgspec.json.decode(row[name]) for name in ("tags", "experiment_ids")}
    return Dataset(**fields)


def _record(row: Row) -> Record:
    fields = {name: row[name] for name in _RECORD_FIELDS}
    return Record(**fields, **{name: row[name] and msgspec.json.decode(row[name]) for name in _JSON})


def _dump(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()
