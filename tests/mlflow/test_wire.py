"""MLflow's wire: times, values, spans and errors, to and fro."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import Any

import msgspec
import pytest
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from gateway.domain.messages import Usage
from gateway.domain.trace import Outcome, Span, State, Trace
from gateway.errors import BadRequest, GatewayError, InvalidValue, MethodNotAllowed, NotFound
from gateway.mlflow.usage import read_counts, unwrap_json
from gateway.mlflow.values import ChatSpans, StoredTrace
from gateway.mlflow.wire import assessments, body, checks, errors, otlp, spans, traces
from gateway.mlflow.wire.otlp_values import Values

ID = "tr-" + "ab" * 16


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2026-01-31T10:00:00Z", 1_769_853_600_000),
        ("2026-01-31T10:00:00.250Z", 1_769_853_600_250),
        ("2026-01-31T11:00:00.250+01:00", 1_769_853_600_250),
        ("2026-01-31T10:00:00", 1_769_853_600_000),
        ("1960-01-01T00:00:00Z", 0),
    ],
)
def test_times(text: str, ms: int) -> None:
    """RFC 3339 becomes milliseconds since 1970, and back."""
    assert body.read_time(text, "t") == ms
    assert body.read_time(body.write_time(ms), "t") == ms


@pytest.mark.parametrize(
    ("text", "ms"), [("0s", 0), ("1.5s", 1_500), ("0.048s", 48), ("3s", 3_000), ("1.0009s", 1_000)]
)
def test_durations(text: str, ms: int) -> None:
    """Protobuf's seconds become milliseconds, and back."""
    assert body.read_duration(text) == ms
    assert body.read_duration(body.write_duration(ms)) == ms


def test_what_is_missing() -> None:
    """None stays None; an offset begins at 0."""
    assert body.read_time(None, "t") is None
    assert body.read_duration(None) is None
    assert body.read_offset(None) == 0
    assert body.read_offset("12") == 12
    for token in ("x", "-1", "9" * 16):
        with pytest.raises(InvalidValue):
            body.read_offset(token)


@pytest.mark.parametrize("value", [None, True, 7, -0.5, "text", [], [1, None, [True]], {"a": {"b": ["c"]}}])
def test_attribute_values(value: Any) -> None:
    """A plain value becomes protobuf's JSON, which protobuf reads back."""
    assert _read(ParseDict(otlp.write_any_value(value), AnyValue())) == value


def _read(value: AnyValue) -> Any:
    plain, _ = Values(lambda: None).of_message(value)
    return plain


def test_deep_values() -> None:
    """Values too deep for clients become text."""
    value: Any = "end"
    for _ in range(300):
        value = [value]
    assert ParseDict(otlp.write_any_value(value), AnyValue())


def test_quoted_values() -> None:
    """JSON in JSON is opened; what only looks like it stays."""
    assert unwrap_json('"TOOL"') == "TOOL"
    assert unwrap_json("{no json") == "{no json"
    assert unwrap_json(5) == 5


def test_tokens_of_a_span() -> None:
    """Whole numbers that a count can be; what says nothing of tokens isn't a count, and what says no number is one."""
    assert read_counts('{"total_tokens": 5, "input_tokens": 1.5, "output_tokens": true}') == {"total_tokens": 5}
    assert read_counts({"total_tokens": 2**60}) == {}
    assert read_counts("x") is None
    assert read_counts(None) is None


def a_trace(**over: Any) -> Trace:
    fields: dict[str, Any] = dict.fromkeys(Trace.__struct_fields__)
    fields |= {
        "trace_id": ID,
        "root_span_id": "1" * 16,
        "project": "p",
        "route": "/chat",
        "state": State.OK,
        "outcome": Outcome.COMPLETE,
        "request_time": 1_000,
        "duration_ms": 5,
        "model": "m",
        "session_id": "s",
        "usage": Usage(1, 2, 3),
        "usage_estimated": True,
        "tags": {},
        "metadata": {},
        "config_hash": "",
    }
    return Trace(**(fields | over))


def a_span(**over: Any) -> Span:
    fields: dict[str, Any] = {
        "span_id": "1" * 16,
        "parent_id": None,
        "name": "chat m",
        "kind": "SERVER",
        "start_ms": 1_000,
        "end_ms": 1_005,
        "status": "OK",
        "attributes": {"count": 3, "list": ["a"]},
    }
    return Span(**(fields | over))


def test_a_chat_without_content() -> None:
    """Content that isn't stored isn't shown, nor is usage that nobody counted."""
    (root,) = spans.write_spans(ChatSpans(a_trace(usage=None), (a_span(status="ERROR", message="no"),)))
    keys = {pair["key"] for pair in root["attributes"]}
    assert not keys & {"mlflow.spanInputs", "mlflow.spanOutputs", "mlflow.chat.tokenUsage"}
    assert root["status"] == {"code": "STATUS_CODE_ERROR", "message": "no"}


def test_the_file_for_older_clients() -> None:
    """In the file for older clients, attributes are JSON in JSON."""
    trace = a_trace(request='[{"role":"user","content":"hi"}]', response='[{"role":"assistant","content":"ho"}]')
    whole = json.loads(spans.write_artifact(ChatSpans(trace, (a_span(attributes={"n": 3, "l": ["a"], "none": None}),))))
    attributes = {key: json.loads(value) for key, value in whole["spans"][0]["attributes"].items()}
    assert attributes["mlflow.spanInputs"] == {"messages": [{"role": "user", "content": "hi"}]}
    assert attributes["mlflow.spanOutputs"]["choices"][0]["message"]["content"] == "ho"
    assert (attributes["n"], attributes["l"], attributes["none"]) == (3, ["a"], None)


