//! Users, and the sessions that are written together with them.

use async_trait::async_trait;
use sqlx::{PgConnection, Postgres, Transaction};
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
        postgres::{
            PostgresStore, audit,
            retry::retrying,
            sessions::{end_all, lock_in_order, revoke},
        },
        rows::{UserLookup, decode, encode_roles},
        store::UserStore,
    },
};

#[async_trait]
impl UserStore for PostgresStore {
    async fn create_user(
        &self,
        user: &NewUser,
        session: Option<&NewSession>,
        event: &AuditEvent,
    ) -> Result<(), StoreError> {
        retrying(&self.pool, async || {
            let mut tx = self.begin().await?;
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
        })
        .await
    }

    async fn user_by_name(&self, key: &str) -> Result<Option<User>, StoreError> {
        sqlx::query(
            "SELECT id, username, password_hash, password_version, status, roles,
                    roles_version, create_time
             FROM users WHERE username_key = $1",
        )
        .bind(key)
        .fetch_optional(&self.pool)
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
        .fetch_optional(&self.pool)
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
            .execute(&self.pool)
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
        retrying(&self.pool, async || {
            let mut tx = self.begin().await?;
            let now = self.now.read(&mut tx).await?;
            let changed = sqlx::query(
                "UPDATE users
                 SET password_hash = $3, password_version = password_version + 1,
                     sessions_valid_after = greatest(sessions_valid_after, $4)
                 WHERE id = $1 AND password_version = $2 AND status = 'active'",
            )
            .bind(user.0)
            .bind(proven.0)
            .bind(hash.as_phc())
            .bind(now)
            .execute(&mut *tx)
            .await?;
            if changed.rows_affected() == 0 {
                return Ok(false);
            }
            // The statement above may have waited for one that revoked the session that asks, and
            // would not have seen it: what is locked here is seen as it is.
            let mut sessions = lock_in_order(&mut tx, user, now).await?;
            let asking = sessions.iter().position(|session| session.id == kept.0);
            let Some(asking) = asking else { return Ok(false) };
            sessions.remove(asking);
            revoke(&mut tx, &sessions, now, RevokeReason::PasswordChanged).await?;
            audit::insert(&mut tx, event).await?;
            tx.commit().await?;
            self.bells.ring();
            Ok(true)
        })
        .await
    }

    async fn insert_session(
        &self,
        session: &NewSession,
        proven: PasswordVersion,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        retrying(&self.pool, async || {
            let mut tx = self.begin().await?;
            let inserted = insert_proven(&mut tx, session, proven).await?;
            if inserted {
                audit::insert(&mut tx, event).await?;
            }
            tx.commit().await?;
            Ok(inserted)
        })
        .await
    }

    async fn set_status(
        &self,
        user: UserId,
        status: Status,
        last: LastAdmin,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        retrying(&self.pool, async || {
            let mut tx = self.begin().await?;
            if last.forbids_status(status) {
                leave_an_admin(&mut tx, user).await?;
            }
            let now = self.now.read(&mut tx).await?;
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
            self.bells.ring();
            Ok(true)
        })
        .await
    }
}

/// Fails if this user is the only one left who administers.
///
/// Those who administer are locked until the end of the transaction, this user with them and in one
/// order, so of two who are about to go the second waits, and then finds the first one gone.
pub(super) async fn leave_an_admin(
    connection: &mut PgConnection,
    user: UserId,
) -> Result<(), StoreError> {
    let locked: Vec<(Uuid, bool)> = sqlx::query_as(
        "SELECT id, status = 'active' AND roles LIKE '%admin%' FROM users
         WHERE id = $1 OR (status = 'active' AND roles LIKE '%admin%')
         ORDER BY id FOR UPDATE",
    )
    .bind(user.0)
    .fetch_all(connection)
    .await?;
    let mut admins = locked.iter().filter(|(_, administers)| *administers).map(|(id, _)| *id);
    if admins.next() == Some(user.0) && admins.next().is_none() {
        return Err(StoreError::LastAdmin);
    }
    Ok(())
}

/// Inserts the session only while its user's password and status are still those that were proven.
/// The lock on the user makes whoever changes either wait, and then find the session.
async fn insert_proven(
    tx: &mut Transaction<'_, Postgres>,
    session: &NewSession,
    proven: PasswordVersion,
) -> Result<bool, StoreError> {
    let inserted = sqlx::query(
        "INSERT INTO sessions (id, user_id, device_name, create_time, auth_time, generation, nonces,
                               last_keyed, rotated_at, idle_until, absolute_until)
         SELECT $1, id, $4, $5, $9, 0, $6, false, $5, $7, $8
         FROM users WHERE id = $2 AND password_version = $3 AND status = 'active' FOR SHARE",
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
