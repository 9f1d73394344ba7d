"""Traces that clients make themselves: in any order, again and again, and never into somebody else's."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.http_client import Reply, call
from tests.support.mlflow_client import V2, V3, Tracking, trace_info

BEGIN = 1_770_000_000_000_000_000  # ns


def span(trace_id: str, number: int = 1, parent: int | None = None, **over: Any) -> dict[str, Any]:
    """One span in OTLP's JSON."""
    fields: dict[str, Any] = {
        "traceId": trace_id.removeprefix("tr-"),
        "spanId": f"{number:016x}",
        "name": f"step {number}",
        "startTimeUnixNano": str(BEGIN),
        "endTimeUnixNano": str(BEGIN + 2_000_000_000),
        "status": {"code": 1},
    }
    return fields | ({} if parent is None else {"parentSpanId": f"{parent:016x}"}) | over


def texts(**values: str) -> list[dict[str, Any]]:
    return [{"key": key.replace("__", "."), "value": {"stringValue": value}} for key, value in values.items()]


def export(tracking: Tracking, *spans: dict[str, Any], key: str = "review", **headers: str) -> Reply:
    body = {"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]}
    sent = {"x-mlflow-experiment-id": "0", **headers}
    return call(tracking.gateway, "POST", "/v1/traces", body, sent, key=tracking.keys[key])


def whole(tracking: Tracking, trace_id: str) -> Any:
    return tracking.ok("GET", f"{V3}/traces/get?trace_id={trace_id}")["trace"]


@pytest.mark.parametrize("info_first", [True, False])
def test_info_and_spans_in_any_order(tracking: Tracking, info_first: bool) -> None:
    """Sent twice, they make one trace with the client's info and each span once."""
    info = trace_info(tags={"mlflow.traceName": "said", "a": "b"}, trace_metadata={"mlflow.trace.session": "s-9"})
    trace_id = info["trace_id"]
    steps: list[Callable[[], object]] = [
        lambda: tracking.trace(**info),
        lambda: export(tracking, span(trace_id), span(trace_id, 2, 1, name="inner")),
    ]
    for take in (steps if info_first else steps[::-1]) * 2:
        take()
    found = whole(tracking, trace_id)
    assert [each["name"] for each in found["spans"]] == ["step 1", "inner"]
    told = found["trace_info"]
    assert told["tags"]["mlflow.traceName"] == "said"
    assert told["tags"]["a"] == "b"
    assert told["tags"]["mlflow.trace.spansLocation"] == "TRACKING_STORE"
    assert told["execution_duration"] == "1.500s"
    assert told["request_time"] == "2026-01-31T10:00:00.250Z"
    assert told["trace_metadata"]["mlflow.trace.session"] == "s-9"
    assert tracking.search("tags.a = 'b' AND metadata.mlflow.trace.session = 's-9'").count(trace_id) == 1


def test_spans_alone_tell_of_the_trace(tracking: Tracking) -> None:
    """Spans give name, times, state, session, user, tokens and tags; a later batch adds to them."""
    trace_id = str(trace_info()["trace_id"])
    usage = '{"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}'
    child = span(trace_id, 2, 1, attributes=texts(mlflow__chat__tokenUsage=usage, session__id="s-otel", user__id="eve"))
    assert export(tracking, child).status == 200
    assert tracking.info(trace_id)["state"] == "IN_PROGRESS"
    later = str(BEGIN + 3_000_000_000)
    attributes = texts(mlflow__spanInputs='{"q": 1}', mlflow__spanOutputs="out", mlflow__traceTag__color="red")
    root = span(trace_id, 1, attributes=attributes, endTimeUnixNano=later, status={"code": 2, "message": "no"})
    other = span(trace_id, 3, 1, attributes=texts(mlflow__chat__tokenUsage='{"total_tokens": 5}'))
    assert export(tracking, root, other).status == 200
    info = tracking.info(trace_id)
    assert (info["state"], info["execution_duration"]) == ("ERROR", "3s")
    assert (info["request_preview"], info["response_preview"]) == ('{"q":1}', '"out"')
    assert info["tags"]["color"] == "red"
    assert info["tags"]["mlflow.traceName"] == "step 1"
    metadata = info["trace_metadata"]
    assert (metadata["mlflow.trace.session"], metadata["mlflow.trace.user"]) == ("s-otel", "eve")
    assert json.loads(metadata["mlflow.trace.tokenUsage"])["total_tokens"] == 12


def test_a_run_is_named_by_a_header(tracking: Tracking) -> None:
    """Spans that were made within a run are found by the run."""
    run = tracking.ok("POST", f"{V2}/runs/create", {})["run"]["info"]["run_id"]
    trace_id = str(trace_info()["trace_id"])
    assert export(tracking, span(trace_id), **{"x-mlflow-run-id": run}).status == 200
    assert tracking.search(f"run_id = '{run}'") == [trace_id]


def test_what_is_not_kept_is_not_found(tracking: Tracking) -> None:
    """Issues and linked prompts can be searched for."""
    tracking.trace()
    assert tracking.search("tags.`mlflow.linkedPrompts` = 'x'") == []


def test_other_conventions_are_understood(tracking: Tracking) -> None:
    """A span by OpenInference has type, inputs, outputs and tokens as MLflow's clients look for them, each once."""
    trace_id = str(trace_info()["trace_id"])
    said = texts(
        openinference__span__kind="LLM", input__value="ask", output__value='{"a": 1}', mlflow__spanType="UNKNOWN"
    )
    said.append({"key": "llm.token_count.total", "value": {"intValue": "7"}})
    assert export(tracking, span(trace_id, attributes=said)).status == 200
    found = whole(tracking, trace_id)
    kinds = [pair["value"] for pair in found["spans"][0]["attributes"] if pair["key"] == "mlflow.spanType"]
    assert kinds == [{"string_value": "LLM"}]
    info = found["trace_info"]
    assert (info["request_preview"], info["response_preview"]) == ('"ask"', '{"a":1}')
    assert json.loads(info["trace_metadata"]["mlflow.trace.tokenUsage"]) == {"total_tokens": 7}
    assert tracking.search("span.type = 'LLM'").count(trace_id) == 1


def test_what_spans_say_is_found(tracking: Tracking) -> None:
    """A search for text finds names, attributes and values, but not the words that protobuf puts around them."""
    trace_id = str(trace_info()["trace_id"])
    said = texts(fruit="a long way down " * 100 + "to the pear")
    assert export(tracking, span(trace_id, name="peel", attributes=said)).status == 200
    for text in ("peel", "fruit", "to the pear"):
        assert tracking.search(f"trace.text LIKE '%{text}%' AND request_id = '{trace_id}'") == [trace_id], text
    for text in ("value", "string_value", "key"):
        assert tracking.search(f"trace.text LIKE '%{text}%' AND request_id = '{trace_id}'") == [], text


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "identity"])
def test_protobuf(tracking: Tracking, encoding: str) -> None:
    """Protobuf is read as exporters send it, compressed or not."""
    info = trace_info()
    request = ExportTraceServiceRequest()
    made = request.resource_spans.add().scope_spans.add().spans.add()
    made.trace_id, made.span_id, made.name = bytes.fromhex(info["trace_id"][3:]), b"\1" * 8, "binary"
    made.start_time_unix_nano, made.end_time_unix_nano = BEGIN, BEGIN + 5_000_000
    pair = made.attributes.add()
    pair.key = "list"
    pair.value.array_value.values.add().int_value = 5
    packs: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress, "identity": bytes}
    headers = {
        "Content-Type": "application/x-protobuf",
        "x-mlflow-experiment-id": "0",
        "Content-Encoding": encoding,
        "Authorization": f"Bearer {tracking.keys['review']}",
    }
    reply = call(tracking.gateway, "POST", "/v1/traces", packs[encoding](request.SerializeToString()), headers)
    assert (reply.status, reply.headers["content-type"]) == (200, "application/x-protobuf")
    (found,) = whole(tracking, info["trace_id"])["spans"]
    assert found["attributes"] == [{"key": "list", "value": {"array_value": {"values": [{"int_value": "5"}]}}}]


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{}", {}, 400),
        (b"[]", {}, 400),
        (b"{", {}, 400),
        (b'{"resourceSpans": 5}', {}, 400),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "zz"}]}]}]}', {}, 400),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "aa", "spanId": "bb"}]}]}]}', {}, 422),
        (b"\xff\xff", {"Content-Type": "application/x-protobuf"}, 400),
        (b"x", {"Content-Encoding": "gzip"}, 400),
        (b"x", {"Content-Encoding": "br"}, 415),
        (gzip.compress(b"0" * 30_000_000), {"Content-Encoding": "gzip"}, 413),
        (b"x", {"Content-Type": "text/plain"}, 415),
        (b"{}", {"x-mlflow-experiment-id": ""}, 400),
    ],
)
def test_what_is_no_export(tracking: Tracking, body: bytes, headers: dict[str, str], status: int) -> None:
    """Bad bodies are refused in OTLP's shape, and a bomb is not unpacked."""
    sent = {"Content-Type": "application/json", "x-mlflow-experiment-id": "0"} | headers
    reply = call(tracking.gateway, "POST", "/v1/traces", body, sent, key=tracking.keys["review"])
    assert reply.status == status
    assert set(reply.json) == {"detail"}


