"""Keys that MLflow's clients give a meaning to: in metadata and tags, and in the attributes of a span.

Constants only. Used by wire/ and scripts/. Those that searches know, too, are domain/names.py's.
"""

from __future__ import annotations

from gateway.domain.names import ATTEMPT_TYPE as ATTEMPT_TYPE
from gateway.domain.names import LINKED_PROMPTS as LINKED_PROMPTS
from gateway.domain.names import ROOT_TYPE as ROOT_TYPE
from gateway.domain.names import SOURCE_RUN as SOURCE_RUN
from gateway.domain.names import SPAN_INPUTS as SPAN_INPUTS
from gateway.domain.names import SPAN_OUTPUTS as SPAN_OUTPUTS
from gateway.domain.names import TRACE_NAME as TRACE_NAME
from gateway.domain.names import TRACE_SESSION as TRACE_SESSION
from gateway.domain.names import TRACE_USAGE as TRACE_USAGE
from gateway.domain.names import TRACE_USER as TRACE_USER

# metadata of a trace
TRACE_INPUTS = "mlflow.traceInputs"
TRACE_OUTPUTS = "mlflow.traceOutputs"
SCHEMA_VERSION = "mlflow.trace_schema.version"
INFO_FINALIZED = "mlflow.trace.infoFinalized"  # set here: the client sent the trace's info, so spans only fill gaps

# tags of a trace
SPANS_LOCATION = "mlflow.trace.spansLocation"
ARTIFACT_LOCATION = "mlflow.artifactLocation"

# attributes of a span
SPAN_TYPE = "mlflow.spanType"
SPAN_MODEL = "mlflow.llm.model"
SPAN_USAGE = "mlflow.chat.tokenUsage"
REQUEST_ID = "mlflow.traceRequestId"
MESSAGE_FORMAT = "mlflow.message.format"
TRACE_TAG = "mlflow.traceTag."  # a prefix: the rest is the key of a trace's tag

# tags of a run, a dataset or a record
RUN_NAME = "mlflow.runName"
AUTHOR = "mlflow.user"
