-- What a security reviewer asks for later, until its retention ends.

CREATE TABLE audit_events (
    time       INTEGER NOT NULL,
    id         BLOB    NOT NULL CHECK (length(id) = 16),
    kind       TEXT    NOT NULL,
    user_id    BLOB    CHECK (length(user_id) = 16),
    session_id BLOB    CHECK (length(session_id) = 16),
    -- Where the request came from, as an IP address.
    address    TEXT,
    device     TEXT    NOT NULL,
    -- Clustered by time, so that what is old goes without a search.
    PRIMARY KEY (time, id)
) STRICT, WITHOUT ROWID;

-- Finds the sessions that no token can come back to. A rotation does not touch it.
CREATE INDEX sessions_by_end ON sessions (absolute_until);
