//! Sessions: reading one, moving one forward, ending one.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, FromRow, PgConnection, Row as _};
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
        postgres::{PostgresStore, audit, retry::retrying},
        rows::{SessionLookup, decode, encode_duration, encode_generation},
        store::{Advance, Advanced, LostSession, SessionPosition, SessionStore},
    },
};

/// Always one row, so that the instant is known of an absent session too.
const READ_SESSION: &str = "
    SELECT t.now, s.id, s.user_id, s.device_name, s.create_time, s.auth_time, s.generation, s.nonces,
           s.last_keyed, s.rotated_at, s.idle_until, s.absolute_until, s.revoked_at,
           u.status AS user_status, u.roles AS user_roles,
           u.roles_version AS user_roles_version
    FROM (SELECT {now} AS now) t
    LEFT JOIN sessions s ON s.id = $1
    LEFT JOIN users u ON u.id = s.user_id";

/// The newest tombstones but as many as may count less one; read from an index of them alone.
pub(super) const OLDEST_FORGOTTEN: &str = "
    SELECT revoked_at FROM sessions
    WHERE user_id = $1 AND revoke_reason = 'forgotten' AND revoked_at > $2
    ORDER BY revoked_at DESC LIMIT 1 OFFSET $3";

#[async_trait]
impl SessionStore for PostgresStore {
    async fn session(&self, id: SessionId) -> Result<(Option<Session>, Timestamp), StoreError> {
        let statement = self.read_session.get_or_init(|| self.now.within(READ_SESSION));
        let row = sqlx::query(AssertSqlSafe(Arc::clone(statement)))
            .bind(id.0)
            .fetch_one(&self.pool)
            .await?;
        let now = Timestamp::from_unix_millis(row.try_get("now")?);
        let is_there = row.try_get::<Option<Uuid>, _>("id")?.is_some();
        let session = is_there.then(|| decode::<_, SessionLookup, _>(&row)).transpose()?;
        Ok((session, now))
    }

    async fn advance(&self, advance: Advance) -> Result<Option<Advanced>, StoreError> {
        self.advances.advance(advance).await
    }

    async fn recreate_session(
        &self,
        lost: &LostSession,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        retrying(&self.pool, async || {
            let mut tx = self.begin().await?;
            // The lock makes whoever disables the user or ends their sessions wait, and then find
            // this row.
            let user_allows = sqlx::query(
                "SELECT id FROM users
                 WHERE id = $1 AND status = 'active' AND sessions_valid_after < $2 FOR SHARE",
            )
            .bind(lost.user.0)
            .bind(lost.auth_time.unix_millis())
            .fetch_optional(&mut *tx)
            .await?;
            if user_allows.is_none() {
                return Ok(false);
            }
            let created = sqlx::query(
                "INSERT INTO sessions (id, user_id, device_name, create_time, auth_time, generation,
                                       nonces, last_keyed, rotated_at, idle_until, absolute_until)
                 VALUES ($1, $2, '', $3, $3, $4, $5, false, $6, $7, $8) ON CONFLICT DO NOTHING",
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
        })
        .await
    }

    async fn revoke_if_unmoved(
        &self,
        session: SessionId,
        seen: Head,
        reason: RevokeReason,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        retrying(&self.pool, async || {
            let mut tx = self.begin().await?;
            let now = self.now.read(&mut tx).await?;
            let revoked = sqlx::query(
                "UPDATE sessions SET revoked_at = $4, revoke_reason = $5
                 WHERE id = $1 AND generation = $2 AND substring(nonces FROM 1 FOR 16) = $3
                   AND revoked_at IS NULL",
            )
            .bind(session.0)
            .bind(encode_generation(seen.generation))
            .bind(seen.nonce.as_bytes().as_slice())
            .bind(now)
            .bind(reason.as_str())
            .execute(&mut *tx)
            .await?;
            let revoked = revoked.rows_affected() == 1;
            if revoked {
                audit::insert(&mut tx, event).await?;
            }
            tx.commit().await?;
            if revoked {
                self.bells.ring();
            }
            Ok(revoked)
        })
        .await
    }

