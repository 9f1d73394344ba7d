"""How much of each thing MLflow's clients may keep here; one more is refused and changes nothing."""

from __future__ import annotations

import json

import msgspec
import pytest

from gateway.errors import InvalidValue, NotFound
from gateway.mlflow.scripts import assessments as mlflow_assessments
from gateway.mlflow.scripts import datasets as mlflow_datasets
from gateway.mlflow.scripts import experiments as mlflow_experiments
from gateway.mlflow.scripts import runs as mlflow_runs
from gateway.mlflow.scripts import traces as mlflow_traces
from gateway.mlflow.scripts.spans import save_spans
from gateway.mlflow.scripts.traces import get_spans_of
from gateway.mlflow.values import ClientSpans, ClientTrace, Dataset, NewRecord, Run, RunValue
from gateway.mlflow.wire import otlp
from gateway.storage.scripts.traces import begin_trace
from gateway.storage.sqlite.engine import SQLiteStore
from tests.support.rows import PROJECT, a_rating, a_start


async def test_assessments_of_a_trace(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many, then none."""
    monkeypatch.setattr(mlflow_assessments, "MAX_PER_TRACE", 1)
    await store.write(begin_trace, start := a_start())
    await store.write(mlflow_assessments.create_assessment, a_rating(trace_id=start.trace_id))
    with pytest.raises(InvalidValue, match="at most 1"):
        await store.write(mlflow_assessments.create_assessment, a_rating(trace_id=start.trace_id))


async def test_records_of_a_dataset(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of a batch, or none of it."""
    monkeypatch.setattr(mlflow_datasets, "MAX_RECORDS", 1)
    new = Dataset(dataset_id="d-1", project=PROJECT, name="d", digest="", created_time=1, last_update_time=1)
    await store.write(mlflow_datasets.create_dataset, new)
    records = [(f"dr-{n}", NewRecord(inputs={"n": n})) for n in range(2)]
    with pytest.raises(InvalidValue, match="at most 1"):
        await store.write(mlflow_datasets.upsert_records, PROJECT, "d-1", records, 5)
    assert await store.read(mlflow_datasets.get_records, PROJECT, "d-1", 10, None) == ([], False)
    with pytest.raises(InvalidValue, match="at most 1"):
        await store.search(PROJECT, mlflow_datasets.check_room, PROJECT, "d-1", records)
    await store.write(mlflow_datasets.upsert_records, PROJECT, "d-1", records[:1], 5)
    again = [("dr-5", NewRecord(inputs={"n": 0}))] * 2
    await store.search(PROJECT, mlflow_datasets.check_room, PROJECT, "d-1", again)  # it changes the one that is there


async def test_the_schema_of_a_dataset(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """It learns so many fields, and no long names: each batch writes all of it again."""
    monkeypatch.setattr("gateway.mlflow.scripts.dataset_schema._MAX_FIELDS", 2)
    new = Dataset(dataset_id="d-1", project=PROJECT, name="d", digest="", created_time=1, last_update_time=1)
    await store.write(mlflow_datasets.create_dataset, new)
    records = [("dr-1", NewRecord(inputs={"a" * 300: 1, "b": 1, "c": 1})), ("dr-2", NewRecord(inputs={"d": 1, "e": 1}))]
    await store.write(mlflow_datasets.upsert_records, PROJECT, "d-1", records, 5)
    schema = (await store.read(mlflow_datasets.get_dataset, PROJECT, "d-1")).schema
    assert json.loads(schema or "")["inputs"] == {"b": "integer", "d": "integer"}


async def test_a_dataset_is_emptied_before_it_is_deleted(store: SQLiteStore) -> None:
    """A few records at a time, and only by its own project."""
    new = Dataset(dataset_id="d-1", project=PROJECT, name="d", digest="", created_time=1, last_update_time=1)
    await store.write(mlflow_datasets.create_dataset, new)
    records = [(f"dr-{n}", NewRecord(inputs={"n": n})) for n in range(3)]
    await store.write(mlflow_datasets.upsert_records, PROJECT, "d-1", records, 5)
    counts = [await store.write(mlflow_datasets.empty_dataset, each, "d-1", 2) for each in ("x", PROJECT, PROJECT)]
    assert counts == [0, 2, 1]


async def test_tags_of_a_dataset(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many, and so many characters together."""
    new = Dataset(dataset_id="d-1", project=PROJECT, name="d", digest="", created_time=1, last_update_time=1)
    await store.write(mlflow_datasets.create_dataset, new)
    monkeypatch.setattr(mlflow_datasets, "MAX_TAGS", 2)
    monkeypatch.setattr(mlflow_datasets, "MAX_TAG_CHARS", 5)
    await store.write(mlflow_datasets.set_tags, PROJECT, "d-1", {"a": "12345"})
    more: tuple[dict[str, str | None], ...] = ({"b": "1"}, {"a": "", "b": "", "c": ""})
    for tags in more:
        with pytest.raises(InvalidValue, match="at most 2 tags"):
            await store.write(mlflow_datasets.set_tags, PROJECT, "d-1", tags)


async def test_a_large_trace_is_deleted_in_parts(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """First its spans, so many at once, and then the rest; the next trace has what room is left."""
    monkeypatch.setattr(mlflow_traces, "MAX_DELETED", 12)
    ids = []
    for number, count in (("aa", 13), ("bb", 1), ("cc", 1)):
        spans = [{"traceId": number * 16, "spanId": f"{n:016x}", "name": "n"} for n in range(count)]
        body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})
        ((trace_id, found),) = otlp.decode(body.encode(), is_json=True).items()
        await store.write(save_spans, PROJECT, [(otlp.trace_of(trace_id, "0", found), found)], 5)
        ids.append(trace_id)
    deleted = [await store.write(mlflow_traces.delete_traces, PROJECT, "0", ids, None, 10) for _ in range(3)]
    assert deleted == [(0, True), (1, True), (2, False)]
    assert await store.read(mlflow_traces.get_infos, PROJECT, ids) == []


async def test_metadata_of_a_trace(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is added has the same bound as what was there."""
    monkeypatch.setattr(mlflow_traces, "MAX_CHARS", 10)
    trace = ClientTrace(trace_id="tr-" + "a" * 32, experiment_id="0", request_time=1, duration_ms=1, state="OK")
    for key in ("a", "b"):
        more = msgspec.structs.replace(trace, metadata={key: "12345"})
        await store.write(mlflow_traces.save_info, PROJECT, more, [], 5)
    with pytest.raises(InvalidValue, match="10 characters"):
        await store.write(mlflow_traces.save_info, PROJECT, msgspec.structs.replace(trace, metadata={"c": "1"}), [], 5)


async def test_tags_of_a_trace(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is there may still change."""
    monkeypatch.setattr(mlflow_traces, "MAX_TAGS", 1)
    await store.write(begin_trace, start := a_start(tags={}))
    for value in ("1", "2"):
        await store.write(mlflow_traces.set_tag, PROJECT, start.trace_id, "a", value)
    with pytest.raises(InvalidValue, match="at most 1"):
        await store.write(mlflow_traces.set_tag, PROJECT, start.trace_id, "b", "1")
    (stored,) = await store.read(mlflow_traces.get_infos, PROJECT, [start.trace_id])
    assert stored.trace.tags == {"a": "2"}
    assert await store.read(mlflow_traces.get_spans_of, PROJECT, ["tr-none"]) == {}


async def test_values_of_a_run(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tag that isn't there can't be deleted; linking nothing is nothing."""
    monkeypatch.setattr(mlflow_runs, "MAX_VALUES", 1)
    run = Run(run_id="r", project=PROJECT, experiment_id="0", name="n", user_id="u", start_time=1)
    await store.write(mlflow_runs.create_run, run, [])
    values = [RunValue(kind="tag", key=f"k{n}", value="v") for n in range(3)]
    with pytest.raises(InvalidValue, match="at most 1"):
        await store.write(mlflow_runs.log_values, PROJECT, "r", values)
    with pytest.raises(NotFound, match="k0"):
        await store.write(mlflow_runs.delete_tag, PROJECT, "r", "k0")
    await store.write(mlflow_runs.link_traces, PROJECT, "r", [])
    assert (await store.read(mlflow_runs.get_run, PROJECT, "r")).values == ()


async def test_tags_of_the_first_experiment(store: SQLiteStore) -> None:
    """Nobody made it; it is there from the first tag on, and keeps the next."""
    for key in ("a", "b"):
        await store.write(mlflow_experiments.set_experiment_tag, PROJECT, "0", key, "x", 5)
    assert (await store.read(mlflow_experiments.get_experiment, PROJECT, "0")).tags == {"a": "x", "b": "x"}


async def test_a_root_comes_before_what_it_calls(store: SQLiteStore) -> None:
    """Also where both begin within one millisecond, and the root's ID is the higher one."""
    span = '{"traceId":"%s","spanId":"%s","parentSpanId":"%s","name":"%s","startTimeUnixNano":"5"}'
    root, child = "f" * 16, "1" * 16
    spans = [span % ("ab" * 16, child, root, "look_up"), span % ("ab" * 16, root, "", "answer")]
    body = f'{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{",".join(spans)}]}}]}}]}}'
    ((trace_id, found),) = otlp.decode(body.encode(), is_json=True).items()
    await store.write(save_spans, PROJECT, [(otlp.trace_of(trace_id, "0", found), found)], 5)
    stored = (await store.read(get_spans_of, PROJECT, [trace_id]))[trace_id]
    assert isinstance(stored, ClientSpans)
    assert [json.loads(each)["name"] for each in stored.otlp] == ["answer", "look_up"]


async def test_a_page_of_records_is_bounded_by_its_bytes(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has fewer then, one at least, and says that more follow; put together, the pages have each record once."""
    new = Dataset(dataset_id="d-pages", project=PROJECT, name="d", digest="", created_time=1, last_update_time=1)
    await store.write(mlflow_datasets.create_dataset, new)
    records = [(f"dr-{number}", NewRecord(inputs={"q": "x" * 100 + str(number)})) for number in range(5)]
    await store.write(mlflow_datasets.upsert_records, PROJECT, "d-pages", records, 5)
    monkeypatch.setattr(mlflow_datasets, "MOST_CHARS", 250)
    seen: list[str] = []
    after: tuple[int, str] | None = None
    for wanted in (2, 2, 1):
        page, more = await store.read(mlflow_datasets.get_records, PROJECT, "d-pages", 10, after)
        assert (len(page), more) == (wanted, wanted == 2)
        seen += [record.record_id for record in page]
        after = page[-1].created_time, page[-1].record_id
    assert seen == [record_id for record_id, _ in records]
    monkeypatch.setattr(mlflow_datasets, "MOST_CHARS", 1)
    page, more = await store.read(mlflow_datasets.get_records, PROJECT, "d-pages", 10, None)
    assert (len(page), more) == (1, True)
