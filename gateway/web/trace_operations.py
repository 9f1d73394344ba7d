"""What the routes of traces and of judges take and give: their part of operations.py, for /openapi.json."""

from __future__ import annotations

from gateway.web.operation import Operation
from gateway.web.operations import CompletionBody
from gateway.wire.span_content import SpanReply
from gateway.wire.trace_query import PAGE, QUERY
from gateway.wire.traces import CountReply, FacetsReply, TraceDetail, TracePage

TRACE_PARAMETERS: dict[str, str] = {
    "filter": "Which traces, in MLflow's grammar with `OR`, `NOT`, parentheses and the names `trace.session`, "
    "`trace.user`, `outcome`, `model`, `provider` and `route`, such as "
    "`outcome = 'timeout' OR feedback.user_feedback = 'false'`.",
    "q": "A text that the preview of the question or of the answer has, in any case of its letters.",
    "from": "The first moment of the chats: milliseconds UTC, or RFC 3339. Without it, from the first on.",
    "to": "The moment before which the chats began.",
    "experiment": "IDs of experiments, with commas between. Without it, all of the project.",
    "include": "What is left out otherwise, with commas between: `judges`, `evaluations`, `review`, `copies`.",
    "format": "`jsonl`, `csv` or `parquet`; without it, `jsonl`.",
    "order_by": "Names with `ASC` or `DESC`, with commas between, such as `feedback.accuracy DESC`. Without it, the "
    "newest come first.",
    "limit": "How many at once: 50, and 500 at most.",
    "page_token": "`next_page_token` of the page before.",
    "history": "`1`: also assessments that were overridden or retracted.",
    "span_token": "`next_span_token` of the reply before: for what comes after 2,000 spans.",
    "full": "`1`: whole, however long it is.",
}

TRACE_OPERATIONS: dict[tuple[str, str], Operation] = {
    ("POST", "/gateway/mlflow/v1/chat/completions"): Operation(
        group="OpenAI",
        summary="Ask a model that judges",
        description="`/v1/chat/completions` for judges of MLflow's clients (`gateway:/MODEL`), which send a key as the "
        "password of Basic credentials. It reaches models with `judge = true` alone.",
        body=(CompletionBody,),
        reply="ChatCompletion",
        streamed=True,
        provider=True,
    ),
    ("GET", "/traces"): Operation(
        group="Traces",
        summary="List traces with their assessments",
        description="Pages stay as they are, whatever comes meanwhile. Judges' own calls, evaluations, reviewers' "
        "chats and copies for labeling are left out unless `include` names them.",
        query=(*QUERY, *PAGE),
        reply=TracePage,
    ),
    ("GET", "/traces/count"): Operation(
        group="Traces",
        summary="Count the traces that a list would show",
        query=QUERY,
        reply=CountReply,
    ),
    ("GET", "/traces/export"): Operation(
        group="Traces",
        summary="Get the traces that a list would show as a file",
        description="The newest first, all of them: `X-Total-Count` says how many. A line of JSON Lines is a trace as "
        "in the list; tables have a column for each name of assessments. Parquet needs the extra `parquet`.",
        query=(*QUERY, "format"),
        media="application/x-ndjson",
    ),
    ("GET", "/traces/facets"): Operation(
        group="Traces",
        summary="Tell what the traces that a list would show have in common",
        description="Names and values of assessments, models, outcomes and keys of tags, for columns and suggestions.",
        query=QUERY,
        reply=FacetsReply,
    ),
    ("GET", "/traces/{trace_id}"): Operation(
        group="Traces",
        summary="Show a trace and the tree of its spans",
        description="The spans come without what they hold, 2,000 at once.",
        query=("history", "span_token"),
        reply=TraceDetail,
    ),
    ("GET", "/traces/{trace_id}/spans/{span_id}"): Operation(
        group="Traces",
        summary="Show what a span holds",
        description="Of a field with more than 64 kB comes its beginning; `cut` names it.",
        query=("full",),
        reply=SpanReply,
    ),
}
