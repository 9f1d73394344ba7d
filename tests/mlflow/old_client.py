"""As much as any client since 3.5 can do, `mlflow-tracing` too: `old_client.py TRACKING PACKAGE`, answers on stdout."""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
from typing import Any

os.environ |= {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_ASYNC_TRACE_LOGGING": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
}

import mlflow
from mlflow.entities import AssessmentSource, Feedback

ANN = AssessmentSource(source_type="HUMAN", source_id="ann")


@mlflow.trace(span_type="TOOL")
def look_up(word: str) -> dict[str, Any]:
    return {"word": word}


@mlflow.trace
def answer(question: str) -> dict[str, Any]:
    mlflow.update_current_trace(tags={"env": "old"}, metadata={"mlflow.trace.session": "s-old"})
    return look_up(question)


def main(tracking: str) -> None:
    mlflow.set_tracking_uri(tracking)
    mlflow.set_experiment("old clients")
    answer("Größe?")
    trace_id = mlflow.get_last_active_trace_id()
    trace = mlflow.get_trace(trace_id)
    first = mlflow.log_feedback(trace_id=trace_id, name="thumb", value=True, source=ANN, rationale="fine")
    mlflow.update_assessment(trace_id, first.assessment_id, Feedback(name="thumb", value=False))
    second = mlflow.override_feedback(trace_id=trace_id, assessment_id=first.assessment_id, value=0.5, source=ANN)
    overridden = mlflow.get_assessment(trace_id, first.assessment_id).valid
    mlflow.delete_assessment(trace_id, second.assessment_id)
    mlflow.log_expectation(trace_id=trace_id, name="facts", value={"a": [1]}, source=ANN)
    found = mlflow.search_traces(
        filter_string="tags.env = 'old' AND feedback.thumb = 'false'", return_type="list", **_place()
    )
    info = mlflow.get_trace(trace_id).info
    told = {
        "version": importlib.metadata.version(sys.argv[2]),
        "spans": [span.name for span in trace.data.spans],
        "inputs": trace.data.spans[0].inputs,
        "outputs": trace.data.spans[0].outputs,
        "overridden": overridden,
        "found": [each.info.trace_id == trace_id for each in found],
        "found_spans": [len(each.data.spans) for each in found],
        "assessments": sorted([each.name, each.value, each.valid] for each in info.assessments),
        "tags": info.tags["env"],
    }
    print("\n" + json.dumps(told, default=str))


def _place() -> dict[str, Any]:
    """Where to search; the smaller client has no experiment of its own there."""
    from mlflow.tracking.fluent import _get_experiment_id

    return {"locations": [_get_experiment_id()]}


if __name__ == "__main__":
    main(sys.argv[1])
