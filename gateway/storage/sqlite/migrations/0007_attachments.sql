-- Pictures and other large data in messages, which each turn of a conversation quotes again: once for each project.

CREATE TABLE attachments (
    project TEXT NOT NULL,
    digest TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (project, digest)
);

-- Which traces' `request` has which of them, as "gateway-attachment:DIGEST" in its place.
CREATE TABLE trace_attachments (
    trace_id TEXT NOT NULL,
    digest TEXT NOT NULL,
    project TEXT NOT NULL,
    PRIMARY KEY (trace_id, digest)
) WITHOUT ROWID;

CREATE INDEX trace_attachments_by_digest ON trace_attachments (project, digest);
