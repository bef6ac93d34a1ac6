-- Services that call by themselves, with a secret instead of a password.

CREATE TABLE service_accounts (
    id                   BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    name                 TEXT    NOT NULL,
    -- The name in lower case: what it is kept unique by.
    name_key             TEXT    NOT NULL UNIQUE,
    -- SHA-256: the secret is random, so there is nothing to guess.
    secret_hash          BLOB    NOT NULL CHECK (length(secret_hash) = 32),
    -- The secret before the last rotation, good until its overlap ends.
    previous_secret_hash BLOB    CHECK (length(previous_secret_hash) = 32),
    previous_until       INTEGER,
    -- Names separated by commas.
    roles                TEXT    NOT NULL,
    status               TEXT    NOT NULL CHECK (status IN ('active', 'disabled')),
    -- Counts the changes after which access tokens are stale: of the roles, and disabling.
    roles_version        INTEGER NOT NULL DEFAULT 0,
    -- When the last of them was; null if there was none.
    roles_changed_at     INTEGER,
    create_time          INTEGER NOT NULL,
    CHECK ((previous_secret_hash IS NULL) = (previous_until IS NULL))
) STRICT, WITHOUT ROWID;
