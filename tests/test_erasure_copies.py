"""What others keep of an erased person: conversations, records of datasets, IDs in tags, ratings and tables."""

from __future__ import annotations

import pytest

from gateway.config.current import Current
from gateway.config.schema import Config
from gateway.erasure import EraseRequest, Erasure
from gateway.mlflow.scripts.datasets import create_dataset, delete_dataset, delete_records, upsert_records
from gateway.mlflow.scripts.traces import delete_traces, save_info
from gateway.mlflow.values import ClientTrace, Dataset, NewRecord
from gateway.storage.scripts.feedback import record_feedback
from gateway.storage.sqlite.engine import SQLiteStore
from tests.support.rows import PROJECT, a_rating, a_write, ask
from tests.test_erasure import ANN, chat


async def test_traces_in_no_conversation_have_none_in_common(store: SQLiteStore) -> None:
    """What clients of MLflow send without a session is not one conversation of all of them."""
    for trace_id, user_id in (("tr-" + "a" * 32, "ann"), ("tr-" + "b" * 32, "ben")):
        info = ClientTrace(
            trace_id=trace_id, experiment_id="0", request_time=1, duration_ms=2, state="OK", user_id=user_id,
            request_preview="hello",
        )  # fmt: skip
        await store.write(save_info, PROJECT, info, [], 5)
    assert (await Erasure(store, None, Current(Config())).erase(ANN)).traces == 1
    assert await store.write(ask, "SELECT user_id, request_preview FROM traces ORDER BY trace_id") == [
        (None, None),
        ("ben", "hello"),
    ]


async def test_a_persons_conversation_goes_whole(store: SQLiteStore) -> None:
    """An app's own traces in it without a user are the person's; another user's stay, without its ID."""
    await chat(store, session_id="hers")
    metadata = {"mlflow.trace.session": "hers", "k": "v"}
    for trace_id, user_id in (("tr-" + "a" * 32, None), ("tr-" + "b" * 32, "ben")):
        info = ClientTrace(
            trace_id=trace_id, experiment_id="0", request_time=1, duration_ms=2, state="OK", user_id=user_id,
            session_id="hers", metadata=metadata, request_preview="quotes ann", tags={"who": "x"},
        )  # fmt: skip
        await store.write(save_info, PROJECT, info, [], 5)
    assert (await Erasure(store, None, Current(Config())).erase(ANN)).traces == 2
    rows = await store.write(
        ask,
        "SELECT session_id, user_id, request_preview, tags, metadata FROM traces WHERE route = 'mlflow' ORDER BY 1, 2",
    )
    assert rows == [("", None, None, "{}", "{}"), ("", "ben", None, '{"who":"x"}', '{"k":"v"}')]
    assert await store.write(ask, "SELECT value FROM labels ORDER BY value") == [("v",), ("x",)]


@pytest.mark.parametrize("with_ben", [False, True])
async def test_a_clients_trace_around_her_chats_quotes_her(store: SQLiteStore, with_ben: bool) -> None:
    """It names nobody, and has what she asked; where others' chats were made in it as well, its tags are theirs."""
    parent = "a" * 32
    within = {"traceparent": f"00-{parent}-00f067aa0ba902b7-01"}
    await chat(store, **within)
    if with_ben:
        await chat(store, "ben", **within)
    info = ClientTrace(
        trace_id=f"tr-{parent}", experiment_id="0", request_time=1, duration_ms=2, state="OK",
        request_preview="quotes ann", tags={"t": "v"},
    )  # fmt: skip
    await store.write(save_info, PROJECT, info, [], 5)
    erased = await Erasure(store, None, Current(Config())).erase(ANN)
    rows = await store.write(ask, "SELECT request_preview, tags FROM traces WHERE route = 'mlflow'")
    assert (rows, erased.traces) == (([(None, '{"t":"v"}')], 1) if with_ben else ([(None, "{}")], 2))
    bens = await store.write(ask, "SELECT request FROM traces WHERE user_id = 'ben'")
    assert [request is None for (request,) in bens] == ([False] if with_ben else [])