    async fn revoke_session(
        &self,
        session: SessionId,
        user: UserId,
        absolute_until: Timestamp,
        reason: RevokeReason,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        retrying(&self.pool, async || {
            let mut tx = self.begin().await?;
            let statement =
                self.now.within("SELECT {now}, EXISTS (SELECT 1 FROM sessions WHERE id = $1)");
            let (now, is_known): (i64, bool) = sqlx::query_as(AssertSqlSafe(statement))
                .bind(session.0)
                .fetch_one(&mut *tx)
                .await?;
            if !is_known && absolute_until.unix_millis() <= now {
                return Ok(true);
            }
            if !is_known && reason.of_unknown() == RevokeReason::Forgotten {
                refuse_too_many_forgotten(&mut tx, user, now).await?;
            }
            // An absent row becomes a tombstone; a present one keeps its first revocation; another
            // user's is left alone.
            let revoked = sqlx::query(
                "INSERT INTO sessions (id, user_id, device_name, create_time, auth_time, generation,
                                       nonces, last_keyed, rotated_at, idle_until, absolute_until,
                                       revoked_at, revoke_reason)
                 VALUES ($1, $2, '', $3, $3, 0, $6, false, $3, $4, $4, $3, $7)
                 ON CONFLICT (id) DO UPDATE
                 SET revoked_at = excluded.revoked_at, revoke_reason = $5
                 WHERE sessions.user_id = excluded.user_id AND sessions.revoked_at IS NULL",
            )
            .bind(session.0)
            .bind(user.0)
            .bind(now)
            .bind(absolute_until.unix_millis())
            .bind(reason.as_str())
            .bind([0_u8; 16].as_slice())
            .bind(reason.of_unknown().as_str())
            .execute(&mut *tx)
            .await?;
            if revoked.rows_affected() == 1 {
                audit::insert(&mut tx, event).await?;
                tx.commit().await?;
                self.bells.ring();
                return Ok(true);
            }
            // The conflicting row is locked and stays what it is.
            let owner: Uuid = sqlx::query_scalar("SELECT user_id FROM sessions WHERE id = $1")
                .bind(session.0)
                .fetch_one(&mut *tx)
                .await?;
            Ok(owner == user.0)
        })
        .await
    }

    async fn revoke_all_sessions(
        &self,
        user: UserId,
        event: &AuditEvent,
    ) -> Result<u64, StoreError> {
        retrying(&self.pool, async || {
            let mut tx = self.begin().await?;
            let now = self.now.read(&mut tx).await?;
            let live = end_all(&mut tx, user, now, RevokeReason::User).await?;
            audit::insert(&mut tx, event).await?;
            tx.commit().await?;
            self.bells.ring();
            Ok(live)
        })
        .await
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
        retrying(&self.pool, async || {
            let mut connection = self.pool.acquire().await?;
            let now = self.now.read(&mut connection).await?;
            sqlx::query(
                "SELECT s.id, s.user_id, s.device_name, s.create_time, s.auth_time, s.generation,
                        s.nonces, s.last_keyed, s.rotated_at, s.idle_until, s.absolute_until,
                        s.revoked_at, u.status AS user_status, u.roles AS user_roles,
                        u.roles_version AS user_roles_version
                 FROM sessions s JOIN users u ON u.id = s.user_id
                 WHERE s.user_id = $1 AND s.revoked_at IS NULL
                   AND s.idle_until > $2 AND s.absolute_until > $2
                   AND (s.create_time, s.id) < ($3, $4)
                 ORDER BY s.create_time DESC, s.id DESC LIMIT $5",
            )
            .bind(user.0)
            .bind(now)
            .bind(after.create_time.unix_millis())
            .bind(after.id.0)
            .bind(i64::from(limit))
            .fetch_all(&mut *connection)
            .await?
            .iter()
            .map(decode::<_, SessionLookup, _>)
            .collect()
        })
        .await
    }

    async fn remove_ended_sessions(
        &self,
        ended_for: Duration,
        limit: u32,
    ) -> Result<u64, StoreError> {
        retrying(&self.pool, async || {
            let mut connection = self.pool.acquire().await?;
            let now = self.now.read(&mut connection).await?;
            let removed = sqlx::query(
                "DELETE FROM sessions WHERE id IN
                 (SELECT id FROM sessions
                  WHERE absolute_until < $1 AND (revoked_at IS NULL OR revoked_at < $1)
                  LIMIT $2)",
            )
            .bind(now.saturating_sub(encode_duration(ended_for)))
            .bind(i64::from(limit))
            .execute(&mut *connection)
            .await?;
            Ok(removed.rows_affected())
        })
        .await
    }
}

