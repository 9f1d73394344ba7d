-- What MLflow's clients bring along: traces made elsewhere, experiments, runs, datasets.

-- A trace that a client made itself has the route 'mlflow', no outcome, and its spans whole in `otlp`.
ALTER TABLE traces ADD COLUMN experiment_id TEXT NOT NULL DEFAULT '0';

ALTER TABLE traces ADD COLUMN name TEXT;

-- In the order in which pages are read.
CREATE INDEX traces_newest ON traces (project, experiment_id, request_time DESC, trace_id);

ALTER TABLE spans ADD COLUMN type TEXT;

ALTER TABLE spans ADD COLUMN otlp TEXT;

ALTER TABLE assessments ADD COLUMN error TEXT;

-- Long values are not looked up by equality, and would only swell the index.
CREATE INDEX assessments_of_value ON assessments (project, name, value) WHERE LENGTH(value) <= 250;

-- Tags and metadata of traces once more, one a row, for the search. `kind`: tag, metadata.
CREATE TABLE labels (
    trace_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    project TEXT NOT NULL,
    PRIMARY KEY (trace_id, kind, key)
) WITHOUT ROWID;

CREATE INDEX labels_of_value ON labels (project, kind, key, value) WHERE LENGTH(value) <= 250;

INSERT INTO labels (trace_id, kind, key, value, project)
SELECT t.trace_id, 'tag', j.key, j.value, t.project FROM traces t, json_each(t.tags) j WHERE t.tags <> '{}'
UNION ALL
SELECT t.trace_id, 'metadata', j.key, j.value, t.project FROM traces t, json_each(t.metadata) j WHERE t.metadata <> '{}';

-- Every project has an experiment 0, "Default", from when it is first asked for.
CREATE TABLE experiments (
    project TEXT NOT NULL,
    experiment_id TEXT NOT NULL,
    name TEXT NOT NULL,
    lifecycle_stage TEXT NOT NULL,
    creation_time BIGINT NOT NULL,
    last_update_time BIGINT NOT NULL,
    tags TEXT NOT NULL,
    PRIMARY KEY (project, experiment_id)
) WITHOUT ROWID;

CREATE UNIQUE INDEX experiments_name ON experiments (project, name);

CREATE TABLE runs (
    run_id TEXT PRIMARY KEY NOT NULL,
    project TEXT NOT NULL,
    experiment_id TEXT NOT NULL,
    name TEXT NOT NULL,
    user_id TEXT NOT NULL,
    status TEXT NOT NULL,
    lifecycle_stage TEXT NOT NULL,
    start_time BIGINT NOT NULL,
    end_time BIGINT
);

CREATE INDEX runs_newest ON runs (project, experiment_id, start_time DESC, run_id);

-- `kind`: tag, param, metric (the last value), input (a dataset, as JSON).
CREATE TABLE run_values (
    run_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    step BIGINT NOT NULL,
    time BIGINT NOT NULL,
    PRIMARY KEY (run_id, kind, key)
) WITHOUT ROWID;

CREATE TABLE run_traces (
    run_id TEXT NOT NULL,
    trace_id TEXT NOT NULL,
    PRIMARY KEY (run_id, trace_id)
) WITHOUT ROWID;

CREATE INDEX run_traces_of_trace ON run_traces (trace_id);

CREATE TABLE datasets (
    dataset_id TEXT PRIMARY KEY NOT NULL,
    project TEXT NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    created_time BIGINT NOT NULL,
    last_update_time BIGINT NOT NULL,
    created_by TEXT,
    last_updated_by TEXT,
    experiment_ids TEXT NOT NULL,
    tags TEXT NOT NULL,
    schema TEXT,
    profile TEXT
);

CREATE INDEX datasets_newest ON datasets (project, created_time DESC, dataset_id DESC);

-- One record for the same inputs.
CREATE TABLE dataset_records (
    dataset_id TEXT NOT NULL,
    record_id TEXT NOT NULL,
    input_hash TEXT NOT NULL,
    created_time BIGINT NOT NULL,
    last_update_time BIGINT NOT NULL,
    created_by TEXT,
    last_updated_by TEXT,
    inputs TEXT NOT NULL,
    outputs TEXT,
    expectations TEXT,
    tags TEXT,
    source TEXT,
    source_id TEXT, -- the trace it was taken from
    PRIMARY KEY (dataset_id, record_id)
) WITHOUT ROWID;

CREATE INDEX dataset_records_source ON dataset_records (source_id) WHERE source_id IS NOT NULL;

CREATE UNIQUE INDEX dataset_records_inputs ON dataset_records (dataset_id, input_hash);

-- Spans of older clients, which send them as a file.
CREATE TABLE trace_artifacts (
    trace_id TEXT PRIMARY KEY NOT NULL,
    project TEXT NOT NULL,
    data TEXT NOT NULL
);
