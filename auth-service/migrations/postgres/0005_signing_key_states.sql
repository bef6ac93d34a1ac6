-- When a signing key came into its state: null while it is in the one in which it was made. Rows that
-- were written before there was another are of that kind.
ALTER TABLE signing_keys ADD COLUMN state_time bigint;

-- At most one key is about to sign.
CREATE UNIQUE INDEX signing_keys_next ON signing_keys (state) WHERE state = 'next';
