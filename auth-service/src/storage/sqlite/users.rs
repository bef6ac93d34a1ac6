//! Users, and the sessions that are written together with them.

use async_trait::async_trait;
use sqlx::{Sqlite, SqliteConnection, Transaction};
use uuid::Uuid;

use crate::{
    domain::{
        audit::AuditEvent,
        id::{SessionId, UserId},
        secret::PasswordHash,
        session::{NewSession, RevokeReason},
        user::{LastAdmin, NewUser, PasswordVersion, Status, User},
    },
    storage::{
        error::StoreError,
        rows::{UserLookup, decode, encode_roles},
        sqlite::{SqliteStore, audit, sessions::end_all, writer::begin},
        store::UserStore,
    },
};

#[async_trait]
impl UserStore for SqliteStore {
    async fn create_user(
        &self,
        user: &NewUser,
        session: Option<&NewSession>,
        event: &AuditEvent,
    ) -> Result<(), StoreError> {
        let mut writer = self.writer.turn().await?;
        let mut tx = begin(&mut writer).await?;
        let written = sqlx::query(
            "INSERT INTO users (id, username, username_key, password_hash, password_version,
                                status, roles, sessions_valid_after, create_time)
             VALUES ($1, $2, $3, $4, 1, $5, $6, 0, $7)
             ON CONFLICT (username_key) DO NOTHING",
        )
        .bind(user.id.0)
        .bind(user.username.as_str())
        .bind(user.username.key())
        .bind(user.password.as_phc())
        .bind(Status::Active.as_str())
        .bind(encode_roles(&user.roles))
        .bind(user.create_time.unix_millis())
        .execute(&mut *tx)
        .await?;
        if written.rows_affected() == 0 {
            return Err(StoreError::UsernameTaken);
        }
        if let Some(session) = session {
            insert_proven(&mut tx, session, PasswordVersion(1)).await?;
        }
        audit::insert(&mut tx, event).await?;
        Ok(tx.commit().await?)
    }

    async fn user_by_name(&self, key: &str) -> Result<Option<User>, StoreError> {
        sqlx::query(
            "SELECT id, username, password_hash, password_version, status, roles,
                    roles_version, create_time
             FROM users WHERE username_key = $1",
        )
        .bind(key)
        .fetch_optional(&self.reader)
        .await?
        .map(|row| decode::<_, UserLookup, _>(&row))
        .transpose()
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        sqlx::query(
            "SELECT id, username, password_hash, password_version, status, roles,
                    roles_version, create_time
             FROM users WHERE id = $1",
        )
        .bind(id.0)
        .fetch_optional(&self.reader)
        .await?
        .map(|row| decode::<_, UserLookup, _>(&row))
        .transpose()
    }

    async fn rehash_password(
        &self,
        user: UserId,
        proven: PasswordVersion,
        hash: &PasswordHash,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE users SET password_hash = $3 WHERE id = $1 AND password_version = $2")
            .bind(user.0)
            .bind(proven.0)
            .bind(hash.as_phc())
            .execute(&mut *self.writer.turn().await?)
            .await?;
        Ok(())
    }

    async fn change_password(
        &self,
        user: UserId,
        proven: PasswordVersion,
        hash: &PasswordHash,
        kept: SessionId,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        let mut writer = self.writer.turn().await?;
        let mut tx = begin(&mut writer).await?;
        let now = self.clock.now().unix_millis();
        let changed = sqlx::query(
            "UPDATE users
             SET password_hash = $3, password_version = password_version + 1,
                 sessions_valid_after = max(sessions_valid_after, $4)
             WHERE id = $1 AND password_version = $2 AND status = 'active'
               AND EXISTS (SELECT 1 FROM sessions
                           WHERE id = $5 AND user_id = $1 AND revoked_at IS NULL)",
        )
        .bind(user.0)
        .bind(proven.0)
        .bind(hash.as_phc())
        .bind(now)
        .bind(kept.0)
        .execute(&mut *tx)
        .await?;
        if changed.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query(
            "UPDATE sessions SET revoked_at = $3, revoke_reason = $4
             WHERE user_id = $1 AND id <> $2 AND revoked_at IS NULL",
        )
        .bind(user.0)
        .bind(kept.0)
        .bind(now)
        .bind(RevokeReason::PasswordChanged.as_str())
        .execute(&mut *tx)
        .await?;
        audit::insert(&mut tx, event).await?;
        tx.commit().await?;
        self.bell.ring();
        Ok(true)
    }

    async fn insert_session(
        &self,
        session: &NewSession,
        proven: PasswordVersion,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        let mut writer = self.writer.turn().await?;
        let mut tx = begin(&mut writer).await?;
        let inserted = insert_proven(&mut tx, session, proven).await?;
        if inserted {
            audit::insert(&mut tx, event).await?;
        }
        tx.commit().await?;
        Ok(inserted)
    }

    async fn set_status(
        &self,
        user: UserId,
        status: Status,
        last: LastAdmin,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        let mut writer = self.writer.turn().await?;
        let mut tx = begin(&mut writer).await?;
        if last.forbids_status(status) {
            leave_an_admin(&mut tx, user).await?;
        }
        let now = self.clock.now().unix_millis();
        let set = sqlx::query("UPDATE users SET status = $2 WHERE id = $1 AND status <> $2")
            .bind(user.0)
            .bind(status.as_str())
            .execute(&mut *tx)
            .await?;
        if set.rows_affected() == 0 {
            return Ok(false);
        }
        if status == Status::Disabled {
            end_all(&mut tx, user, now, RevokeReason::Disabled).await?;
        }
        audit::insert(&mut tx, event).await?;
        tx.commit().await?;
        self.bell.ring();
        Ok(true)
    }
}

/// Fails if this user is the only one left who administers. Nobody else writes meanwhile.
pub(super) async fn leave_an_admin(
    connection: &mut SqliteConnection,
    user: UserId,
) -> Result<(), StoreError> {
    let admins: Vec<Uuid> = sqlx::query_scalar(ADMINS).fetch_all(connection).await?;
    if admins == [user.0] { Err(StoreError::LastAdmin) } else { Ok(()) }
}

/// As many as it takes to know whether one is the last.
pub(super) const ADMINS: &str =
    "SELECT id FROM users WHERE status = 'active' AND roles LIKE '%admin%' LIMIT 2";

/// Inserts the session only while its user's password and status are still those that were proven.
async fn insert_proven(
    tx: &mut Transaction<'_, Sqlite>,
    session: &NewSession,
    proven: PasswordVersion,
) -> Result<bool, StoreError> {
    let inserted = sqlx::query(
        "INSERT INTO sessions (id, user_id, device_name, create_time, auth_time, generation, nonces,
                               last_keyed, rotated_at, idle_until, absolute_until)
         SELECT $1, id, $4, $5, $9, 0, $6, 0, $5, $7, $8
         FROM users WHERE id = $2 AND password_version = $3 AND status = 'active'",
    )
    .bind(session.id.0)
    .bind(session.user.0)
    .bind(proven.0)
    .bind(&session.device_name)
    .bind(session.create_time.unix_millis())
    .bind(session.nonce.as_bytes().as_slice())
    .bind(session.idle_until.unix_millis())
    .bind(session.absolute_until.unix_millis())
    .bind(session.auth_time.unix_millis())
    .execute(&mut **tx)
    .await?;
    Ok(inserted.rows_affected() == 1)
}
