-- The tombstones that a user left of sessions which the database did not know, newest last: they are
-- counted. A rotation does not touch the index.
CREATE INDEX sessions_forgotten ON sessions (user_id, revoked_at) WHERE revoke_reason = 'forgotten';
