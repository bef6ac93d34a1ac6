-- What was revoked is read by when it was. A rotation touches neither index.

-- Counts the changes of the roles: an access token with less than this is stale.
ALTER TABLE users ADD COLUMN roles_version INTEGER NOT NULL DEFAULT 0;
-- When the last of them was; null if there was none.
ALTER TABLE users ADD COLUMN roles_changed_at INTEGER;

CREATE INDEX sessions_by_revocation ON sessions (revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX users_by_change_of_roles ON users (roles_changed_at) WHERE roles_changed_at IS NOT NULL;
CREATE INDEX service_accounts_by_change_of_roles ON service_accounts (roles_changed_at)
WHERE roles_changed_at IS NOT NULL;
