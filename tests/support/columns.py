"""What every column of the store is, for erasure, retention, capture and export: whoever adds one says it here.

ours      numbers, times, and IDs and words of the gateway's own or of its configuration; they stay
operator  of whoever runs the gateway: keys, and notes between its processes; they stay
team      what a team writes about its work, such as an experiment's name: it goes by that team's own hand
person    an ID of a person, or one that a person brought: erasure removes it
words     what people wrote: erasure and retention remove it
content   words of prompts and answers, and errors that may quote them: `[capture] content` rules them as well
kept      retention leaves it, with the row, so that erasure must still find it
export    `gateway export` shows it
"""

from __future__ import annotations

_TABLES = """
traces
    trace_id root_span_id request_time end_time duration_ms first_token_ms prompt_tokens completion_tokens total_tokens
    usage_estimated project route state outcome model answered_model provider finish_reason error_code config_hash: ours
    experiment_id cost: ours
    key_id: operator
    session_id user_id client_request_id traceparent: person
    tags metadata name: words
    error_message request_preview response_preview request response parts: content
attachments
    project digest: ours
    data: content
trace_attachments
    trace_id digest project: ours
spans
    trace_id span_id parent_id kind start_ms end_ms status tokens covered: ours
    name type otlp: words
    message attributes: content
checkpoints
    trace_id seq time: ours
    parts: content
sessions
    project created: ours
    session_id user_id: person
assessments
    assessment_id trace_id project model kind source_type create_time last_update_time overrides replaced_by valid
    retracted: ours
    name value metadata rationale span_id error: words
    source_id: person kept
idempotency
    project body_hash created: ours
    source_id: person
    key receipt: words
keys
    key_id name role project key_hash hint created revoked last_used publishable origins requests_per_minute
    expires: operator
meta
    name value: operator
labels
    trace_id kind project: ours
    key value: words
trace_artifacts
    trace_id project: ours
    data: words
experiments
    project experiment_id lifecycle_stage creation_time last_update_time: ours
    name tags: team
runs
    run_id project experiment_id status lifecycle_stage start_time end_time: ours
    name: team
    user_id: person kept
run_values
    run_id kind step time: ours
    key value: team
metric_values
    run_id time step value: ours
    key: team
run_traces
    run_id trace_id: ours
datasets
    dataset_id project digest created_time last_update_time experiment_ids profile: ours
    name tags: team
    created_by last_updated_by: person kept
    schema: words kept
dataset_records
    dataset_id record_id input_hash created_time last_update_time source_id: ours
    created_by last_updated_by: person kept
    inputs outputs expectations tags source: words kept
sign_ins
    sign_in_hash project role way created expires ends: ours
    behind: operator
    user_id: person kept
people
    project role way first_seen last_seen: ours
    user_id last_address: person kept
invites
    invite_id project role labeling_sessions invite_hash created expires revoked first_used last_used: ours
    user_id created_by last_address: person kept
dataset_sources
    dataset_id record_id trace_id: ours
    user_id: person kept
"""
_EXPORTED = {
    "traces": "trace_id project route state outcome request_time end_time duration_ms first_token_ms model"
    " answered_model provider session_id user_id client_request_id finish_reason error_code error_message prompt_tokens"
    " completion_tokens total_tokens usage_estimated traceparent key_id config_hash tags metadata request_preview"
    " response_preview request response parts cost",
    "assessments": "assessment_id trace_id project model kind name value source_type source_id span_id create_time"
    " last_update_time overrides valid retracted rationale metadata",
}
KINDS = {"ours", "operator", "team", "person", "words", "content"}


def _read() -> dict[tuple[str, str], frozenset[str]]:
    found: dict[tuple[str, str], frozenset[str]] = {}
    table, names = "", list[str]()
    for line in _TABLES.strip().splitlines():
        if not line.startswith(" "):
            table = line
            continue
        left, colon, flags = line.partition(":")
        names += left.split()
        if colon:
            found |= {(table, name): frozenset(flags.split()) for name in names}
            names = []
    for table, exported in _EXPORTED.items():
        for name in exported.split():
            found[table, name] |= {"export"}
    return found


COLUMNS = _read()


def those(*flags: str) -> list[tuple[str, str]]:
    """Table and column of all that have one of these flags."""
    return [place for place, found in COLUMNS.items() if found.intersection(flags)]
