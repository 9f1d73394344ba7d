"""Works with chats that MLflow never saw, by its client: `over_chats.py TRACKING`, answers as JSON on stdout."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}

import mlflow
from mlflow.genai import scorer
from mlflow.genai.datasets import create_dataset


@scorer
def answered(outputs: Any) -> bool:
    return bool(outputs["choices"][0]["message"]["content"])


def main(tracking: str) -> None:
    mlflow.set_tracking_uri(tracking)
    mlflow.set_experiment("Default")
    found = mlflow.search_traces(return_type="list")
    traces = [
        {
            "trace_id": trace.info.trace_id,
            "outcome": trace.info.trace_metadata["gateway.outcome"],
            "session": trace.info.trace_metadata["mlflow.trace.session"],
            "user": trace.info.trace_metadata["mlflow.trace.user"],
            "tokens": trace.info.token_usage["total_tokens"],
            "inputs": trace.data.spans[0].inputs,
            "outputs": trace.data.spans[0].outputs,
            "types": [span.span_type for span in trace.data.spans],
            "ratings": {rating.name: rating.value for rating in trace.info.assessments},
        }
        for trace in found
    ]
    mlflow.log_expectation(trace_id=found[0].info.trace_id, name="expected", value="something")
    cases = create_dataset(name="from chats", experiment_id="0")
    cases.merge_records(mlflow.search_traces(return_type="list"))
    result = mlflow.genai.evaluate(data=mlflow.search_traces(), scorers=[answered])
    told = {
        "traces": traces,
        "sessions": [len(session) for session in mlflow.search_sessions(locations=["0"])],
        "records": len(cases.to_df()),
        "metrics": {name: float(value) for name, value in result.metrics.items()},
        "linked": len(mlflow.search_traces(run_id=result.run_id, return_type="list")),
    }
    print("\n" + json.dumps(told, default=str))


if __name__ == "__main__":
    main(*sys.argv[1:])
