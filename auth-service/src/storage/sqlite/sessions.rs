//! Sessions: reading one, moving one forward, ending one.

use async_trait::async_trait;
use token::clock::Timestamp;
use uuid::Uuid;

use crate::{
    domain::{
        id::{SessionId, UserId},
        rotation::Head,
        session::{RevokeReason, Session},
    },
    storage::{
        error::StoreError,
        sqlite::{
            advances::signed,
            connection::SqliteStore,
            rows::{SessionLookup, decode},
        },
        store::{Advance, Advanced, LostSession, SessionPosition, SessionStore},
    },
};

#[async_trait]
impl SessionStore for SqliteStore {
    async fn session(&self, id: SessionId) -> Result<(Option<Session>, Timestamp), StoreError> {
        let row = sqlx::query(
            "SELECT s.*, u.status AS user_status, u.roles AS user_roles
             FROM sessions s LEFT JOIN users u ON u.id = s.user_id WHERE s.id = $1",
        )
        .bind(id.0)
        .fetch_optional(&self.reader)
        .await?;
        let session = row.map(|row| decode::<SessionLookup, _>(&row)).transpose()?;
        Ok((session, self.clock.now()))
    }

    async fn advance(&self, advance: Advance) -> Result<Option<Advanced>, StoreError> {
        self.advances.advance(advance).await
    }

    async fn recreate_session(&self, lost: &LostSession) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let user_allows: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM users WHERE id = $1 AND status = 'active'
                            AND sessions_valid_after < $2)",
        )
        .bind(lost.user.0)
        .bind(lost.auth_time.unix_millis())
        .fetch_one(&mut *tx)
        .await?;
        if !user_allows {
            return Ok(false);
        }
        sqlx::query(
            "INSERT INTO sessions (id, user_id, device_name, create_time, auth_time, generation,
                                   nonces, last_keyed, rotated_at, idle_until, absolute_until)
             VALUES ($1, $2, '', $3, $3, $4, $5, 0, $6, $7, $8) ON CONFLICT DO NOTHING",
        )
        .bind(lost.id.0)
        .bind(lost.user.0)
        .bind(lost.auth_time.unix_millis())
        .bind(signed(lost.head.generation))
        .bind(lost.head.nonce.as_bytes().as_slice())
        .bind(lost.issued_at.unix_millis())
        .bind(lost.idle_until.unix_millis())
        .bind(lost.absolute_until.unix_millis())
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn revoke_if_unmoved(
        &self,
        session: SessionId,
        seen: Head,
        reason: RevokeReason,
    ) -> Result<bool, StoreError> {
        let revoked = sqlx::query(
            "UPDATE sessions SET revoked_at = $4, revoke_reason = $5
             WHERE id = $1 AND generation = $2 AND substr(nonces, 1, 16) = $3
               AND revoked_at IS NULL",
        )
        .bind(session.0)
        .bind(signed(seen.generation))
        .bind(seen.nonce.as_bytes().as_slice())
        .bind(self.clock.now().unix_millis())
        .bind(reason.as_str())
        .execute(&self.writer)
        .await?;
        Ok(revoked.rows_affected() == 1)
    }

    async fn revoke_session(
        &self,
        session: SessionId,
        user: UserId,
        absolute_until: Timestamp,
        reason: RevokeReason,
    ) -> Result<bool, StoreError> {
        // An absent row becomes a tombstone; a present one keeps the instant of its first
        // revocation; another user's is left alone.
        let revoked = sqlx::query(
            "INSERT INTO sessions (id, user_id, device_name, create_time, auth_time, generation,
                                   nonces, last_keyed, rotated_at, idle_until, absolute_until,
                                   revoked_at, revoke_reason)
             VALUES ($1, $2, '', $3, $3, 0, zeroblob(16), 0, $3, $4, $4, $3, $5)
             ON CONFLICT (id) DO UPDATE
             SET revoked_at = coalesce(sessions.revoked_at, excluded.revoked_at),
                 revoke_reason = coalesce(sessions.revoke_reason, excluded.revoke_reason)
             WHERE sessions.user_id = excluded.user_id",
        )
        .bind(session.0)
        .bind(user.0)
        .bind(self.clock.now().unix_millis())
        .bind(absolute_until.unix_millis())
        .bind(reason.as_str())
        .execute(&self.writer)
        .await?;
        Ok(revoked.rows_affected() == 1)
    }

    async fn revoke_all_sessions(&self, user: UserId) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let now = self.clock.now().unix_millis();
        let live: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM sessions
             WHERE user_id = $1 AND revoked_at IS NULL AND idle_until > $2 AND absolute_until > $2",
        )
        .bind(user.0)
        .bind(now)
        .fetch_one(&mut *tx)
        .await?;
        sqlx::query(
            "UPDATE sessions SET revoked_at = $2, revoke_reason = $3
             WHERE user_id = $1 AND revoked_at IS NULL",
        )
        .bind(user.0)
        .bind(now)
        .bind(RevokeReason::User.as_str())
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "UPDATE users SET sessions_valid_after = max(sessions_valid_after, $2) WHERE id = $1",
        )
        .bind(user.0)
        .bind(now)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(u64::try_from(live).unwrap_or_default())
    }

    async fn live_sessions(
        &self,
        user: UserId,
        after: Option<SessionPosition>,
        limit: u32,
    ) -> Result<Vec<Session>, StoreError> {
        let after = after.unwrap_or(SessionPosition {
            create_time: Timestamp::from_unix_millis(i64::MAX),
            id: SessionId(Uuid::max()),
        });
        sqlx::query(
            "SELECT s.*, u.status AS user_status, u.roles AS user_roles
             FROM sessions s JOIN users u ON u.id = s.user_id
             WHERE s.user_id = $1 AND s.revoked_at IS NULL
               AND s.idle_until > $2 AND s.absolute_until > $2
               AND (s.create_time, s.id) < ($3, $4)
             ORDER BY s.create_time DESC, s.id DESC LIMIT $5",
        )
        .bind(user.0)
        .bind(self.clock.now().unix_millis())
        .bind(after.create_time.unix_millis())
        .bind(after.id.0)
        .bind(limit)
        .fetch_all(&self.reader)
        .await?
        .iter()
        .map(decode::<SessionLookup, _>)
        .collect()
    }
}