def test_the_experiment_must_be_named(tracking: Tracking) -> None:
    """The experiment's header is required, as in MLflow, and must name one that is there."""
    reply = call(tracking.gateway, "POST", "/v1/traces", {}, key=tracking.keys["review"])
    assert (reply.status, reply.json["detail"][0]["loc"]) == (422, ["header", "x-mlflow-experiment-id"])
    info = trace_info()
    assert export(tracking, span(info["trace_id"]), **{"x-mlflow-experiment-id": "4711"}).status == 404
    assert tracking.refused("GET", f"{V3}/traces/{info['trace_id']}") == (404, "RESOURCE_DOES_NOT_EXIST")


def test_nobody_writes_into_anothers_trace(tracking: Tracking) -> None:
    """Spans for another project's trace or for a chat are refused, and nothing of the request is stored."""
    theirs, chat, fresh = tracking.trace("other"), tracking.chat(), trace_info()["trace_id"]
    for taken in (theirs, chat):
        assert export(tracking, span(fresh), span(taken)).status == 422
        body = {"trace": {"trace_info": trace_info(trace_id=taken)}}
        assert tracking.refused("POST", f"{V3}/traces", body) == (400, "INVALID_PARAMETER_VALUE")
    assert tracking.reply("GET", f"{V3}/traces/{fresh}").status == 404
    assert tracking.info(theirs, "other")["tags"]["mlflow.traceName"] == "mine"
    assert len(whole(tracking, chat)["spans"]) == 2


