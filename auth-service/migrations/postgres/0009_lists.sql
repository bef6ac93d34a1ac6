-- What administrators list. A rotation touches none of these.

-- By name, in the order of its bytes: that of the database's language neither keeps names with one
-- beginning together nor stays the same.
CREATE INDEX users_by_name ON users (username_key COLLATE "C");
-- Those who are active are most of all, and read from that index: a planner without statistics would
-- take one of theirs for the best way to a single user, in a rotation too.
CREATE INDEX users_disabled ON users (username_key COLLATE "C") WHERE status = 'disabled';

-- By what they are about, each newest first. Those of no filter are in the key's order.
CREATE INDEX audit_events_by_kind ON audit_events (kind, time, id);
CREATE INDEX audit_events_by_account ON audit_events (user_id, time, id) WHERE user_id IS NOT NULL;
CREATE INDEX audit_events_by_session ON audit_events (session_id, time, id)
WHERE session_id IS NOT NULL;

-- What instances have in common and nobody else may know.
CREATE TABLE secrets (
    name  text  NOT NULL PRIMARY KEY,
    value bytea NOT NULL
);