async def test_chats_within_her_clients_trace_are_hers(store: SQLiteStore) -> None:
    """Those that name nobody; another user's are that user's."""
    parent = "a" * 32
    info = ClientTrace(
        trace_id=f"tr-{parent}", experiment_id="0", request_time=1, duration_ms=2, state="OK", user_id="ann"
    )
    await store.write(save_info, PROJECT, info, [], 5)
    nobodys, bens = [
        await chat(store, user_id, traceparent=f"00-{parent}-00f067aa0ba902b7-01") for user_id in (None, "ben")
    ]
    await Erasure(store, None, Current(Config())).erase(ANN)
    rows = await store.write(ask, "SELECT trace_id FROM traces WHERE request IS NOT NULL")
    assert rows == [(bens,)]
    assert nobodys != bens


@pytest.mark.parametrize(("with_ben", "left"), [(False, [("", None)] * 2), (True, [("", None), ("own", "own words")])])
async def test_a_conversation_that_only_clients_brought(
    store: SQLiteStore, with_ben: bool, left: list[tuple[str, str | None]]
) -> None:
    """It has no owner on record: it is hers as long as its traces name nobody else; else only later ones quote her."""
    for at, user_id in enumerate([None, "ann", *(["ben"] if with_ben else [])]):
        info = ClientTrace(
            trace_id=f"tr-{at:032}", experiment_id="0", request_time=at, duration_ms=2, state="OK", user_id=user_id,
            session_id="own", request_preview="own words",
        )  # fmt: skip
        await store.write(save_info, PROJECT, info, [], 5)
    await Erasure(store, None, Current(Config())).erase(ANN)
    rows = await store.write(
        ask, "SELECT session_id, request_preview FROM traces WHERE user_id IS NULL ORDER BY session_id"
    )
    assert rows == left
    bens = await store.write(ask, "SELECT session_id, request_preview FROM traces WHERE user_id = 'ben'")
    assert bens == ([("own", None)] if with_ben else [])


async def test_a_short_id_is_no_word_of_others(store: SQLiteStore) -> None:
    """Only where a key says that it names a user; a record, a tag or a rating that has the word stays."""
    user = EraseRequest("1")
    await chat(store, "1")
    bens = await chat(store, "ben", tags={"priority": "1", "user_id": "1"})
    await store.write(record_feedback, a_write(bens, a_rating(value="1", metadata={"page": "1"}), source_id="ben"))
    dataset = Dataset(dataset_id="d-1", project=PROJECT, name="d", digest="", created_time=1, last_update_time=1)
    await store.write(create_dataset, dataset)
    records = [("dr-1", NewRecord(inputs={"n": "1"})), ("dr-2", NewRecord(inputs={"user_id": "1"}))]
    await store.write(upsert_records, PROJECT, "d-1", records, 5)
    await Erasure(store, None, Current(Config())).erase(user)
    assert await store.write(ask, "SELECT record_id FROM dataset_records") == [("dr-1",)]
    assert await store.write(ask, "SELECT tags FROM traces WHERE trace_id = $1", bens) == [('{"priority":"1"}',)]
    assert await store.write(ask, "SELECT value, metadata FROM assessments") == [('"1"', '{"page":"1"}')]


async def test_what_others_say_of_a_person_by_an_id_goes(store: SQLiteStore) -> None:
    """An ID that looks like one is looked for everywhere: in tags, ratings' metadata and values, records."""
    mail = "ann@example.com"
    bens = await chat(store, "ben", tags={"customer": mail, "k": "v"})
    for name, value, metadata in (("user_feedback", True, {"about": mail}), ("about", mail, {})):
        rated = a_rating(name=name, value=value, metadata=metadata, rationale="knows her")
        await store.write(record_feedback, a_write(bens, rated, source_id="ben"))
    await Erasure(store, None, Current(Config())).erase(EraseRequest(mail))
    assert await store.write(ask, "SELECT tags FROM traces WHERE trace_id = $1", bens) == [('{"k":"v"}',)]
    found = await store.write(ask, "SELECT source_id, value, metadata, rationale FROM assessments ORDER BY rowid")
    assert found == [("ben", "true", "{}", None), ("ben", '"erased"', "{}", None)]


