-- Users, their sessions, and the keys that sign access tokens.
-- Instants are milliseconds since the Unix epoch.

CREATE TABLE users (
    id                   uuid    NOT NULL PRIMARY KEY,
    username             text    NOT NULL,
    -- The name in lower case: what it is looked up and kept unique by.
    username_key         text    NOT NULL UNIQUE,
    -- PHC string format.
    password_hash        text    NOT NULL,
    -- Counts changes of the password, so that a login proven by an old one is not let in.
    password_version     bigint  NOT NULL,
    status               text    NOT NULL CHECK (status IN ('active', 'disabled')),
    -- Names separated by commas.
    roles                text    NOT NULL,
    -- A session that began at or before this instant and has no row is not adopted.
    sessions_valid_after bigint  NOT NULL,
    create_time          bigint  NOT NULL
);

-- One row a session for as long as a token of it could come back: rotation updates it, so the table
-- does not grow with use. There is no foreign key: a logged-out session that a restored database
-- has forgotten leaves a tombstone here, whether or not its user is known.
CREATE TABLE sessions (
    id             uuid    NOT NULL PRIMARY KEY,
    user_id        uuid    NOT NULL,
    device_name    text    NOT NULL,
    create_time    bigint  NOT NULL,
    auth_time      bigint  NOT NULL,
    generation     bigint  NOT NULL CHECK (generation >= 0),
    -- The nonces of the newest token and of up to seven before it, newest first, 16 bytes each.
    nonces         bytea   NOT NULL CHECK (length(nonces) BETWEEN 16 AND 128 AND length(nonces) % 16 = 0),
    last_keyed     boolean NOT NULL,
    rotated_at     bigint  NOT NULL,
    idle_until     bigint  NOT NULL,
    absolute_until bigint  NOT NULL,
    revoked_at     bigint,
    revoke_reason  text,
    CHECK ((revoked_at IS NULL) = (revoke_reason IS NULL))
)
-- A rotation changes no indexed column: with room in its page the new version of the row stays
-- there, and no index is written.
WITH (fillfactor = 60);

CREATE INDEX sessions_by_user ON sessions (user_id, create_time DESC, id DESC);

CREATE TABLE signing_keys (
    -- The RFC 7638 thumbprint of the public key.
    kid         text   NOT NULL PRIMARY KEY,
    state       text   NOT NULL CHECK (state IN ('next', 'active', 'retired')),
    public_key  text   NOT NULL,
    -- The private key, encrypted under the operator's master key.
    sealed_seed bytea  NOT NULL,
    create_time bigint NOT NULL
);

-- At most one key signs.
CREATE UNIQUE INDEX signing_keys_active ON signing_keys (state) WHERE state = 'active';
