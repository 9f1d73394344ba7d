-- All traces that a record of a dataset was taken from, also those that came with a later upsert.

-- `user_id` is filled in when the trace is deleted, so that what stays of it can still be erased.
CREATE TABLE dataset_sources (
    dataset_id TEXT NOT NULL,
    record_id TEXT NOT NULL,
    trace_id TEXT NOT NULL,
    user_id TEXT,
    PRIMARY KEY (dataset_id, record_id, trace_id)
) WITHOUT ROWID;

CREATE INDEX dataset_sources_of_trace ON dataset_sources (trace_id);

INSERT INTO dataset_sources (dataset_id, record_id, trace_id)
SELECT dataset_id, record_id, source_id FROM dataset_records WHERE source_id IS NOT NULL;

DROP INDEX dataset_records_source;
