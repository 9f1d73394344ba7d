"""Datasets on MLflow's wire: bodies, checks, and what is written. Called by handlers/datasets.py."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import msgspec

from gateway.mlflow.values import Dataset, NewRecord, Record, source_trace
from gateway.mlflow.wire.body import decode, decode_text, dumps, without_none
from gateway.mlflow.wire.checks import MAX_KEY, check_count, check_length, check_tag, invalid

MAX_PAGE = 1_000
_MAX_BATCH, _MAX_TAGS, _MAX_EXPERIMENTS = 10_000, 100, 1_000
_MAX_RECORD = 1_000_000  # characters of JSON
_SOURCES = ("TRACE", "HUMAN", "DOCUMENT", "CODE", "UNSPECIFIED")


class CreateDataset(msgspec.Struct):
    """Body that creates a dataset; `tags` is JSON."""

    name: str
    experiment_ids: list[str] = []
    tags: str = "{}"
    created_by: str | None = None


class SearchDatasets(msgspec.Struct):
    """Body that searches datasets."""

    experiment_ids: list[str] = []
    filter_string: str = ""
    max_results: int = 1_000
    order_by: list[str] = []
    page_token: str | None = None


class SetDatasetTags(msgspec.Struct):
    """Body that sets tags, and deletes those that are null; `tags` is JSON."""

    tags: str


class DatasetExperiments(msgspec.Struct):
    """Body that puts a dataset into experiments, or takes it out of them."""

    experiment_ids: list[str]


class UpsertRecords(msgspec.Struct):
    """Body that adds or changes records; `records` is JSON."""

    records: str


class DeleteRecords(msgspec.Struct):
    """Body that deletes records."""

    dataset_record_ids: list[str] = []


def read_name(name: str) -> str:
    """Return a dataset's name. Raise InvalidValue for an empty or long one."""
    check_length("A dataset's name", name, MAX_KEY, 1)
    return name


def read_tags(text: str) -> dict[str, str | None]:
    """Return tags from JSON. Raise InvalidValue for too many or too long ones."""
    tags = decode_text(text or "{}", dict[str, str | None], "tags")
    check_count("tags", tags, _MAX_TAGS)
    for key, value in tags.items():
        check_tag(key, value or "")
    return tags


def read_experiments(ids: list[str]) -> list[str]:
    """Return the experiments that are named, each once. Raise InvalidValue for too many."""
    check_count("experiments at once", ids, _MAX_EXPERIMENTS)
    return list(dict.fromkeys(ids))


def read_records(body: bytes, pace: Callable[[], None]) -> list[NewRecord]:
    """Return the records of a body; `pace` is called before each.

    Raise BadRequest, and InvalidValue for too many or long ones, or a bad source.
    """
    given = decode_text(decode(body, UpsertRecords).records, list[msgspec.Raw], "records")
    check_count("records at once", given, _MAX_BATCH)
    records = []
    for raw in given:
        pace()
        check_length("A record", raw, _MAX_RECORD)
        record = decode_text(bytes(raw).decode(), NewRecord, "records")
        if record.source and record.source.get("source_type") not in _SOURCES:
            invalid(f"Invalid source type. Valid source types: {', '.join(_SOURCES)}")
        records.append(record)
    return records


def read_record_ids(body: DeleteRecords) -> list[str]:
    """Return the IDs of the records to delete. Raise InvalidValue for too many."""
    check_count("records at once", body.dataset_record_ids, _MAX_BATCH)
    return body.dataset_record_ids


def read_limit(text: str) -> int:
    """Return how many records a page has at most. Raise InvalidValue for what is no number."""
    if not text.isdecimal() or len(text) > 9:
        invalid("max_results must be a whole number.")
    return min(int(text), MAX_PAGE)


def read_cursor(token: str) -> tuple[int, str] | None:
    """Return time and ID of the last record seen, from a page token. Raise InvalidValue."""
    if not token:
        return None
    try:
        time, _, record_id = base64.b64decode(token, validate=True).decode().partition(":")
        return int(time), record_id
    except ValueError:
        invalid("Invalid page token.")


def write_records(records: list[Record], *, more: bool) -> dict[str, Any]:
    """Return the JSON of a page of records, which are JSON in a string; where `more` follow it has a token for them."""
    token = None
    if more:
        token = base64.b64encode(f"{records[-1].created_time}:{records[-1].record_id}".encode()).decode()
    return without_none([("records", dumps([_write_record(each) for each in records])), ("next_page_token", token)])


def write_dataset(dataset: Dataset) -> dict[str, Any]:
    """Return the JSON of a dataset."""
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
            ("source_id", source_trace(record.source)),
            ("source_type", source.get("source_type")),
            ("created_time", record.created_time),
            ("last_update_time", record.last_update_time),
            ("created_by", record.created_by),
            ("last_updated_by", record.last_updated_by),
        ]
    )
    return fields | {"outputs": {} if record.outputs is None else record.outputs}
