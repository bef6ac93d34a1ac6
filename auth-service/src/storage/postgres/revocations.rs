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
        postgres::{PostgresStore, audit, retry::retrying, users::leave_an_admin},
        revocations::RevocationStore,
        rows::{RevocationRow, decode_revocation, encode_duration, encode_roles},
    },
};

/// Each part is a range of an index that holds what was revoked, and nothing else.
pub(super) const REVOCATIONS_SINCE: &str = "
    SELECT id, revoked_at, NULL::bigint FROM sessions WHERE revoked_at >= $1
    UNION ALL
    SELECT id, roles_changed_at, roles_version FROM users WHERE roles_changed_at >= $1
    UNION ALL
    SELECT id, roles_changed_at, roles_version FROM service_accounts WHERE roles_changed_at >= $1";

#[async_trait]
impl RevocationStore for PostgresStore {
    async fn set_roles(
        &self,
        user: UserId,
        roles: &[Role],
        last: LastAdmin,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        retrying(&self.pool, async || {
            let mut tx = self.begin().await?;
            if last.forbids_roles(roles) {
                leave_an_admin(&mut tx, user).await?;
            }
            let now = self.now.read(&mut tx).await?;
            let set = sqlx::query(
                "UPDATE users
                 SET roles = $2, roles_version = greatest(roles_version + 1, $3 / 1000),
                     roles_changed_at = greatest(coalesce(roles_changed_at, $3), $3)
                 WHERE id = $1 AND roles <> $2",
            )
            .bind(user.0)
            .bind(encode_roles(roles))
            .bind(now)
            .execute(&mut *tx)
            .await?;
            if set.rows_affected() == 0 {
                return Ok(false);
            }
            audit::insert(&mut tx, event).await?;
            tx.commit().await?;
            self.bells.ring();
            Ok(true)
        })
        .await
    }

    async fn revocations_since(
        &self,
        since: Timestamp,
        life: Duration,
    ) -> Result<(Vec<Revocation>, Timestamp), StoreError> {
        retrying(self.bells.pool(), async || {
            let mut connection = self.bells.pool().acquire().await?;
            let now = self.now.read(&mut connection).await?;
            let rows: Vec<RevocationRow> = sqlx::query_as(REVOCATIONS_SINCE)
                .bind(since.unix_millis().max(now.saturating_sub(encode_duration(life))))
                .fetch_all(&mut *connection)
                .await?;
            let revocations = rows.into_iter().map(decode_revocation).collect::<Result<_, _>>()?;
            Ok((revocations, Timestamp::from_unix_millis(now)))
        })
        .await
    }

    fn revoked(&self) -> watch::Receiver<()> {
        self.bells.listen()
    }
}
