-- Services that call by themselves, with a secret instead of a password.

CREATE TABLE service_accounts (
    id                   uuid    NOT NULL PRIMARY KEY,
    name                 text    NOT NULL,
    -- The name in lower case: what it is kept unique by.
    name_key             text    NOT NULL UNIQUE,
    -- SHA-256: the secret is random, so there is nothing to guess.
    secret_hash          bytea   NOT NULL CHECK (length(secret_hash) = 32),
    -- The secret before the last rotation, good until its overlap ends.
    previous_secret_hash bytea   CHECK (length(previous_secret_hash) = 32),
    previous_until       bigint,
    -- Names separated by commas.
    roles                text    NOT NULL,
    status               text    NOT NULL CHECK (status IN ('active', 'disabled')),
    -- Counts the changes after which access tokens are stale: of the roles, and disabling.
    roles_version        bigint  NOT NULL DEFAULT 0,
    -- When the last of them was; null if there was none.
    roles_changed_at     bigint,
    create_time          bigint  NOT NULL,
    CHECK ((previous_secret_hash IS NULL) = (previous_until IS NULL))
);
