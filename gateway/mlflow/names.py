"""Keys that MLflow's clients give a meaning to: in metadata and tags, and in the attributes of a span.

Constants only. Used by wire/ and scripts/.
"""

from __future__ import annotations

# metadata of a trace
TRACE_SESSION = "mlflow.trace.session"
TRACE_USER = "mlflow.trace.user"
TRACE_USAGE = "mlflow.trace.tokenUsage"
TRACE_INPUTS = "mlflow.traceInputs"
TRACE_OUTPUTS = "mlflow.traceOutputs"
SCHEMA_VERSION = "mlflow.trace_schema.version"
SOURCE_RUN = "mlflow.sourceRun"
INFO_FINALIZED = "mlflow.trace.infoFinalized"  # set here: the client sent the trace's info, so spans only fill gaps

# tags of a trace
TRACE_NAME = "mlflow.traceName"
SPANS_LOCATION = "mlflow.trace.spansLocation"
ARTIFACT_LOCATION = "mlflow.artifactLocation"
LINKED_PROMPTS = "mlflow.linkedPrompts"

# attributes of a span
SPAN_TYPE = "mlflow.spanType"
SPAN_INPUTS = "mlflow.spanInputs"
SPAN_OUTPUTS = "mlflow.spanOutputs"
SPAN_MODEL = "mlflow.llm.model"
SPAN_USAGE = "mlflow.chat.tokenUsage"
REQUEST_ID = "mlflow.traceRequestId"
MESSAGE_FORMAT = "mlflow.message.format"
ROOT_TYPE, ATTEMPT_TYPE = "CHAT_MODEL", "LLM"  # SPAN_TYPE of a chat, and of each call to a provider within it
TRACE_TAG = "mlflow.traceTag."  # a prefix: the rest is the key of a trace's tag

# tags of a run, a dataset or a record
RUN_NAME = "mlflow.runName"
AUTHOR = "mlflow.user"
