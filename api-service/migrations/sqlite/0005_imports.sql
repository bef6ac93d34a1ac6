-- Imports that can go on where they stopped. `created_count` trees are there, the ones that `digest`
-- tells; it is compared and set by whoever goes on.
CREATE TABLE imports (
    owner_id      TEXT    NOT NULL,
    key           TEXT    NOT NULL,
    created_count INTEGER NOT NULL,
    digest        BLOB    NOT NULL,
    expires_at    INTEGER NOT NULL,
    PRIMARY KEY (owner_id, key)
) STRICT;

CREATE INDEX imports_by_expiry ON imports (expires_at);
