-- What lists of traces show and look for.

ALTER TABLE traces ADD COLUMN cost DOUBLE PRECISION;

-- Most answers end well, and write nothing here; those that didn't are few, and looked for often.
CREATE INDEX traces_by_outcome ON traces (project, experiment_id, outcome, request_time DESC, trace_id)
    WHERE outcome <> 'complete';
