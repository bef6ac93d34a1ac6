//! Audit events.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::PgConnection;

use crate::{
    domain::{audit::AuditEvent, id::AccountId},
    storage::{
        error::StoreError,
        postgres::{PostgresStore, retry::retrying},
        rows::{EventLookup, decode, encode_duration},
        store::AuditStore,
    },
};

#[async_trait]
impl AuditStore for PostgresStore {
    async fn record(&self, events: &[AuditEvent]) -> Result<(), StoreError> {
        retrying(&self.pool, async || {
            let mut tx = self.begin().await?;
            for event in events {
                insert(&mut tx, event).await?;
            }
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn newest_events(&self, limit: u32) -> Result<Vec<AuditEvent>, StoreError> {
        sqlx::query(
            "SELECT id, time, kind, user_id, session_id, address, device, actor, detail
             FROM audit_events ORDER BY time DESC, id DESC LIMIT $1",
        )
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?
        .iter()
        .map(decode::<_, EventLookup, _>)
        .collect()
    }

    async fn remove_old_events(&self, retention: Duration, limit: u32) -> Result<u64, StoreError> {
        retrying(&self.pool, async || {
            let mut connection = self.pool.acquire().await?;
            let now = self.now.read(&mut connection).await?;
            let removed = sqlx::query(
                "DELETE FROM audit_events WHERE (time, id) IN
                 (SELECT time, id FROM audit_events WHERE time < $1 ORDER BY time LIMIT $2)",
            )
            .bind(now.saturating_sub(encode_duration(retention)))
            .bind(i64::from(limit))
            .execute(&mut *connection)
            .await?;
            Ok(removed.rows_affected())
        })
        .await
    }
}

/// Writes an event; one that is about a session is of the device that logged in.
pub(super) async fn insert(
    connection: &mut PgConnection,
    event: &AuditEvent,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO audit_events (id, time, kind, user_id, session_id, address, device,
                                   actor, detail)
         VALUES ($1, $2, $3, $4, $5, $6,
                 coalesce((SELECT device_name FROM sessions WHERE id = $5), $7), $8, $9)",
    )
    .bind(event.id)
    .bind(event.time.unix_millis())
    .bind(event.kind.as_str())
    .bind(event.account.map(AccountId::uuid))
    .bind(event.session.map(|session| session.0))
    .bind(event.address.map(|address| address.to_string()))
    .bind(&event.device)
    .bind(event.actor.map(|actor| actor.to_string()))
    .bind(&event.detail)
    .execute(connection)
    .await?;
    Ok(())
}
