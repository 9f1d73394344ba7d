"""Runs, experiments and datasets as their routes have them, in detail that the client of the scenario leaves out."""

from __future__ import annotations

import json

from tests.support.mlflow_client import V2, V3, Tracking


def test_runs_by_hand(tracking: Tracking) -> None:
    """Everything that is logged to a run is read back; what is hidden is found only where it is asked for."""
    made = tracking.ok("POST", f"{V2}/experiments/create", {"name": "runs", "tags": [{"key": "a", "value": "b"}]})
    experiment = made["experiment_id"]
    path = f"{V2}/runs"
    run = tracking.ok("POST", f"{path}/create", {"experiment_id": experiment, "run_name": "first"})["run"]["info"]
    run_id = run["run_id"]
    tracking.ok("POST", f"{path}/log-metric", {"run_id": run_id, "key": "loss", "value": 0.5, "step": 1})
    for value in (0.25, "NaN", "-Infinity"):
        tracking.ok("POST", f"{path}/log-metric", {"run_id": run_id, "key": f"m{value}", "value": value, "step": 2})
    tracking.ok("POST", f"{path}/log-parameter", {"run_id": run_id, "key": "p", "value": "1"})
    tracking.ok("POST", f"{path}/log-batch", {"run_id": run_id, "params": [{"key": "q", "value": "2"}]})
    assert tracking.refused("POST", f"{path}/log-parameter", {"run_id": run_id, "key": "p", "value": "2"})[0] == 400
    tracking.ok("POST", f"{path}/set-tag", {"run_id": run_id, "key": "t", "value": "x"})
    tracking.ok("POST", f"{path}/delete-tag", {"run_id": run_id, "key": "t"})
    assert tracking.refused("POST", f"{path}/delete-tag", {"run_id": run_id, "key": "t"})[0] == 404
    tracking.ok("POST", f"{path}/update", {"run_id": run_id, "run_name": "renamed", "status": "FAILED"})
    whole = tracking.ok("GET", f"{path}/get?run_id={run_id}")["run"]
    assert (whole["info"]["run_name"], whole["info"]["status"]) == ("renamed", "FAILED")
    metrics = {metric["key"]: metric["value"] for metric in whole["data"]["metrics"]}
    assert metrics == {"loss": 0.5, "m0.25": 0.25, "mNaN": "NaN", "m-Infinity": "-Infinity"}
    assert [param["value"] for param in whole["data"]["params"]] == ["1", "2"]
    assert whole["data"]["tags"] == [{"key": "mlflow.runName", "value": "renamed"}]
    search = {"experiment_ids": [experiment], "max_results": 1}
    page = tracking.ok("POST", f"{path}/search", search)
    assert [each["info"]["run_id"] for each in page["runs"]] == [run_id]
    assert "next_page_token" not in page
    assert tracking.ok("POST", f"{path}/search", search | {"page_token": "1"}) == {"runs": []}
    tracking.ok("POST", f"{path}/delete", {"run_id": run_id})
    assert tracking.ok("POST", f"{path}/search", search) == {"runs": []}
    assert len(tracking.ok("POST", f"{path}/search", search | {"run_view_type": "ALL"})["runs"]) == 1
    tracking.ok("POST", f"{path}/restore", {"run_id": run_id})
    assert len(tracking.ok("POST", f"{path}/search", search)["runs"]) == 1
    assert tracking.ok("POST", f"{path}/search", {}) == {"runs": []}


def test_a_batch_of_traces_is_each_of_them(tracking: Tracking) -> None:
    """With its spans, in the order asked for, written one after another; to a HEAD its head alone."""
    ids = [tracking.chat(message=f"question {number} " + "x" * 100_000) for number in range(3)]
    path = f"{V3}/traces/batchGet?" + "&".join(f"trace_ids={each}" for each in reversed(ids))
    reply = tracking.reply("GET", path, key="admin")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    each = [tracking.ok("GET", f"{V3}/traces/get?trace_id={trace_id}", key="admin")["trace"] for trace_id in ids]
    assert reply.json["traces"] == each[::-1]
    assert len(reply.body) > 300_000
    head = tracking.reply("HEAD", path, key="admin")
    assert (head.status, head.body) == (200, b"")


def test_experiments_by_hand(tracking: Tracking) -> None:
    """The first one is there from the start, and can be tagged; the others follow it."""
    first = tracking.ok("GET", f"{V2}/experiments/get-by-name?experiment_name=Default", key="other")["experiment"]
    assert (first["experiment_id"], first["lifecycle_stage"]) == ("0", "active")
    tag = {"experiment_id": "0", "key": "owner", "value": "us"}
    tracking.ok("POST", f"{V2}/experiments/set-experiment-tag", tag, "other")
    made = tracking.ok("POST", f"{V2}/experiments/create", {"name": "next"}, "other")["experiment_id"]
    page = tracking.ok("POST", f"{V2}/experiments/search", {"max_results": 1}, "other")
    rest = tracking.ok("POST", f"{V2}/experiments/search", {"page_token": page["next_page_token"]}, "other")
    found = page["experiments"] + rest["experiments"]
    assert [each["experiment_id"] for each in found] == [made, "0"]
    assert found[1]["tags"] == [{"key": "owner", "value": "us"}]