async def test_a_conversation_of_another_project_has_the_same_id(store: SQLiteStore) -> None:
    """It is somebody else's, also where a person is erased in all projects."""
    await chat(store, session_id="1")
    info = ClientTrace(
        trace_id="tr-" + "b" * 32, experiment_id="0", request_time=1, duration_ms=2, state="OK", user_id="ben",
        session_id="1", metadata={"mlflow.trace.session": "1"},
    )  # fmt: skip
    await store.write(save_info, "other", info, [], 5)
    await Erasure(store, None, Current(Config())).erase(ANN)
    rows = await store.write(ask, "SELECT session_id, metadata FROM traces WHERE project = 'other'")
    assert rows == [("1", '{"mlflow.trace.session":"1"}')]
    assert await store.write(ask, "SELECT value FROM labels") == [("1",)]


async def test_other_projects_keep_theirs(store: SQLiteStore) -> None:
    """Of the same ID: records, tags and authors as well."""
    mail = "ann@example.com"
    for project in (PROJECT, "other"):
        await chat(store, mail, project=project, session_id="s")
        await chat(store, "ben", project=project, session_id="t", tags={"customer": mail})
        dataset = Dataset(
            dataset_id=f"d-{project}", project=project, name="d", digest="", created_time=1, last_update_time=1,
            created_by=mail,
        )  # fmt: skip
        await store.write(create_dataset, dataset)
        records = [(f"dr-{project}", NewRecord(inputs={"mail": mail}))]
        await store.write(upsert_records, project, dataset.dataset_id, records, 5)
    await Erasure(store, None, Current(Config())).erase(EraseRequest(mail, PROJECT))
    assert await store.write(ask, "SELECT record_id FROM dataset_records") == [("dr-other",)]
    assert await store.write(ask, "SELECT created_by FROM datasets ORDER BY project") == [(None,), (mail,)]
    assert await store.write(ask, "SELECT project FROM labels") == [("other",)]
    assert await store.write(ask, "SELECT project FROM sessions WHERE session_id = 's'") == [("other",)]


async def test_records_of_deleted_traces_are_still_hers(store: SQLiteStore) -> None:
    """Retention and MLflow's clients delete traces; what was taken from them stays, and can be erased."""
    dataset = Dataset(dataset_id="d-1", project=PROJECT, name="d", digest="", created_time=1, last_update_time=1)
    await store.write(create_dataset, dataset)
    hers, unnamed = await chat(store, session_id="hers"), "tr-" + "a" * 32
    info = ClientTrace(
        trace_id=unnamed, experiment_id="0", request_time=1, duration_ms=2, state="OK", session_id="hers"
    )  # fmt: skip
    await store.write(save_info, PROJECT, info, [], 5)
    bens = await chat(store, "ben", session_id="bens")
    traces = [hers, unnamed, bens]
    sources = [{"source_type": "TRACE", "source_data": {"trace_id": trace_id}} for trace_id in traces]
    records = [(f"dr-{at}", NewRecord(inputs={"n": at}, source=source)) for at, source in enumerate(sources)]
    await store.write(upsert_records, PROJECT, "d-1", records, 5)
    await store.write(record_feedback, a_write(hers, a_rating(rationale="why"), idempotency_key="k"))
    assert await store.write(delete_traces, PROJECT, "0", traces, None, 10) == (3, False)
    for table in ("traces", "sessions", "idempotency", "assessments"):
        assert await store.write(ask, f"SELECT COUNT(*) FROM {table}") == [(0,)]  # noqa: S608  our own names
    await Erasure(store, None, Current(Config())).erase(ANN)
    assert await store.write(ask, "SELECT record_id FROM dataset_records") == [("dr-2",)]


async def test_a_deleted_record_leaves_no_source(store: SQLiteStore) -> None:
    """Nor does a deleted dataset."""
    for name in ("d-1", "d-2"):
        dataset = Dataset(dataset_id=name, project=PROJECT, name=name, digest="", created_time=1, last_update_time=1)
        await store.write(create_dataset, dataset)
        source = {"source_type": "TRACE", "source_data": {"trace_id": "tr-" + "a" * 32}}
        records = [(f"{name}-{at}", NewRecord(inputs={"n": at}, source=source)) for at in range(2)]
        await store.write(upsert_records, PROJECT, name, records, 5)
    await store.write(delete_records, PROJECT, "d-1", ["d-1-0"], 6)
    await store.write(delete_dataset, PROJECT, "d-2")
    assert await store.write(ask, "SELECT record_id FROM dataset_sources") == [("d-1-1",)]
