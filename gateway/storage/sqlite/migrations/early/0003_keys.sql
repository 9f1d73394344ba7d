-- In place of ../0003_mlflow.sql for stores of the one commit that counted MLflow's tables as version 2: what they lack.
ALTER TABLE keys ADD COLUMN publishable INTEGER NOT NULL DEFAULT 0;

ALTER TABLE keys ADD COLUMN origins TEXT NOT NULL DEFAULT '[]';

ALTER TABLE keys ADD COLUMN requests_per_minute BIGINT NOT NULL DEFAULT 0;

ALTER TABLE keys ADD COLUMN expires BIGINT;

ALTER TABLE dataset_records ADD COLUMN source_id TEXT;

UPDATE dataset_records SET source_id = json_extract(source, '$.source_data.trace_id')
WHERE json_type(source, '$.source_data.trace_id') = 'text';

CREATE INDEX dataset_records_source ON dataset_records (source_id) WHERE source_id IS NOT NULL;
