"""Keys in metadata and tags of stored traces, and types of spans, that searches know. Constants only.

Most are MLflow's words, as they are in every store; mlflow/names.py has those that its own codecs alone need.
"""

from __future__ import annotations

# metadata of a trace
TRACE_SESSION = "mlflow.trace.session"
TRACE_USER = "mlflow.trace.user"
TRACE_USAGE = "mlflow.trace.tokenUsage"
SOURCE_RUN = "mlflow.sourceRun"
OUTCOME = "gateway.outcome"

# Marks of traces that are no one's chat: metadata that the gateway alone writes.
CALLER = "gateway.caller"
JUDGE, REVIEW = "judge", "review"  # its values
COPY_OF = "gateway.copy_of"  # the trace that a labeling session has a copy of
MARKS = frozenset({CALLER, COPY_OF})

# tags of a trace
TRACE_NAME = "mlflow.traceName"
LINKED_PROMPTS = "mlflow.linkedPrompts"
SOURCE_SCORER = "mlflow.trace.sourceScorer"  # of what a client's judge did itself

RUN_TYPE, EVALUATION = "mlflow.runType", "genai_evaluate"  # tag of a run, and its value for an evaluation

# attributes of a span
SPAN_INPUTS = "mlflow.spanInputs"
SPAN_OUTPUTS = "mlflow.spanOutputs"
ROOT_TYPE, ATTEMPT_TYPE = "CHAT_MODEL", "LLM"  # type of a chat's span, and of each call to a provider within it
