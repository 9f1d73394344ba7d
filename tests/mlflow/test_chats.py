"""The gateway's own chats, as MLflow's clients see them; and ratings, which are the same on both sides."""

from __future__ import annotations

import json
from typing import Any

from tests.support.http_client import call
from tests.support.mlflow_client import V2, V3, Tracking

HUMAN = {"source_type": "HUMAN", "source_id": "ann"}


def _attributes(span: dict[str, Any]) -> dict[str, Any]:
    return {pair["key"]: pair["value"] for pair in span["attributes"]}


def test_a_chat_is_a_trace(tracking: Tracking) -> None:
    """With what was asked and answered, tokens, session, user and outcome."""
    trace_id = tracking.chat(session_id="s-1", user_id="bob", tags={"team": "blue"}, metadata={"release": "7"})
    whole = tracking.ok("GET", f"{V3}/traces/get?trace_id={trace_id}&allow_partial=False")["trace"]
    info, spans = whole["trace_info"], whole["spans"]
    metadata = info["trace_metadata"]
    assert info["state"] == "OK"
    assert info["tags"]["team"] == "blue"
    assert info["tags"]["mlflow.traceName"] == "chat fast"
    assert info["tags"]["mlflow.trace.spansLocation"] == "TRACKING_STORE"
    assert info["request_preview"] == "hi there"
    assert metadata["mlflow.trace.session"] == "s-1"
    assert metadata["mlflow.trace.user"] == "bob"
    assert metadata["gateway.outcome"] == "complete"
    assert metadata["release"] == "7"
    assert json.loads(metadata["mlflow.trace.tokenUsage"])["total_tokens"] > 0
    root = _attributes(spans[0])
    assert root["mlflow.spanType"] == {"string_value": "CHAT_MODEL"}
    asked = root["mlflow.spanInputs"]["kvlist_value"]["values"][0]
    assert asked["key"] == "messages"
    assert "mlflow.spanOutputs" in root
    assert _attributes(spans[1])["mlflow.spanType"] == {"string_value": "LLM"}
    assert spans[1]["parent_span_id"] == spans[0]["span_id"]


def test_chats_are_found(tracking: Tracking) -> None:
    """By session, user, tag, metadata, outcome, text, span and name, without a word to MLflow before."""
    trace_id = tracking.chat(
        message="find me", session_id="s-find", user_id="carla", tags={"found": "yes"}, metadata={"m.x": "1"}
    )
    for text in (
        "metadata.`mlflow.trace.session` = 's-find'",
        "metadata.mlflow.trace.user = 'carla'",
        "tags.found = 'yes'",
        "metadata.\"m.x\" LIKE '1%'",
        "metadata.`gateway.outcome` = 'complete' AND metadata.mlflow.trace.user = 'carla'",
        "trace.text LIKE '%find me%'",
        "span.type = 'CHAT_MODEL' AND tags.found = 'yes'",
        "name = 'chat fast' AND tags.found = 'yes'",
        f"request_id IN ('{trace_id}', 'x')",
        "span.attributes.`gen_ai.request.model` = 'fast' AND tags.found = 'yes'",
    ):
        assert tracking.search(text) == [trace_id], text
    assert tracking.search("metadata.`gateway.outcome` = 'stopped' AND tags.found = 'yes'") == []


def test_a_thumb_is_an_assessment(tracking: Tracking) -> None:
    """MLflow reads, finds and deletes ratings of /feedback, and sees which one overrides which."""
    trace_id, key = tracking.chat(), tracking.keys["admin"]
    for right in (True, False):
        body = {"is_correct": right, "comment": "so so"}
        assert call(tracking.gateway, "POST", f"/feedback?trace_id={trace_id}&user_id=ann", body, key=key).status == 200
    first, second = tracking.info(trace_id)["assessments"]
    assert (first["valid"], second["valid"], second["overrides"]) == (False, True, first["assessment_id"])
    assert (second["assessment_name"], second["feedback"]) == ("user_feedback", {"value": False})
    assert (second["rationale"], second["source"]) == ("so so", HUMAN)
    assert trace_id in tracking.search("feedback.user_feedback = 'false'")
    assert trace_id not in tracking.search("feedback.user_feedback = 'true'")
    tracking.ok("DELETE", f"{V3}/traces/{trace_id}/assessments/{second['assessment_id']}", {})
    read = call(tracking.gateway, "GET", f"/feedback?trace_id={trace_id}&user_id=ann", key=key).json
    assert [item["value"] for item in read["feedback"]] == [True]


def test_an_assessment_is_read_at_feedback(tracking: Tracking) -> None:
    """The other way round; and a rating there overrides the one logged here by the same rater."""
    trace_id, key = tracking.chat(), tracking.keys["admin"]
    logged = {"assessment_name": "user_feedback", "source": HUMAN, "feedback": {"value": True}, "rationale": "fine"}
    made = tracking.ok("POST", f"{V3}/traces/{trace_id}/assessments", {"assessment": logged})["assessment"]
    path = f"/feedback?trace_id={trace_id}&user_id=ann"
    assert call(tracking.gateway, "GET", path, key=key).json["feedback"][0]["rationale"] == "fine"
    assert call(tracking.gateway, "POST", path, {"is_correct": False}, key=key).status == 200
    got = tracking.ok("GET", f"{V3}/traces/{trace_id}/assessments/{made['assessment_id']}")["assessment"]
    assert got["valid"] is False


