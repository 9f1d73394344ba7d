"""A person who is erased is gone from what MLflow's clients brought, too."""

from __future__ import annotations

from pathlib import Path

from gateway.config.current import Current
from gateway.config.schema import Config
from gateway.erasure import EraseRequest, Erasure
from gateway.mlflow.names import INFO_FINALIZED
from gateway.mlflow.scripts.assessments import create_assessment
from gateway.mlflow.scripts.datasets import create_dataset, upsert_records
from gateway.mlflow.scripts.spans import save_spans
from gateway.mlflow.scripts.traces import get_infos, get_spans_of, save_artifact, save_info
from gateway.mlflow.values import ClientSpans, ClientTrace, Dataset, NewRecord
from gateway.mlflow.wire import otlp
from gateway.storage.sqlite.engine import SQLiteStore
from tests.support.rows import PROJECT, a_rating, ask

ID = "tr-" + "ab" * 16


async def test_nothing_of_ann_is_left(tmp_path: Path) -> None:
    """Tags, metadata, spans, files, copies in datasets, values of judges; the trace stays as a row of numbers."""
    store = await SQLiteStore.open(tmp_path / "g.db", own=True)
    try:
        trace = ClientTrace(
            trace_id=ID,
            experiment_id="0",
            request_time=1,
            duration_ms=2,
            state="OK",
            user_id="annika",
            name="annika's",
            tags={"who": "annika"},
            metadata={"mlflow.trace.user": "annika", INFO_FINALIZED: "true"},
        )
        await store.write(save_info, PROJECT, trace, [], 5)
        body = (
            b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"%b","spanId":"0000000000000001",'
            b'"name":"annika","attributes":[{"key":"q","value":{"stringValue":"annika"}}]}]}]}]}' % ID[3:].encode()
        )
        ((trace_id, spans),) = otlp.decode(body, is_json=True).items()
        await store.write(save_spans, PROJECT, [(otlp.trace_of(trace_id, "0", spans), spans)], 5)
        await store.write(save_artifact, PROJECT, ID, "annika")
        rating = a_rating(trace_id=ID, value={"annika": 1}, source_id="judge", error={"error_code": "annika"})
        await store.write(create_assessment, rating)
        dataset = Dataset(dataset_id="d-1", project=PROJECT, name="d", digest="", created_time=1, last_update_time=1)
        await store.write(create_dataset, dataset)
        source = {"source_type": "TRACE", "source_data": {"trace_id": ID}}
        copied = NewRecord(inputs={"q": "annika"}, source=source)
        await store.write(upsert_records, PROJECT, "d-1", [("dr-1", copied)], 5)
        assert await store.read(get_spans_of, PROJECT, [ID]) != {ID: ClientSpans(())}

        assert (await Erasure(store, None, Current(Config())).erase(EraseRequest("annika"))).traces == 1

        assert await store.read(get_spans_of, PROJECT, [ID]) == {ID: ClientSpans(())}
        (stored,) = await store.read(get_infos, PROJECT, [ID])
        assert (stored.trace.duration_ms, stored.name) == (2, None)
        for table in ("labels", "trace_artifacts", "dataset_records", "spans"):
            assert await store.read(ask, f"SELECT * FROM {table}") == []  # noqa: S608  our own names
        assert "annika" not in str(await store.read(ask, "SELECT * FROM traces"))
        assert "annika" not in str(await store.read(ask, "SELECT * FROM assessments"))
    finally:
        await store.close()
