//! Service accounts.

use async_trait::async_trait;
use sqlx::AssertSqlSafe;
use token::clock::Timestamp;
use uuid::Uuid;

use crate::{
    domain::{
        audit::AuditEvent,
        id::ServiceId,
        service_account::{
            NewServiceAccount, Overlap, SecretHash, SecretRotation, ServiceAccount, has_room,
        },
        user::Status,
    },
    storage::{
        error::StoreError,
        postgres::{PostgresStore, audit, retry::retrying},
        rows::{decode_service, encode_duration, encode_roles},
        store::ServiceStore,
    },
};

#[async_trait]
impl ServiceStore for PostgresStore {
    async fn create_service(
        &self,
        service: &NewServiceAccount,
        event: &AuditEvent,
    ) -> Result<(), StoreError> {
        retrying(&self.pool, async || {
            let mut tx = self.begin().await?;
            let written = sqlx::query(
                "INSERT INTO service_accounts (id, name, name_key, secret_hash, roles, status,
                                               create_time)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)
                 ON CONFLICT (name_key) DO NOTHING",
            )
            .bind(service.id.0)
            .bind(service.name.as_str())
            .bind(service.name.key())
            .bind(service.secret.0.as_slice())
            .bind(encode_roles(&service.roles))
            .bind(Status::Active.as_str())
            .bind(service.create_time.unix_millis())
            .execute(&mut *tx)
            .await?;
            if written.rows_affected() == 0 {
                return Err(StoreError::ServiceNameTaken);
            }
            audit::insert(&mut tx, event).await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn service(&self, id: ServiceId) -> Result<Option<ServiceAccount>, StoreError> {
        let statement = self.now.within(
            "SELECT a.id, a.secret_hash, a.roles, a.status, a.roles_version,
                    r.secret_hash AS replaced_secret_hash
             FROM service_accounts a
             LEFT JOIN replaced_secrets r ON r.service_id = a.id AND r.accepted_until > {now}
             WHERE a.id = $1",
        );
        let rows = sqlx::query(AssertSqlSafe(statement)).bind(id.0).fetch_all(&self.pool).await?;
        decode_service(&rows)
    }

    async fn service_by_name(&self, key: &str) -> Result<Option<ServiceId>, StoreError> {
        let id: Option<Uuid> =
            sqlx::query_scalar("SELECT id FROM service_accounts WHERE name_key = $1")
                .bind(key)
                .fetch_optional(&self.pool)
                .await?;
        Ok(id.map(ServiceId))
    }

    async fn rotate_service_secret(
        &self,
        id: ServiceId,
        secret: &SecretHash,
        overlap: Overlap,
        event: &AuditEvent,
    ) -> Result<SecretRotation, StoreError> {
        retrying(&self.pool, async || {
            let mut tx = self.begin().await?;
            // One rotation of an account at a time; what it replaces is what the one before it set.
            let replaced: Option<Vec<u8>> = sqlx::query_scalar(
                "SELECT secret_hash FROM service_accounts WHERE id = $1 FOR UPDATE",
            )
            .bind(id.0)
            .fetch_optional(&mut *tx)
            .await?;
            let Some(replaced) = replaced else { return Ok(SecretRotation::NoSuchAccount) };
            let now = self.now.read(&mut tx).await?;
            // What has run out goes, and all of it if nothing is to overlap.
            let kept_from = if overlap.is_zero() { i64::MAX } else { now };
            sqlx::query(
                "DELETE FROM replaced_secrets WHERE service_id = $1 AND accepted_until <= $2",
            )
            .bind(id.0)
            .bind(kept_from)
            .execute(&mut *tx)
            .await?;
            let ends: Vec<i64> = sqlx::query_scalar(
                "SELECT accepted_until FROM replaced_secrets WHERE service_id = $1
                 ORDER BY accepted_until",
            )
            .bind(id.0)
            .fetch_all(&mut *tx)
            .await?;
            if !has_room(ends.len()) {
                return Ok(SecretRotation::TooMany(Timestamp::from_unix_millis(ends[0])));
            }
            if !overlap.is_zero() {
                sqlx::query(
                    "INSERT INTO replaced_secrets (service_id, secret_hash, accepted_until)
                     VALUES ($1, $2, $3)",
                )
                .bind(id.0)
                .bind(replaced)
                .bind(now.saturating_add(encode_duration(overlap.duration())))
                .execute(&mut *tx)
                .await?;
            }
            sqlx::query("UPDATE service_accounts SET secret_hash = $2 WHERE id = $1")
                .bind(id.0)
                .bind(secret.0.as_slice())
                .execute(&mut *tx)
                .await?;
            audit::insert(&mut tx, event).await?;
            tx.commit().await?;
            Ok(SecretRotation::Done)
        })
        .await
    }

    async fn set_service_status(
        &self,
        id: ServiceId,
        status: Status,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        retrying(&self.pool, async || {
            let mut tx = self.begin().await?;
            let now = self.now.read(&mut tx).await?;
            let set = match status {
                Status::Active => sqlx::query(
                    "UPDATE service_accounts SET status = 'active'
                     WHERE id = $1 AND status <> 'active'",
                )
                .bind(id.0),
                Status::Disabled => sqlx::query(
                    "UPDATE service_accounts
                     SET status = 'disabled', roles_version = greatest(roles_version + 1, $2 / 1000),
                         roles_changed_at = greatest(coalesce(roles_changed_at, $2), $2)
                     WHERE id = $1 AND status <> 'disabled'",
                )
                .bind(id.0)
                .bind(now),
            };
            if set.execute(&mut *tx).await?.rows_affected() == 0 {
                return Ok(false);
            }
            audit::insert(&mut tx, event).await?;
            tx.commit().await?;
            self.bells.ring();
            Ok(true)
        })
        .await
    }
}