def test_a_retracted_rating_is_gone(tracking: Tracking) -> None:
    """It is kept for the record, and shown to nobody."""
    trace_id, key = tracking.chat(), tracking.keys["admin"]
    path = f"/feedback?trace_id={trace_id}&user_id=ann"
    assert call(tracking.gateway, "POST", path, {"is_correct": True}, key=key).status == 200
    assert call(tracking.gateway, "DELETE", path + "&name=user_feedback", key=key).status == 200
    assert "assessments" not in tracking.info(trace_id)


def test_what_was_retracted_does_not_come_back(tracking: Tracking) -> None:
    """The deletion of an override restores what it overrode, but nothing that its rater has taken back since."""
    trace_id, key = tracking.chat(), tracking.keys["admin"]
    path = f"/feedback?trace_id={trace_id}&user_id=ann"
    made = [call(tracking.gateway, "POST", path, {"is_correct": good}, key=key).json for good in (True, False, True)]
    assert call(tracking.gateway, "DELETE", path + "&name=user_feedback", key=key).status == 200
    tracking.ok("DELETE", f"{V3}/traces/{trace_id}/assessments/{made[1]['assessment_id']}")
    assert call(tracking.gateway, "GET", path, key=key).json["feedback"] == []


def test_a_running_chat_is_there(tracking: Tracking) -> None:
    """From the first byte on, in progress, and it can be rated; once it is stopped, it says so."""
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", tracking.gateway.port, timeout=30)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {tracking.keys['admin']}"}
    connection.request("POST", "/chat/stream", json.dumps({"message": "long", "model": "slow"}), headers)
    trace_id = str(connection.getresponse().getheader("X-Trace-Id"))
    assert tracking.info(trace_id)["state"] == "IN_PROGRESS"
    assert tracking.ok("GET", f"{V3}/traces/get?trace_id={trace_id}")["trace"]["spans"] == []
    rating = {"assessment": {"assessment_name": "early", "source": HUMAN, "feedback": {"value": 1}}}
    tracking.ok("POST", f"{V3}/traces/{trace_id}/assessments", rating)
    deletion = {"experiment_id": "0", "request_ids": [trace_id]}
    assert tracking.ok("POST", f"{V2}/traces/delete-traces", deletion) == {"traces_deleted": 0}
    stop = call(tracking.gateway, "POST", f"/chat/stream/{trace_id}/stop", {}, key=tracking.keys["admin"])
    assert stop.status == 200
    connection.close()
    info = tracking.info(trace_id)
    assert info["trace_metadata"]["gateway.outcome"] == "stopped"
    assert info["assessments"][0]["feedback"] == {"value": 1.0}
    assert trace_id in tracking.search("metadata.gateway.outcome = 'stopped'")


def test_a_tag_names_the_experiment(tracking: Tracking) -> None:
    """A chat lies in the experiment that its tag names, if there is one of this project's."""
    made = tracking.ok("POST", f"{V2}/experiments/create", {"name": "chats of the pilot"})["experiment_id"]
    there = tracking.chat(tags={"mlflow.experimentId": made})
    lost = tracking.chat(tags={"mlflow.experimentId": "4711"})
    assert tracking.info(there)["trace_location"]["mlflow_experiment"]["experiment_id"] == made
    assert tracking.info(lost)["trace_location"]["mlflow_experiment"]["experiment_id"] == "0"


def test_the_callers_trace_and_ours_are_linked(tracking: Tracking) -> None:
    """By traceparent, both ways; each keeps its own ID, and neither is written over."""
    theirs = tracking.trace()
    key = tracking.keys["admin"]
    parent = {"traceparent": f"00-{theirs[3:]}-00000000000000aa-03"}
    chat = {"model": "fast", "messages": [{"role": "user", "content": "hi"}]}
    ours = call(tracking.gateway, "POST", "/v1/chat/completions", chat, parent, key=key).headers["x-trace-id"]
    assert ours != theirs
    assert tracking.info(ours)["trace_metadata"]["gateway.parent_trace_id"] == theirs
    assert tracking.info(theirs)["trace_metadata"]["gateway.trace_ids"] == ours
    assert tracking.info(theirs)["tags"]["mlflow.traceName"] == "mine"
    assert tracking.search(f"metadata.`gateway.parent_trace_id` = '{theirs}'") == [ours]


def test_client_traces_are_no_turns(tracking: Tracking) -> None:
    """A client's trace with a session's name is not part of the conversation."""
    chat = tracking.chat(session_id="s-mixed", user_id="dora")
    tracking.trace(trace_metadata={"mlflow.trace.session": "s-mixed"})
    shown = call(tracking.gateway, "GET", "/sessions/s-mixed?user_id=dora", key=tracking.keys["admin"]).json
    assert [turn["trace_id"] for turn in shown["turns"]] == [chat]
    assert len(tracking.search("metadata.mlflow.trace.session = 's-mixed'")) == 2


def test_a_client_trace_can_be_rated(tracking: Tracking) -> None:
    """At /feedback, like any other; and the log goes on."""
    trace_id = tracking.trace()
    path = f"/feedback?trace_id={trace_id}&user_id=ann"
    assert call(tracking.gateway, "POST", path, {"is_correct": True}, key=tracking.keys["admin"]).status == 200
    assert tracking.search("feedback.user_feedback = 'true' AND name = 'mine'") == [trace_id]
    assert trace_id in tracking.gateway.run("tail", "--json").stdout