def test_a_project_is_alone(tracking: Tracking) -> None:
    """Another project's traces, assessments, tags, experiments, runs and datasets are not found."""
    trace_id = tracking.trace()
    rating = {"assessment": {"assessment_name": "x", "source": {"source_type": "CODE"}, "feedback": {"value": 1}}}
    rated = tracking.ok("POST", f"{V3}/traces/{trace_id}/assessments", rating)["assessment"]["assessment_id"]
    experiment = tracking.ok("POST", f"{V2}/experiments/create", {"name": "secret"})["experiment_id"]
    run = tracking.ok("POST", f"{V2}/runs/create", {"experiment_id": experiment})["run"]["info"]["run_id"]
    dataset = tracking.ok("POST", f"{V3}/datasets/create", {"name": "secret"})["dataset"]["dataset_id"]
    assert trace_id not in tracking.search(key="other")
    for method, path, body in (
        ("GET", f"{V3}/traces/{trace_id}", None),
        ("GET", f"{V3}/traces/get?trace_id={trace_id}", None),
        ("GET", f"{V3}/traces/{trace_id}/assessments/{rated}", None),
        ("POST", f"{V3}/traces/{trace_id}/assessments", rating),
        ("PATCH", f"{V3}/traces/{trace_id}/assessments/{rated}", rating | {"update_mask": "feedback"}),
        ("DELETE", f"{V3}/traces/{trace_id}/assessments/{rated}", {}),
        ("PATCH", f"{V2}/traces/{trace_id}/tags", {"key": "a", "value": "b"}),
        ("GET", f"{V2}/experiments/get?experiment_id={experiment}", None),
        ("GET", f"{V2}/experiments/get-by-name?experiment_name=secret", None),
        ("GET", f"{V2}/runs/get?run_id={run}", None),
        ("POST", f"{V2}/runs/set-tag", {"run_id": run, "key": "a", "value": "b"}),
        ("POST", f"{V2}/traces/link-to-run", {"run_id": run, "trace_ids": []}),
        ("GET", f"{V3}/datasets/{dataset}", None),
        ("POST", f"{V3}/datasets/{dataset}/records", {"records": "[]"}),
        ("GET", f"{V3}/datasets/{dataset}/records", None),
    ):
        assert tracking.refused(method, path, body, "other") == (404, "RESOURCE_DOES_NOT_EXIST"), path
    assert tracking.ok("GET", f"{V3}/traces/batchGet?trace_ids={trace_id}", key="other") == {"traces": []}
    deletion = {"experiment_id": "0", "request_ids": [trace_id]}
    assert tracking.ok("POST", f"{V2}/traces/delete-traces", deletion, "other") == {"traces_deleted": 0}
    assert tracking.ok("DELETE", f"{V3}/datasets/{dataset}", {}, "other") == {}
    assert tracking.ok("GET", f"{V3}/datasets/{dataset}")["dataset"]["name"] == "secret"
    own_run = tracking.ok("POST", f"{V2}/runs/create", {}, "other")["run"]["info"]["run_id"]
    tracking.ok("POST", f"{V2}/traces/link-to-run", {"run_id": own_run, "trace_ids": [trace_id]}, "other")
    assert tracking.search(f"run_id = '{own_run}'", "other") == []