/// Fails if a user has left as many tombstones of unknown sessions as may count.
async fn refuse_too_many_forgotten(
    connection: &mut PgConnection,
    user: UserId,
    now: i64,
) -> Result<(), StoreError> {
    // One at a time, or each would count without the others.
    sqlx::query("SELECT id FROM users WHERE id = $1 FOR UPDATE")
        .bind(user.0)
        .execute(&mut *connection)
        .await?;
    let oldest: Option<i64> = sqlx::query_scalar(OLDEST_FORGOTTEN)
        .bind(user.0)
        .bind(now.saturating_sub(encode_duration(forgotten::WINDOW)))
        .bind(i64::from(forgotten::MOST - 1))
        .fetch_optional(connection)
        .await?;
    let oldest = oldest.map(Timestamp::from_unix_millis);
    match forgotten::wait(oldest, Timestamp::from_unix_millis(now)) {
        Some(retry_after) => Err(StoreError::TooManyForgotten { retry_after }),
        None => Ok(()),
    }
}

/// Revokes every session of a user, bars those that this database has forgotten, and tells how many
/// were live.
pub(super) async fn end_all(
    connection: &mut PgConnection,
    user: UserId,
    now: i64,
    reason: RevokeReason,
) -> Result<u64, StoreError> {
    // The user's row first: a login under way either is done, and its session found below, or finds
    // what is written here.
    sqlx::query(
        "UPDATE users SET sessions_valid_after = greatest(sessions_valid_after, $2) WHERE id = $1",
    )
    .bind(user.0)
    .bind(now)
    .execute(&mut *connection)
    .await?;
    let sessions = lock_in_order(connection, user, now).await?;
    revoke(connection, &sessions, now, reason).await?;
    Ok(sessions.iter().filter(|session| session.live).count() as u64)
}

/// A session that this transaction has locked, and that is not revoked.
#[derive(FromRow)]
pub(super) struct Locked {
    pub(super) id: Uuid,
    /// Whether it has not reached its end either.
    live: bool,
}

/// Locks a user's sessions in the order of their ids, which is that of the groups that rotate.
pub(super) async fn lock_in_order(
    connection: &mut PgConnection,
    user: UserId,
    now: i64,
) -> Result<Vec<Locked>, StoreError> {
    Ok(sqlx::query_as(
        "SELECT id, idle_until > $2 AND absolute_until > $2 AS live FROM sessions
         WHERE user_id = $1 AND revoked_at IS NULL ORDER BY id FOR UPDATE",
    )
    .bind(user.0)
    .bind(now)
    .fetch_all(connection)
    .await?)
}

/// Revokes sessions that this transaction has locked.
pub(super) async fn revoke(
    connection: &mut PgConnection,
    sessions: &[Locked],
    now: i64,
    reason: RevokeReason,
) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = sessions.iter().map(|session| session.id).collect();
    sqlx::query("UPDATE sessions SET revoked_at = $2, revoke_reason = $3 WHERE id = ANY($1)")
        .bind(ids)
        .bind(now)
        .bind(reason.as_str())
        .execute(connection)
        .await?;
    Ok(())
}