def test_datasets_by_hand(tracking: Tracking) -> None:
    """Their experiments, pages of records, outputs of any kind."""
    made = tracking.ok("POST", f"{V3}/datasets/create", {"name": "d", "experiment_ids": ["0"]})["dataset"]
    path = f"{V3}/datasets/{made['dataset_id']}"
    other = tracking.ok("POST", f"{V2}/experiments/create", {"name": "of datasets"})["experiment_id"]
    tracking.ok("POST", f"{path}/add-experiments", {"experiment_ids": [other]})
    assert tracking.ok("GET", f"{path}/experiment-ids") == {"experiment_ids": ["0", other]}
    tracking.ok("POST", f"{path}/remove-experiments", {"experiment_ids": ["0"]})
    found = tracking.ok("POST", f"{V3}/datasets/search", {"experiment_ids": [other], "order_by": ["name"]})
    assert [each["dataset_id"] for each in found["datasets"]] == [made["dataset_id"]]
    records = [{"inputs": {"n": n}, "outputs": value} for n, value in enumerate(["text", [1], {"a": 1}, None])]
    counts = tracking.ok("POST", f"{path}/records", {"records": json.dumps(records)})
    assert counts == {"inserted_count": 4, "updated_count": 0}
    again = json.dumps([{"inputs": {"n": 0}, "outputs": "new", "tags": {"mlflow.user": "eve"}}])
    assert tracking.ok("POST", f"{path}/records", {"records": again}) == {"inserted_count": 0, "updated_count": 1}
    seen, token = [], ""
    while token is not None:
        page = tracking.ok("GET", f"{path}/records?max_results=3&page_token={token}")
        seen += json.loads(page["records"])
        token = page.get("next_page_token")
    assert sorted(str(record["outputs"]) for record in seen) == ["[1]", "new", "{'a': 1}", "{}"]
    assert tracking.ok("DELETE", f"{path}/records", {"dataset_record_ids": []}) == {"deleted_count": 0}
    ids = [record["dataset_record_id"] for record in seen]
    assert tracking.ok("DELETE", f"{path}/records", {"dataset_record_ids": ids}) == {"deleted_count": 4}
    assert "profile" not in tracking.ok("GET", path)["dataset"]
    tracking.ok("PATCH", f"{path}/tags", {"tags": '{"a": "b"}'})
    for _ in range(2):
        assert tracking.ok("DELETE", f"{path}/tags/a", {}) == {}
    assert tracking.ok("GET", path)["dataset"]["tags"] == "{}"
    assert tracking.ok("DELETE", f"{V3}/datasets/d-0/tags/a", {}) == {}


def test_a_metrics_history_by_hand(tracking: Tracking) -> None:
    """Page by page, and bad pages are refused; of another project's run there is none."""
    path = f"{V2}/runs"
    run_id = tracking.ok("POST", f"{path}/create", {"experiment_id": "0"})["run"]["info"]["run_id"]
    for step in range(3):
        body = {"run_id": run_id, "key": "loss", "value": 1 - step / 4, "timestamp": 5 + step, "step": step}
        tracking.ok("POST", f"{path}/log-metric", body)
    asked = f"{V2}/metrics/get-history?run_id={run_id}&metric_key=loss"
    first = tracking.ok("GET", f"{asked}&max_results=2")
    rest = tracking.ok("GET", f"{asked}&max_results=2&page_token={first['next_page_token']}")
    assert [metric["step"] for metric in (*first["metrics"], *rest["metrics"])] == [0, 1, 2]
    assert first["metrics"][1] == {"key": "loss", "value": 0.75, "timestamp": 6, "step": 1}
    assert "next_page_token" not in rest
    assert tracking.ok("GET", asked, key="other") == {"metrics": []}
    assert len(tracking.ok("GET", asked)["metrics"]) == 3
    for odd in ("max_results=0", "max_results=x", "max_results=%D9%A3", "page_token=x"):
        assert tracking.refused("GET", f"{asked}&{odd}") == (400, "INVALID_PARAMETER_VALUE")


def test_an_experiment_of_another_project(tracking: Tracking) -> None:
    """It is neither renamed, tagged, deleted nor restored from here."""
    many = [tracking.ok("POST", f"{V2}/experiments/create", {"name": f"e{n}"}, key="other") for n in range(9)]
    theirs = many[-1]["experiment_id"]
    body = {"experiment_id": theirs, "new_name": "ours", "key": "k", "value": "v"}
    for step in ("update", "delete", "restore", "set-experiment-tag", "delete-experiment-tag"):
        assert tracking.refused("POST", f"{V2}/experiments/{step}", body)[0] == 404
    found = tracking.ok("GET", f"{V2}/experiments/get?experiment_id={theirs}", key="other")["experiment"]
    assert (found["name"], found["lifecycle_stage"]) == ("e8", "active")


def test_records_come_in_the_order_in_which_they_were_sent(tracking: Tracking) -> None:
    """Those of one request, too."""
    made = tracking.ok("POST", f"{V3}/datasets/create", {"name": "ordered"})["dataset"]["dataset_id"]
    records = [{"inputs": {"n": n}} for n in range(30)]
    tracking.ok("POST", f"{V3}/datasets/{made}/records", {"records": json.dumps(records)})
    found = json.loads(tracking.ok("GET", f"{V3}/datasets/{made}/records")["records"])
    assert [record["inputs"]["n"] for record in found] == list(range(30))
