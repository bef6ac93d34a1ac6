-- Attempts to log in, counted by name, whether or not a user has it.
CREATE TABLE guesses (
    -- SHA-256: what is typed as a name is now and then a password.
    subject      BLOB NOT NULL PRIMARY KEY CHECK (length(subject) = 32),
    attempts     INTEGER NOT NULL,
    -- The number of the last attempt that counts no more.
    forgiven     INTEGER NOT NULL,
    last_attempt INTEGER NOT NULL,
    locked_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX guesses_by_last_attempt ON guesses (last_attempt);

-- How fast something happens: failed logins, registrations, wrong secrets.
CREATE TABLE paces (
    -- SHA-256 of what it is, and of the address or the name that it is counted by.
    subject BLOB NOT NULL PRIMARY KEY CHECK (length(subject) = 32),
    -- When all that happened is made up for. The row says nothing after.
    due     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX paces_by_due ON paces (due);
