-- The tokens of a client's span, and whether a span above it has a count, which then stands for this one's: the sum of a
-- trace is kept as spans come, without a look at all of them.

ALTER TABLE spans ADD COLUMN tokens TEXT;

ALTER TABLE spans ADD COLUMN covered BIGINT NOT NULL DEFAULT 0;

-- Of one expression, as the planner would else take the primary key and look at all spans of a trace.
CREATE INDEX spans_by_parent ON spans ((trace_id || '/' || parent_id)) WHERE otlp IS NOT NULL AND covered = 0;
