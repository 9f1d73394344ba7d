-- People who sign in to the web app. Of the cookie, and of an invitation, only the hash is here.

-- `way`: key, invite, oidc. `behind`: the ID of the key or invitation with which it ends.
CREATE TABLE sign_ins (
    sign_in_hash TEXT PRIMARY KEY NOT NULL,
    project TEXT NOT NULL,
    user_id TEXT NOT NULL,
    role TEXT NOT NULL,
    way TEXT NOT NULL,
    behind TEXT,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    ends BIGINT
) WITHOUT ROWID;

CREATE INDEX sign_ins_expire ON sign_ins (expires);

-- Whoever has signed in, or was seen by a proxy.
CREATE TABLE people (
    project TEXT NOT NULL,
    user_id TEXT NOT NULL,
    role TEXT NOT NULL,
    way TEXT NOT NULL,
    first_seen BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    last_address TEXT NOT NULL,
    PRIMARY KEY (project, user_id)
) WITHOUT ROWID;

CREATE TABLE invites (
    invite_id TEXT PRIMARY KEY NOT NULL,
    project TEXT NOT NULL,
    user_id TEXT NOT NULL,
    role TEXT NOT NULL,
    labeling_sessions TEXT NOT NULL,
    invite_hash TEXT NOT NULL,
    created BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    expires BIGINT NOT NULL,
    revoked BIGINT,
    first_used BIGINT,
    last_used BIGINT,
    last_address TEXT
);

CREATE UNIQUE INDEX invites_hash ON invites (invite_hash);

CREATE INDEX invites_of_person ON invites (project, user_id);
