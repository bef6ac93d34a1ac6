-- Users, their sessions, and the keys that sign access tokens.
-- Instants are milliseconds since the Unix epoch; ids are the 16 bytes of a UUID.

CREATE TABLE users (
    id                   BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    username             TEXT    NOT NULL,
    -- The name in lower case: what it is looked up and kept unique by.
    username_key         TEXT    NOT NULL UNIQUE,
    -- PHC string format.
    password_hash        TEXT    NOT NULL,
    -- Counts changes of the password, so that a login proven by an old one is not let in.
    password_version     INTEGER NOT NULL,
    status               TEXT    NOT NULL CHECK (status IN ('active', 'disabled')),
    -- Names separated by commas.
    roles                TEXT    NOT NULL,
    -- A session that began at or before this instant and has no row is not adopted.
    sessions_valid_after INTEGER NOT NULL,
    create_time          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row a session for as long as a token of it could come back: rotation updates it, so the table
-- does not grow with use. There is no foreign key: a logged-out session that a restored database
-- has forgotten leaves a tombstone here, whether or not its user is known.
CREATE TABLE sessions (
    id             BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    user_id        BLOB    NOT NULL CHECK (length(user_id) = 16),
    device_name    TEXT    NOT NULL,
    create_time    INTEGER NOT NULL,
    auth_time      INTEGER NOT NULL,
    generation     INTEGER NOT NULL CHECK (generation >= 0),
    -- The nonces of the newest token and of up to seven before it, newest first, 16 bytes each.
    nonces         BLOB    NOT NULL CHECK (length(nonces) BETWEEN 16 AND 128 AND length(nonces) % 16 = 0),
    last_keyed     INTEGER NOT NULL CHECK (last_keyed IN (0, 1)),
    rotated_at     INTEGER NOT NULL,
    idle_until     INTEGER NOT NULL,
    absolute_until INTEGER NOT NULL,
    revoked_at     INTEGER,
    revoke_reason  TEXT,
    CHECK ((revoked_at IS NULL) = (revoke_reason IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_user ON sessions (user_id, create_time DESC, id DESC);

CREATE TABLE signing_keys (
    -- The RFC 7638 thumbprint of the public key.
    kid         TEXT    NOT NULL PRIMARY KEY,
    state       TEXT    NOT NULL CHECK (state IN ('next', 'active', 'retired')),
    public_key  TEXT    NOT NULL,
    -- The private key, encrypted under the operator's master key.
    sealed_seed BLOB    NOT NULL,
    create_time INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- At most one key signs.
CREATE UNIQUE INDEX signing_keys_active ON signing_keys (state) WHERE state = 'active';
