-- A rater's earlier ratings, and every value of a run's metrics.

-- The rating that took this one's place, where the `overrides` of none says so; its own ID: it never comes back.
ALTER TABLE assessments ADD COLUMN replaced_by TEXT;

-- What was retracted with its history so far. Until now, the time of each was looked at.
UPDATE assessments SET replaced_by = assessment_id WHERE assessment_id IN (
    SELECT older.assessment_id FROM assessments newest JOIN assessments older
    ON older.trace_id = newest.trace_id AND older.source_id = newest.source_id AND older.name = newest.name
    AND older.source_type = newest.source_type AND older.create_time <= newest.create_time
    WHERE newest.retracted IS NOT NULL
);

-- `run_values` has the latest of each metric.
CREATE TABLE metric_values (
    run_id TEXT NOT NULL,
    key TEXT NOT NULL,
    time BIGINT NOT NULL,
    step BIGINT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (run_id, key, time, step, value)
) WITHOUT ROWID;

INSERT INTO metric_values (run_id, key, time, step, value)
SELECT run_id, key, time, step, value FROM run_values WHERE kind = 'metric';
