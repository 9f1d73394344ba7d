"""Refusals in MLflow's error JSON, and who may call at all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.http_client import call
from tests.support.mlflow_client import V2, V3, Tracking, trace_info

BAD = (400, "INVALID_PARAMETER_VALUE")
GONE = (404, "RESOURCE_DOES_NOT_EXIST")
UNKNOWN = (404, "ENDPOINT_NOT_FOUND")
HUMAN = {"source_type": "HUMAN", "source_id": "ann"}


def rating(**over: Any) -> dict[str, Any]:
    return {"assessment": {"assessment_name": "x", "source": HUMAN, "feedback": {"value": 1}} | over}


@pytest.mark.parametrize(
    "assessment",
    [
        {"assessment_name": ""},
        {"assessment_name": "n" * 251},
        {"assessment_name": None},
        {"source": None},
        {"source": {"source_type": "ROBOT"}},
        {"source": {"source_type": "HUMAN", "source_id": "s" * 251}},
        {"feedback": None},
        {"expectation": {"value": 1}},
        {"feedback": None, "issue": {"issue_name": "i"}},
        {"feedback": {"value": "v" * 10_001}},
        {"feedback": {"value": 10**400}},
        {"feedback": {"error": {"error_code": "E", "error_message": "m" * 10_001}}},
        {"rationale": "r" * 10_001},
        {"metadata": {"k": "v" * 1_001}},
        {"metadata": {f"k{n}": "v" for n in range(51)}},
        {"metadata": {"k": {}}},
        {"span_id": "zz"},
        {"create_time": "yesterday"},
        {"feedback": None, "expectation": {"serialized_value": {"value": "{"}}},
        {"feedback": None, "expectation": {"serialized_value": {"value": "1", "serialization_format": "XML"}}},
    ],
)
def test_bad_assessments(tracking: Tracking, assessment: dict[str, Any]) -> None:
    """Bad assessments are refused, where MLflow takes anything."""
    path = f"{V3}/traces/{tracking.trace()}/assessments"
    assert tracking.refused("POST", path, rating(**assessment)) == BAD


@pytest.mark.parametrize(
    ("mask", "assessment", "expected"),
    [
        ("valid", {}, BAD),
        ("feedback,expectation", {"expectation": {"value": 1}}, BAD),
        ("expectation", {}, BAD),
        ("expectation", {"expectation": {"value": 1}}, BAD),
        ("assessmentName", {"assessment_name": ""}, BAD),
    ],
)
def test_bad_updates(tracking: Tracking, mask: str, assessment: dict[str, Any], expected: tuple[int, str]) -> None:
    """A change of a field that stays, or of another kind, is refused."""
    path = f"{V3}/traces/{tracking.trace()}/assessments"
    made = tracking.ok("POST", path, rating())["assessment"]["assessment_id"]
    body = {"assessment": {"feedback": {"value": 2}} | assessment, "update_mask": mask}
    assert tracking.refused("PATCH", f"{path}/{made}", body) == expected
    assert tracking.ok("GET", f"{path}/{made}")["assessment"]["feedback"] == {"value": 1.0}


@pytest.mark.parametrize(
    "info",
    [
        {"trace_id": "tr-1"},
        {"trace_id": "TR-" + "0" * 32},
        {"state": "FINE"},
        {"trace_location": {"type": "INFERENCE_TABLE"}},
        {"request_time": "noon"},
        {"execution_duration": "long"},
        {"tags": {"k" * 251: "v"}},
        {"tags": {f"k{n}": "v" for n in range(201)}},
        {"trace_metadata": {"k" * 251: "v"}},
        {"trace_metadata": {"k": "v" * 100_001}},
        {"trace_metadata": {"mlflow.trace.session": "s" * 251}},
        {"client_request_id": "c" * 251},
        {"assessments": [{"assessment_name": "x"}]},
    ],
)
def test_bad_traces(tracking: Tracking, info: dict[str, Any]) -> None:
    """Bad traces are refused, and nothing of them is stored."""
    body = {"trace": {"trace_info": trace_info(**info)}}
    assert tracking.refused("POST", f"{V3}/traces", body) == BAD


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("POST", f"{V3}/traces", b"{", (400, "BAD_REQUEST")),
        ("POST", f"{V3}/traces", {}, BAD),
        ("GET", f"{V3}/traces/get", None, BAD),
        ("GET", f"{V3}/traces/batchGet", None, BAD),
        ("GET", f"{V3}/traces/batchGet?" + "&".join(f"trace_ids={n}" for n in range(501)), None, BAD),
        ("POST", f"{V3}/traces/search", {}, BAD),
        ("POST", f"{V3}/traces/search", {"locations": [], "max_results": 501}, BAD),
        ("POST", f"{V3}/traces/search", {"locations": [], "page_token": "%"}, None),
        ("POST", f"{V3}/traces/search", {"locations": [], "filter": "x" * 20_001}, BAD),
        ("POST", f"{V3}/traces/search", {"locations": [{"mlflow_experiment": {}}] * 501}, BAD),
        ("POST", f"{V2}/traces/delete-traces", {"experiment_id": "0", "request_ids": ["a"] * 5_001}, BAD),
        ("POST", f"{V2}/traces/delete-traces", {"experiment_id": "0"}, BAD),
        ("POST", f"{V2}/traces/delete-traces", {"experiment_id": "0", "request_ids": ["a"], "max_traces": 1}, BAD),
        ("POST", f"{V2}/traces/delete-traces", {"experiment_id": "0", "max_timestamp_millis": 1, "max_traces": 0}, BAD),
        ("POST", f"{V2}/experiments/create", {"name": ""}, BAD),
        ("POST", f"{V2}/experiments/create", {"name": "Default"}, (400, "RESOURCE_ALREADY_EXISTS")),
        ("POST", f"{V2}/experiments/create", {"name": "x", "tags": [{"key": "", "value": "v"}]}, BAD),
        ("POST", f"{V2}/experiments/search", {"filter": "metrics.x = 1"}, BAD),
        ("POST", f"{V2}/experiments/search", {"view_type": "SOME"}, BAD),
        ("POST", f"{V2}/experiments/search", {"page_token": "x"}, BAD),
        ("POST", f"{V2}/experiments/set-experiment-tag", {"experiment_id": "99", "key": "a", "value": "b"}, GONE),
        ("POST", f"{V2}/runs/create", {"experiment_id": "99"}, GONE),
        ("POST", f"{V2}/runs/create", {"start_time": -1}, BAD),
        ("POST", f"{V2}/runs/update", {"run_id": "0", "status": "DONE"}, BAD),
        ("POST", f"{V2}/runs/update", {"run_id": "0", "status": "FINISHED"}, GONE),
        ("POST", f"{V2}/runs/search", {"filter": "a = 'b'"}, BAD),
        ("POST", f"{V2}/runs/search", {"run_view_type": "SOME"}, BAD),
        ("POST", f"{V2}/runs/log-metric", {"run_id": "0", "key": "a", "value": "many"}, BAD),
        ("POST", f"{V2}/runs/log-metric", {"run_id": "0", "key": "a", "value": 1, "timestamp": -1}, BAD),
        ("POST", f"{V2}/runs/log-inputs", {"run_id": "0", "datasets": [{"dataset": {"name": "x"}}]}, BAD),
        ("POST", f"{V2}/runs/delete", {"run_id": "0"}, GONE),
        ("POST", f"{V2}/runs/delete-tag", {"run_id": "0", "key": "x"}, GONE),
        ("POST", f"{V2}/traces/link-to-run", {"run_id": "0", "trace_ids": ["x"] * 101}, BAD),
        ("POST", f"{V3}/datasets/create", {"name": "x", "tags": "[]"}, BAD),
        ("POST", f"{V3}/datasets/create", {"name": "x", "experiment_ids": ["99"]}, GONE),
        ("POST", f"{V3}/datasets/search", {"filter_string": "color = 'red'"}, BAD),
        ("POST", f"{V3}/datasets/search", {"filter_string": "name > 'red'"}, BAD),
        ("POST", f"{V3}/datasets/search", {"order_by": ["color"]}, BAD),
        ("POST", f"{V3}/datasets/d-0/records", {"records": "{}"}, BAD),
        ("POST", f"{V3}/datasets/d-0/records", {"records": '[{"source": {"source_type": "X"}}]'}, BAD),
        ("GET", f"{V3}/datasets/d-0/records?page_token=x", None, BAD),
        ("GET", f"{V3}/datasets/d-0/records?max_results=x", None, BAD),
        ("GET", f"{V3}/datasets/d-0/records?max_results={'9' * 5_000}", None, BAD),
        ("GET", f"{V3}/datasets/d-0/records?max_results=999999999", None, GONE),
        ("POST", f"{V2}/traces/delete-traces", {"experiment_id": "0", "max_timestamp_millis": 2**70}, BAD),
        ("GET", f"{V3}/label-schemas/list?experiment_id=0", None, UNKNOWN),
        ("POST", f"{V3}/review-queues/create", {}, UNKNOWN),
        ("GET", "/api/2.0/mlflow/registered-models/search", None, UNKNOWN),
        ("PUT", f"{V3}/traces", {}, UNKNOWN),
    ],
)
def test_bad_requests(tracking: Tracking, method: str, path: str, body: Any, expected: tuple[int, str] | None) -> None:
    """No stack trace, no SQL, and no status that a client would try again."""
    if expected is None:  # nothing is searched where no place is named
        assert tracking.ok(method, path, body) == {"traces": []}
    else:
        assert tracking.refused(method, path, body) == expected


@pytest.mark.parametrize("token", ["%", "e30", "eyJvZmZzZXQiOi0xfQ==", "eyJ0aW1lIjoxZTk5fQ=="])
def test_bad_page_tokens(tracking: Tracking, token: str) -> None:
    """A bad page token is refused, also one that decodes to something else."""
    place = {"mlflow_experiment": {"experiment_id": "0"}}
    reply = tracking.reply("POST", f"{V3}/traces/search", {"locations": [place], "page_token": token})
    assert reply.status in (200, 400)
    assert token == "e30" or reply.status == 400


def test_roles(tracking: Tracking) -> None:
    """A reviewer and an admin read and label; a chat key and a stranger don't, whatever the path."""
    path = f"{V3}/traces/{tracking.trace()}"
    assert tracking.reply("GET", path).status == 200
    assert tracking.reply("GET", path, key="admin").status == 200
    assert tracking.refused("GET", path, key="chat") == (403, "PERMISSION_DENIED")
    assert tracking.refused("GET", path, key="nobody") == (401, "UNAUTHENTICATED")
    assert tracking.refused("GET", f"{V3}/nowhere", key="nobody") == (401, "UNAUTHENTICATED")
    assert call(tracking.gateway, "POST", "/v1/traces", {}).status == 401
    version = call(tracking.gateway, "GET", "/version")
    assert (version.status, version.body) == (200, b"3.17.2")


