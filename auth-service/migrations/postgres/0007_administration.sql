-- Secrets of services that were replaced, each good until its own overlap ends.
CREATE TABLE replaced_secrets (
    service_id     uuid   NOT NULL,
    secret_hash    bytea  NOT NULL CHECK (length(secret_hash) = 32),
    accepted_until bigint NOT NULL,
    PRIMARY KEY (service_id, secret_hash)
);

INSERT INTO replaced_secrets (service_id, secret_hash, accepted_until)
SELECT id, previous_secret_hash, previous_until
FROM service_accounts WHERE previous_secret_hash IS NOT NULL;

ALTER TABLE service_accounts DROP COLUMN previous_secret_hash, DROP COLUMN previous_until;

-- Signing keys that others knew, so that withdrawing one again withdraws no other.
CREATE TABLE withdrawn_keys (
    kid           text   NOT NULL PRIMARY KEY,
    withdraw_time bigint NOT NULL
);

-- The longest that any instance promised while the key waited or signed, in milliseconds: how long it
-- is published before it signs, and after. A lowered setting does not shorten what was promised.
ALTER TABLE signing_keys
    ADD COLUMN longest_lead bigint NOT NULL DEFAULT 0,
    ADD COLUMN longest_retention bigint NOT NULL DEFAULT 0;

-- Who did it, if not the account that it is about: 'operator', or 'user:' or 'service:' and an id.
-- And what was set.
ALTER TABLE audit_events
    ADD COLUMN actor text,
    ADD COLUMN detail text NOT NULL DEFAULT '';

-- Those of whom one must be left.
CREATE INDEX users_who_administer ON users (id) WHERE status = 'active' AND roles LIKE '%admin%';
