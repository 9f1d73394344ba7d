-- Keys that may stand in a web page, and keys that end by themselves.
ALTER TABLE keys ADD COLUMN publishable INTEGER NOT NULL DEFAULT 0;

ALTER TABLE keys ADD COLUMN origins TEXT NOT NULL DEFAULT '[]';

ALTER TABLE keys ADD COLUMN requests_per_minute BIGINT NOT NULL DEFAULT 0;

ALTER TABLE keys ADD COLUMN expires BIGINT;
