-- Secrets of services that were replaced, each good until its own overlap ends.
CREATE TABLE replaced_secrets (
    service_id     BLOB    NOT NULL CHECK (length(service_id) = 16),
    secret_hash    BLOB    NOT NULL CHECK (length(secret_hash) = 32),
    accepted_until INTEGER NOT NULL,
    PRIMARY KEY (service_id, secret_hash)
) STRICT, WITHOUT ROWID;

INSERT INTO replaced_secrets (service_id, secret_hash, accepted_until)
SELECT id, previous_secret_hash, previous_until
FROM service_accounts WHERE previous_secret_hash IS NOT NULL;

-- Columns that a CHECK names cannot be dropped: the table is made anew without them.
CREATE TABLE service_accounts_next (
    id               BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    name             TEXT    NOT NULL,
    -- The name in lower case: what it is kept unique by.
    name_key         TEXT    NOT NULL UNIQUE,
    -- SHA-256: the secret is random, so there is nothing to guess.
    secret_hash      BLOB    NOT NULL CHECK (length(secret_hash) = 32),
    -- Names separated by commas.
    roles            TEXT    NOT NULL,
    status           TEXT    NOT NULL CHECK (status IN ('active', 'disabled')),
    -- Goes up with the changes after which access tokens are stale: of the roles, and disabling.
    roles_version    INTEGER NOT NULL DEFAULT 0,
    -- When the last of them was; null if there was none.
    roles_changed_at INTEGER,
    create_time      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO service_accounts_next (id, name, name_key, secret_hash, roles, status, roles_version,
                                   roles_changed_at, create_time)
SELECT id, name, name_key, secret_hash, roles, status, roles_version, roles_changed_at, create_time
FROM service_accounts;

DROP TABLE service_accounts;
ALTER TABLE service_accounts_next RENAME TO service_accounts;

CREATE INDEX service_accounts_by_change_of_roles ON service_accounts (roles_changed_at)
WHERE roles_changed_at IS NOT NULL;

-- Signing keys that others knew, so that withdrawing one again withdraws no other.
CREATE TABLE withdrawn_keys (
    kid           TEXT    NOT NULL PRIMARY KEY,
    withdraw_time INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The longest that any instance promised while the key waited or signed, in milliseconds: how long it
-- is published before it signs, and after. A lowered setting does not shorten what was promised.
ALTER TABLE signing_keys ADD COLUMN longest_lead INTEGER NOT NULL DEFAULT 0;
ALTER TABLE signing_keys ADD COLUMN longest_retention INTEGER NOT NULL DEFAULT 0;

-- Who did it, if not the account that it is about: 'operator', or 'user:' or 'service:' and an id.
ALTER TABLE audit_events ADD COLUMN actor TEXT;
-- What was set.
ALTER TABLE audit_events ADD COLUMN detail TEXT NOT NULL DEFAULT '';

-- Those of whom one must be left.
CREATE INDEX users_who_administer ON users (id) WHERE status = 'active' AND roles LIKE '%admin%';
