//! Sessions: reading one, moving one forward, ending one.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::SqliteConnection;
use token::clock::Timestamp;
use uuid::Uuid;

use crate::{
    domain::{
        audit::AuditEvent,
        forgotten,
        id::{SessionId, UserId},
        rotation::Head,
        session::{RevokeReason, Session},
    },
    storage::{
        error::StoreError,
        rows::{SessionLookup, decode, encode_generation},
        sqlite::{SqliteStore, audit, writer::begin},
        store::{Advance, Advanced, LostSession, SessionPosition, SessionStore},
    },
};

/// The newest tombstones but as many as may count less one; read from an index of them alone.
pub(super) const OLDEST_FORGOTTEN: &str = "
    SELECT revoked_at FROM sessions
    WHERE user_id = $1 AND revoke_reason = 'forgotten' AND revoked_at > $2
    ORDER BY revoked_at DESC LIMIT 1 OFFSET $3";

#[async_trait]
impl SessionStore for SqliteStore {
    async fn session(&self, id: SessionId) -> Result<(Option<Session>, Timestamp), StoreError> {
        let row = sqlx::query(
            "SELECT s.*, u.status AS user_status, u.roles AS user_roles,
                    u.roles_version AS user_roles_version
             FROM sessions s LEFT JOIN users u ON u.id = s.user_id WHERE s.id = $1",
        )
        .bind(id.0)
        .fetch_optional(&self.reader)
        .await?;
        let session = row.map(|row| decode::<_, SessionLookup, _>(&row)).transpose()?;
        Ok((session, self.clock.now()))
    }

    async fn advance(&self, advance: Advance) -> Result<Option<Advanced>, StoreError> {
        self.advances.advance(advance).await
    }

    async fn recreate_session(
        &self,
        lost: &LostSession,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        let mut writer = self.writer.turn().await?;
        let mut tx = begin(&mut writer).await?;
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
        let created = sqlx::query(
            "INSERT INTO sessions (id, user_id, device_name, create_time, auth_time, generation,
                                   nonces, last_keyed, rotated_at, idle_until, absolute_until)
             VALUES ($1, $2, '', $3, $3, $4, $5, 0, $6, $7, $8) ON CONFLICT DO NOTHING",
        )
        .bind(lost.id.0)
        .bind(lost.user.0)
        .bind(lost.auth_time.unix_millis())
        .bind(encode_generation(lost.head.generation))
        .bind(lost.head.nonce.as_bytes().as_slice())
        .bind(lost.issued_at.unix_millis())
        .bind(lost.idle_until.unix_millis())
        .bind(lost.absolute_until.unix_millis())
        .execute(&mut *tx)
        .await?;
        if created.rows_affected() == 1 {
            audit::insert(&mut tx, event).await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    async fn revoke_if_unmoved(
        &self,
        session: SessionId,
        seen: Head,
        reason: RevokeReason,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        let mut writer = self.writer.turn().await?;
        let mut tx = begin(&mut writer).await?;
        let revoked = sqlx::query(
            "UPDATE sessions SET revoked_at = $4, revoke_reason = $5
             WHERE id = $1 AND generation = $2 AND substr(nonces, 1, 16) = $3
               AND revoked_at IS NULL",
        )
        .bind(session.0)
        .bind(encode_generation(seen.generation))
        .bind(seen.nonce.as_bytes().as_slice())
        .bind(self.clock.now().unix_millis())
        .bind(reason.as_str())
        .execute(&mut *tx)
        .await?;
        let revoked = revoked.rows_affected() == 1;
        if revoked {
            audit::insert(&mut tx, event).await?;
        }
        tx.commit().await?;
        if revoked {
            self.bell.ring();
        }
        Ok(revoked)
    }

    async fn revoke_session(
        &self,
        session: SessionId,
        user: UserId,
        absolute_until: Timestamp,
        reason: RevokeReason,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        let mut writer = self.writer.turn().await?;
        let mut tx = begin(&mut writer).await?;
        let seen: Option<(Uuid, bool)> =
            sqlx::query_as("SELECT user_id, revoked_at IS NOT NULL FROM sessions WHERE id = $1")
                .bind(session.0)
                .fetch_optional(&mut *tx)
                .await?;
        let now = self.clock.now();
        let reason = match seen {
            Some((owner, _)) if owner != user.0 => return Ok(false),
            // The instant of its first revocation stands.
            Some((_, true)) => return Ok(true),
            Some((_, false)) => reason,
            None if absolute_until <= now => return Ok(true),
            None => {
                if reason.of_unknown() == RevokeReason::Forgotten {
                    refuse_too_many_forgotten(&mut tx, user, now).await?;
                }
                reason.of_unknown()
            }
        };
        // An absent row becomes a tombstone.
        sqlx::query(
            "INSERT INTO sessions (id, user_id, device_name, create_time, auth_time, generation,
                                   nonces, last_keyed, rotated_at, idle_until, absolute_until,
                                   revoked_at, revoke_reason)
             VALUES ($1, $2, '', $3, $3, 0, zeroblob(16), 0, $3, $4, $4, $3, $5)
             ON CONFLICT (id) DO UPDATE
             SET revoked_at = excluded.revoked_at, revoke_reason = excluded.revoke_reason",
        )
        .bind(session.0)
        .bind(user.0)
        .bind(now.unix_millis())
        .bind(absolute_until.unix_millis())
        .bind(reason.as_str())
        .execute(&mut *tx)
        .await?;
        audit::insert(&mut tx, event).await?;
        tx.commit().await?;
        self.bell.ring();
        Ok(true)
    }

