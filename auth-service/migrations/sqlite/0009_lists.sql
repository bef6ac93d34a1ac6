-- What administrators list. A rotation touches none of these.

-- By name. Those who are active are most of all, and read from the names' own index: a planner without
-- statistics would take one of theirs for the best way to those who administer.
CREATE INDEX users_disabled ON users (username_key) WHERE status = 'disabled';

-- By what they are about, each newest first. Those of no filter are in the key's order.
CREATE INDEX audit_events_by_kind ON audit_events (kind, time, id);
CREATE INDEX audit_events_by_account ON audit_events (user_id, time, id) WHERE user_id IS NOT NULL;
CREATE INDEX audit_events_by_session ON audit_events (session_id, time, id)
WHERE session_id IS NOT NULL;

-- What instances have in common and nobody else may know.
CREATE TABLE secrets (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
