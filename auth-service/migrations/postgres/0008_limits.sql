-- Attempts to log in, counted by name, whether or not a user has it.
CREATE TABLE guesses (
    -- SHA-256: what is typed as a name is now and then a password.
    subject      bytea NOT NULL PRIMARY KEY CHECK (length(subject) = 32),
    attempts     bigint NOT NULL,
    -- The number of the last attempt that counts no more.
    forgiven     bigint NOT NULL,
    last_attempt bigint NOT NULL,
    locked_until bigint NOT NULL
);

CREATE INDEX guesses_by_last_attempt ON guesses (last_attempt);

-- How fast something happens: failed logins, registrations, wrong secrets.
CREATE TABLE paces (
    -- SHA-256 of what it is, and of the address or the name that it is counted by.
    subject bytea NOT NULL PRIMARY KEY CHECK (length(subject) = 32),
    -- When all that happened is made up for. The row says nothing after.
    due     bigint NOT NULL
);

CREATE INDEX paces_by_due ON paces (due);