def test_infos() -> None:
    """A client's own keeps its metadata, and lists the chats made within it; a name that was given stays."""
    client_made = StoredTrace(
        trace=a_trace(route="mlflow", duration_ms=None),
        experiment_id="1",
        name=None,
        client_made=True,
        linked=("tr-1",),
    )
    info = traces.write_info(client_made)
    assert info["trace_metadata"] == {"gateway.trace_ids": "tr-1"}
    assert "execution_duration" not in info
    assert "mlflow.traceName" not in info["tags"]
    own = StoredTrace(trace=a_trace(), experiment_id="0", name="renamed", client_made=False)
    assert traces.write_info(own)["tags"]["mlflow.traceName"] == "renamed"
    assert traces.write_info(own)["trace_metadata"]["gateway.usage_estimated"] == "true"


def test_no_valid_unicode() -> None:
    """Text that is no valid Unicode is refused, also in JSON within JSON."""
    with pytest.raises(InvalidValue):
        body.decode_text('"\\ud800"', str, "it")
    with pytest.raises(BadRequest):
        body.decode(b"\xff", dict)


@pytest.mark.parametrize(("value", "taken"), [("é" * 5_000, True), ("é" * 5_000 + "e", False)])
def test_the_size_of_a_value(value: str, taken: bool) -> None:
    """A value has at most 10,000 bytes of UTF-8, as in a rating."""
    message = assessments.Message(assessment_name="x", feedback=assessments.FeedbackValue(value=value))
    update = assessments.UpdateAssessment(assessment=message, update_mask="feedback")
    with nullcontext() if taken else pytest.raises(GatewayError, match="more than 10000 bytes"):
        assessments.read_change(update)


def test_deep_assessments() -> None:
    """A value nested too deeply is refused."""
    value: Any = 1
    for _ in range(2_000):
        value = [value]
    message = assessments.Message(assessment_name="x", feedback=assessments.FeedbackValue(value=value))
    update = assessments.UpdateAssessment(assessment=message, update_mask="feedback,rationale,,metadata")
    with pytest.raises(InvalidValue, match="deep"):
        assessments.read_change(update)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NotFound("x"), 404, "RESOURCE_DOES_NOT_EXIST"),
        (NotFound("x", code="unknown_path"), 404, "ENDPOINT_NOT_FOUND"),
        (MethodNotAllowed("x"), 404, "ENDPOINT_NOT_FOUND"),
        (GatewayError("x"), 500, "INTERNAL_ERROR"),
    ],
)
def test_errors(error: GatewayError, status: int, code: str) -> None:
    """Each status has MLflow's code; an unknown one is the server's fault."""
    found, body = errors.MLFLOW.write(error, None)
    assert (found, json.loads(body)) == (status, {"error_code": code, "message": "x"})


def test_errors_of_otlp() -> None:
    """A message, or the headers that are missing."""
    assert errors.OTLP.write(InvalidValue("x"), None) == (422, b'{"detail":"x"}')
    _, body = errors.OTLP.write(InvalidValue("x", details=[("h", "Field required")]), None)
    assert json.loads(body) == {"detail": [{"loc": ["header", "h"], "msg": "Field required"}]}


def test_what_is_missing_is_not_found() -> None:
    """As MLflow's RESOURCE_DOES_NOT_EXIST."""
    with pytest.raises(NotFound):
        checks.missing("x")


def test_defaults() -> None:
    """A trace that says little is in progress, in the experiment it names, now."""
    start = msgspec.json.decode(
        json.dumps({"trace": {"trace_info": {"trace_id": ID, "trace_location": {"mlflow_experiment": {}}}}}),
        type=traces.StartTrace,
    )
    read = traces.read_info(start.trace.trace_info, 77)
    assert (read.experiment_id, read.request_time, read.state, read.duration_ms) == ("0", 77, "IN_PROGRESS", None)


@pytest.mark.parametrize("bad", ["[" * 300 + "]" * 300, "[1e999]"])
def test_what_could_not_be_read_again_is_refused(bad: str) -> None:
    """JSON that could not be read again is refused, as a body and in a string."""
    with pytest.raises(InvalidValue, match=r"levels|too large"):
        body.decode(bad.encode(), list)
    with pytest.raises(InvalidValue, match=r"levels|too large"):
        body.decode_text(bad, list, "value")


@pytest.mark.parametrize("where", ['"\\ud800"', '[{"\\ud800": 1}]', '[{"key": "a", "value": {"\\udc00": 1}}]'])
def test_half_a_surrogate_pair_is_no_span(where: str) -> None:
    """Wherever it stands, also where a list or a field's name is wanted."""
    span = f'{{"traceId": "{1:032x}", "spanId": "{1:016x}", "attributes": {where}}}'
    text = f'{{"resourceSpans": [{{"scopeSpans": [{{"spans": [{span}]}}]}}]}}'
    with pytest.raises(BadRequest):
        otlp.decode(text.encode(), is_json=True)


def test_a_number_of_hundreds_of_digits_is_no_value() -> None:
    """A whole one, too, which no float can hold."""
    attributes = f'[{{"key": "a", "value": {{"doubleValue": {"9" * 400}}}}}]'
    span = f'{{"traceId": "{1:032x}", "spanId": "{1:016x}", "attributes": {attributes}}}'
    with pytest.raises((BadRequest, InvalidValue)):
        otlp.decode(f'{{"resourceSpans": [{{"scopeSpans": [{{"spans": [{span}]}}]}}]}}'.encode(), is_json=True)
