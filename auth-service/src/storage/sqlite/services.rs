//! Service accounts.

use async_trait::async_trait;
use uuid::Uuid;

use crate::{
    domain::{
        audit::AuditEvent,
        id::ServiceId,
        service_account::{NewServiceAccount, Overlap, SecretHash, ServiceAccount},
        user::Status,
    },
    storage::{
        error::StoreError,
        rows::{ServiceLookup, decode, encode_duration, encode_roles},
        sqlite::{SqliteStore, audit, writer::begin},
        store::ServiceStore,
    },
};

#[async_trait]
impl ServiceStore for SqliteStore {
    async fn create_service(
        &self,
        service: &NewServiceAccount,
        event: &AuditEvent,
    ) -> Result<(), StoreError> {
        let mut writer = self.writer.turn().await?;
        let mut tx = begin(&mut writer).await?;
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
    }

    async fn service(&self, id: ServiceId) -> Result<Option<ServiceAccount>, StoreError> {
        sqlx::query(
            "SELECT id, secret_hash, roles, status, roles_version,
                    CASE WHEN previous_until > $2 THEN previous_secret_hash END
                        AS previous_secret_hash
             FROM service_accounts WHERE id = $1",
        )
        .bind(id.0)
        .bind(self.clock.now().unix_millis())
        .fetch_optional(&self.reader)
        .await?
        .map(|row| decode::<_, ServiceLookup, _>(&row))
        .transpose()
    }

    async fn service_by_name(&self, key: &str) -> Result<Option<ServiceId>, StoreError> {
        let id: Option<Uuid> =
            sqlx::query_scalar("SELECT id FROM service_accounts WHERE name_key = $1")
                .bind(key)
                .fetch_optional(&self.reader)
                .await?;
        Ok(id.map(ServiceId))
    }

    async fn rotate_service_secret(
        &self,
        id: ServiceId,
        secret: &SecretHash,
        overlap: Overlap,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        let mut writer = self.writer.turn().await?;
        let mut tx = begin(&mut writer).await?;
        let until =
            self.clock.now().unix_millis().saturating_add(encode_duration(overlap.duration()));
        let rotated = sqlx::query(
            "UPDATE service_accounts
             SET previous_secret_hash = secret_hash, previous_until = $3, secret_hash = $2
             WHERE id = $1",
        )
        .bind(id.0)
        .bind(secret.0.as_slice())
        .bind(until)
        .execute(&mut *tx)
        .await?;
        if rotated.rows_affected() == 0 {
            return Ok(false);
        }
        audit::insert(&mut tx, event).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn set_service_status(
        &self,
        id: ServiceId,
        status: Status,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        let mut writer = self.writer.turn().await?;
        let mut tx = begin(&mut writer).await?;
        let now = self.clock.now().unix_millis();
        let set = match status {
            Status::Active => sqlx::query(
                "UPDATE service_accounts SET status = 'active'
                 WHERE id = $1 AND status <> 'active'",
            )
            .bind(id.0),
            Status::Disabled => sqlx::query(
                "UPDATE service_accounts
                 SET status = 'disabled', roles_version = max(roles_version + 1, $2 / 1000),
                     roles_changed_at = max(coalesce(roles_changed_at, $2), $2)
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
        self.bell.ring();
        Ok(true)
    }
}
