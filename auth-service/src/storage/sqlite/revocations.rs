//! What makes access tokens stale, and telling of it.

use std::time::Duration;

use async_trait::async_trait;
use token::clock::Timestamp;
use tokio::sync::watch;

use crate::{
    domain::{
        audit::AuditEvent,
        id::UserId,
        revocation::Revocation,
        user::{LastAdmin, Role},
    },
    storage::{
        error::StoreError,
        revocations::RevocationStore,
        rows::{RevocationRow, decode_revocation, encode_roles},
        sqlite::{SqliteStore, audit, users::leave_an_admin, writer::begin},
    },
};

/// Each part is a range of an index that holds what was revoked, and nothing else.
pub(super) const REVOCATIONS_SINCE: &str = "
    SELECT id, revoked_at, NULL FROM sessions WHERE revoked_at >= $1
    UNION ALL
    SELECT id, roles_changed_at, roles_version FROM users WHERE roles_changed_at >= $1
    UNION ALL
    SELECT id, roles_changed_at, roles_version FROM service_accounts WHERE roles_changed_at >= $1";

#[async_trait]
impl RevocationStore for SqliteStore {
    async fn set_roles(
        &self,
        user: UserId,
        roles: &[Role],
        last: LastAdmin,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        let mut writer = self.writer.turn().await?;
        let mut tx = begin(&mut writer).await?;
        if last.forbids_roles(roles) {
            leave_an_admin(&mut tx, user).await?;
        }
        let set = sqlx::query(
            "UPDATE users
             SET roles = $2, roles_version = max(roles_version + 1, $3 / 1000),
                 roles_changed_at = max(coalesce(roles_changed_at, $3), $3)
             WHERE id = $1 AND roles <> $2",
        )
        .bind(user.0)
        .bind(encode_roles(roles))
        .bind(self.clock.now().unix_millis())
        .execute(&mut *tx)
        .await?;
        if set.rows_affected() == 0 {
            return Ok(false);
        }
        audit::insert(&mut tx, event).await?;
        tx.commit().await?;
        self.bell.ring();
        Ok(true)
    }

    async fn revocations_since(
        &self,
        since: Timestamp,
        life: Duration,
    ) -> Result<(Vec<Revocation>, Timestamp), StoreError> {
        let now = self.clock.now();
        let rows: Vec<RevocationRow> = sqlx::query_as(REVOCATIONS_SINCE)
            .bind(since.max(now - life).unix_millis())
            .fetch_all(&self.reader)
            .await?;
        let revocations = rows.into_iter().map(decode_revocation).collect::<Result<_, _>>()?;
        Ok((revocations, now))
    }

    fn revoked(&self) -> watch::Receiver<()> {
        self.bell.listen()
    }
}
