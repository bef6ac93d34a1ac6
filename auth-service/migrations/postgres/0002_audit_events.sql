-- What a security reviewer asks for later, until its retention ends.

CREATE TABLE audit_events (
    time       bigint NOT NULL,
    id         uuid   NOT NULL,
    kind       text   NOT NULL,
    user_id    uuid,
    session_id uuid,
    -- Where the request came from, as an IP address.
    address    text,
    device     text   NOT NULL,
    -- By time, so that what is old is found without a search.
    PRIMARY KEY (time, id)
);

-- Finds the sessions that no token can come back to. A rotation does not touch it.
CREATE INDEX sessions_by_end ON sessions (absolute_until);