def test_ratings_that_come_with_a_trace(tracking: Tracking) -> None:
    """Assessments sent with a trace are stored once, however often it is sent, and keep their order."""
    at = "2026-01-31T10:00:00.250Z"
    message = {"source": {"source_type": "HUMAN"}, "feedback": {"value": True}, "create_time": at}
    messages = [{"assessment_name": f"n{number}"} | message for number in range(8)]
    info = trace_info(assessments=messages[:4])
    for _ in range(2):
        tracking.trace(**info)
    for each in messages[4:]:
        tracking.ok("POST", f"{V3}/traces/{info['trace_id']}/assessments", {"assessment": each})
    found = [each["assessment_name"] for each in tracking.info(info["trace_id"])["assessments"]]
    assert found == [f"n{number}" for number in range(8)]


def test_files_of_older_clients(tracking: Tracking) -> None:
    """A file comes back as it was sent, and a chat has one too."""
    trace_id, chat = tracking.trace(), tracking.chat()
    path = "/api/2.0/mlflow-artifacts/artifacts/0/traces/{}/artifacts/traces.json"
    assert tracking.ok("PUT", path.format(trace_id), {"spans": []}) == {}
    assert tracking.ok("GET", path.format(trace_id)) == {"spans": []}
    assert tracking.ok("GET", path.format(chat))["spans"][0]["name"] == "chat fast"
    assert tracking.refused("PUT", path.format(chat), {}) == (400, "INVALID_PARAMETER_VALUE")
    assert tracking.refused("PUT", path.format("tr-" + "0" * 32), {}) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert tracking.refused("GET", path.format("tr-" + "0" * 32)) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert tracking.refused("PUT", path.format(trace_id), b"\xff") == (400, "INVALID_PARAMETER_VALUE")


def test_deletion_takes_all(tracking: Tracking) -> None:
    """Spans, tags and ratings are deleted with their trace, and its ID is free again."""
    info = trace_info(tags={"gone": "soon"})
    tracking.trace(**info)
    export(tracking, span(info["trace_id"]))
    deletion = {"experiment_id": "0", "request_ids": [info["trace_id"]]}
    assert tracking.ok("POST", f"{V2}/traces/delete-traces", deletion) == {"traces_deleted": 1}
    assert tracking.search("tags.gone = 'soon'") == []
    assert tracking.gateway.store.rows("SELECT 1 FROM spans WHERE trace_id = ?", info["trace_id"]) == []
    assert tracking.trace(**info) == info["trace_id"]


def test_infos_and_tags_of_many(tracking: Tracking) -> None:
    """Traces come in the order asked for, each once."""
    first, second = tracking.trace(), tracking.trace()
    found = tracking.ok("GET", f"{V3}/traces/batchGetInfos?trace_ids={second}&trace_ids={first}&trace_ids={second}")
    assert [info["trace_id"] for info in found["trace_infos"]] == [second, first]
    tag = {"key": "mlflow.traceName", "value": "renamed"}
    tracking.ok("PATCH", f"{V3}/traces/{first}/tags", tag)
    assert tracking.search("name = 'renamed'") == [first]
    tracking.ok("DELETE", f"{V3}/traces/{first}/tags", tag)
    assert tracking.refused("DELETE", f"{V3}/traces/{first}/tags", tag)[0] == 404
    assert tracking.search(f"timestamp_ms > {'9' * 5_000}") == []
