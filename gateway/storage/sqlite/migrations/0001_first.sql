-- Times are milliseconds UTC, JSON is TEXT, truth is 0 or 1. Ids are made by the services.

-- What is long comes last: SQLite reads a row's first columns without touching its overflow pages.
CREATE TABLE traces (
    trace_id TEXT PRIMARY KEY NOT NULL,
    root_span_id TEXT NOT NULL,
    project TEXT NOT NULL,
    route TEXT NOT NULL,
    state TEXT NOT NULL,
    outcome TEXT,
    request_time BIGINT NOT NULL,
    end_time BIGINT,
    duration_ms BIGINT,
    first_token_ms BIGINT,
    model TEXT NOT NULL,
    answered_model TEXT,
    provider TEXT,
    session_id TEXT NOT NULL,
    user_id TEXT,
    client_request_id TEXT,
    finish_reason TEXT,
    error_code TEXT,
    error_message TEXT,
    prompt_tokens BIGINT,
    completion_tokens BIGINT,
    total_tokens BIGINT,
    usage_estimated INTEGER NOT NULL DEFAULT 0,
    traceparent TEXT,
    key_id TEXT,
    config_hash TEXT NOT NULL,
    tags TEXT NOT NULL,
    metadata TEXT NOT NULL,
    request_preview TEXT,
    response_preview TEXT,
    request TEXT,
    response TEXT,
    parts TEXT
);

CREATE INDEX traces_of_session ON traces (project, session_id, request_time);

CREATE INDEX traces_of_client_request ON traces (project, client_request_id, request_time)
    WHERE client_request_id IS NOT NULL;

-- For `tail` and retention; a running trace isn't in it.
CREATE INDEX traces_ended ON traces (end_time) WHERE end_time IS NOT NULL;

-- Always small; it makes recovery independent of how many traces there are.
CREATE INDEX traces_running ON traces (request_time) WHERE end_time IS NULL;

CREATE TABLE spans (
    trace_id TEXT NOT NULL,
    span_id TEXT NOT NULL,
    parent_id TEXT,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    start_ms BIGINT NOT NULL,
    end_ms BIGINT NOT NULL,
    status TEXT NOT NULL,
    message TEXT,
    attributes TEXT NOT NULL,
    PRIMARY KEY (trace_id, span_id)
) WITHOUT ROWID;

-- Text of running answers, for the day the process is killed.
CREATE TABLE checkpoints (
    trace_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    time BIGINT NOT NULL,
    parts TEXT NOT NULL,
    PRIMARY KEY (trace_id, seq)
) WITHOUT ROWID;

CREATE TABLE sessions (
    project TEXT NOT NULL,
    session_id TEXT NOT NULL,
    user_id TEXT,
    created BIGINT NOT NULL,
    PRIMARY KEY (project, session_id)
) WITHOUT ROWID;

-- `project` and `model` (asked for) repeat the trace's, so that reports outlive it.
CREATE TABLE assessments (
    assessment_id TEXT PRIMARY KEY NOT NULL,
    trace_id TEXT NOT NULL,
    project TEXT NOT NULL,
    model TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    source_type TEXT NOT NULL,
    source_id TEXT NOT NULL,
    span_id TEXT,
    create_time BIGINT NOT NULL,
    last_update_time BIGINT NOT NULL,
    overrides TEXT,
    valid INTEGER NOT NULL,
    retracted BIGINT,
    metadata TEXT NOT NULL,
    rationale TEXT
);

CREATE INDEX assessments_of_trace ON assessments (trace_id, source_id, name);

CREATE INDEX assessments_created ON assessments (create_time);

CREATE INDEX assessments_retracted ON assessments (retracted) WHERE retracted IS NOT NULL;

CREATE TABLE idempotency (
    project TEXT NOT NULL,
    source_id TEXT NOT NULL,
    key TEXT NOT NULL,
    body_hash TEXT NOT NULL,
    receipt TEXT NOT NULL,
    created BIGINT NOT NULL,
    PRIMARY KEY (project, source_id, key)
) WITHOUT ROWID;

CREATE INDEX idempotency_created ON idempotency (created);

CREATE TABLE keys (
    key_id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    project TEXT NOT NULL,
    key_hash TEXT NOT NULL,
    hint TEXT NOT NULL,
    created BIGINT NOT NULL,
    revoked BIGINT,
    last_used BIGINT
);

CREATE UNIQUE INDEX keys_active_name ON keys (name) WHERE revoked IS NULL;

-- Small facts about the store itself, such as the last write that a health check made.
CREATE TABLE meta (
    name TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
) WITHOUT ROWID;