    async fn revoke_all_sessions(
        &self,
        user: UserId,
        event: &AuditEvent,
    ) -> Result<u64, StoreError> {
        let mut writer = self.writer.turn().await?;
        let mut tx = begin(&mut writer).await?;
        let now = self.clock.now().unix_millis();
        let live: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM sessions
             WHERE user_id = $1 AND revoked_at IS NULL AND idle_until > $2 AND absolute_until > $2",
        )
        .bind(user.0)
        .bind(now)
        .fetch_one(&mut *tx)
        .await?;
        end_all(&mut tx, user, now, RevokeReason::User).await?;
        audit::insert(&mut tx, event).await?;
        tx.commit().await?;
        self.bell.ring();
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
            "SELECT s.*, u.status AS user_status, u.roles AS user_roles,
                    u.roles_version AS user_roles_version
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
        .map(decode::<_, SessionLookup, _>)
        .collect()
    }

    async fn remove_ended_sessions(
        &self,
        ended_for: Duration,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let removed = sqlx::query(
            "DELETE FROM sessions WHERE id IN
                 (SELECT id FROM sessions
                  WHERE absolute_until < $1 AND (revoked_at IS NULL OR revoked_at < $1)
                  LIMIT $2)",
        )
        .bind((self.clock.now() - ended_for).unix_millis())
        .bind(limit)
        .execute(&mut *self.writer.turn().await?)
        .await?;
        Ok(removed.rows_affected())
    }
}

/// Fails if a user has left as many tombstones of unknown sessions as may count.
async fn refuse_too_many_forgotten(
    connection: &mut SqliteConnection,
    user: UserId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let oldest: Option<i64> = sqlx::query_scalar(OLDEST_FORGOTTEN)
        .bind(user.0)
        .bind((now - forgotten::WINDOW).unix_millis())
        .bind(forgotten::MOST - 1)
        .fetch_optional(connection)
        .await?;
    match forgotten::wait(oldest.map(Timestamp::from_unix_millis), now) {
        Some(retry_after) => Err(StoreError::TooManyForgotten { retry_after }),
        None => Ok(()),
    }
}

/// Revokes every session of a user, and bars those that this database has forgotten.
pub(super) async fn end_all(
    connection: &mut SqliteConnection,
    user: UserId,
    now: i64,
    reason: RevokeReason,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE users SET sessions_valid_after = max(sessions_valid_after, $2) WHERE id = $1",
    )
    .bind(user.0)
    .bind(now)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "UPDATE sessions SET revoked_at = $2, revoke_reason = $3
         WHERE user_id = $1 AND revoked_at IS NULL",
    )
    .bind(user.0)
    .bind(now)
    .bind(reason.as_str())
    .execute(connection)
    .await?;
    Ok(())
}