def test_a_page_cannot_write(tracking: Tracking) -> None:
    """A content type that a browser sends without a preflight request is refused."""
    reply = tracking.reply("POST", f"{V2}/experiments/create", json.dumps({"name": "csrf"}).encode())
    assert reply.status == 200
    plain = {"Content-Type": "text/plain"}
    found = call(tracking.gateway, "POST", f"{V2}/experiments/create", b"{}", plain, key=tracking.keys["review"])
    assert (found.status, found.json["error_code"]) == (400, "BAD_REQUEST")


def test_large_bodies(tracking: Tracking) -> None:
    """A body that is too large is refused with 413, which clients don't repeat."""
    body = {"trace": {"trace_info": trace_info(tags={"x": "y" * 21_000_000})}}
    assert tracking.refused("POST", f"{V3}/traces", body) == (413, "BAD_REQUEST")


def test_values_are_cut_as_by_mlflow(tracking: Tracking) -> None:
    """A long tag is shortened, not refused."""
    trace_id = tracking.trace()
    tracking.ok("PATCH", f"{V2}/traces/{trace_id}/tags", {"key": "long", "value": "v" * 9_000})
    assert tracking.info(trace_id)["tags"]["long"] == "v" * 8_000
    assert tracking.search(f"tags.long = '{'v' * 8_000}'") == [trace_id]
    assert tracking.search("tags.long RLIKE '^v+$'") == [trace_id]
    assert tracking.search("tags.long RLIKE '^(v+)+x$'") == []


def test_no_regular_expression(tracking: Tracking) -> None:
    """A bad regular expression is refused before the search."""
    place = {"mlflow_experiment": {"experiment_id": "0"}}
    body = {"locations": [place], "filter": "tags.a RLIKE '('"}
    assert tracking.refused("POST", f"{V3}/traces/search", body) == BAD


def test_nothing_deeper_than_can_be_shown(tracking: Tracking) -> None:
    """A value that could not be read again is refused: it would fail every search that finds its trace."""
    deep = "[" * 950 + "]" * 950
    path = f"{V3}/traces/{tracking.trace()}/assessments"
    value = {"serialized_value": {"value": deep, "serialization_format": "JSON_FORMAT"}}
    assert tracking.refused("POST", path, rating(feedback=None, expectation=value)) == BAD
    dataset = tracking.ok("POST", f"{V3}/datasets/create", {"name": "deep"})["dataset"]["dataset_id"]
    records = {"records": f'[{{"inputs":{{"q":{deep}}}}}]'}
    assert tracking.refused("POST", f"{V3}/datasets/{dataset}/records", records) == BAD
