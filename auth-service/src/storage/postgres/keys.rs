//! Signing keys.

use async_trait::async_trait;
use sqlx::PgConnection;
use token::clock::Timestamp;

use crate::{
    domain::{
        audit::AuditEvent,
        signing_keys::{KeyState, Promised},
    },
    storage::{
        error::StoreError,
        postgres::{PostgresStore, audit, retry::retrying},
        rows::{KeyLookup, decode, encode_duration},
        store::{KeyStore, SealedKey, StoredKey, Withdrawal},
    },
};

#[async_trait]
impl KeyStore for PostgresStore {
    async fn signing_keys(&self) -> Result<(Vec<StoredKey>, Timestamp), StoreError> {
        retrying(&self.pool, async || {
            let mut connection = self.pool.acquire().await?;
            // Before the keys, so that none looks older than it is.
            let now = self.now.read(&mut connection).await?;
            let keys = sqlx::query(
                "SELECT kid, state, public_key, sealed_seed, create_time, state_time, longest_lead,
                    longest_retention
             FROM signing_keys ORDER BY create_time DESC, kid",
            )
            .fetch_all(&mut *connection)
            .await?
            .iter()
            .map(decode::<_, KeyLookup, _>)
            .collect::<Result<_, _>>()?;
            Ok((keys, Timestamp::from_unix_millis(now)))
        })
        .await
    }

    async fn insert_first_key(&self, key: &SealedKey) -> Result<(), StoreError> {
        retrying(&self.pool, async || {
            let mut connection = self.pool.acquire().await?;
            let now = self.now.read(&mut connection).await?;
            insert(&mut connection, key, KeyState::Active, now).await?;
            Ok(())
        })
        .await
    }

    async fn insert_next_key(
        &self,
        key: &SealedKey,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        retrying(&self.pool, async || {
            let mut tx = self.begin().await?;
            let now = self.now.read(&mut tx).await?;
            if !insert(&mut tx, key, KeyState::Next, now).await? {
                return Ok(false);
            }
            audit::insert(&mut tx, event).await?;
            tx.commit().await?;
            Ok(true)
        })
        .await
    }

    async fn promote_key(
        &self,
        next: &str,
        active: &str,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        retrying(&self.pool, async || {
            let mut tx = self.begin().await?;
            // In this order, since only one may be active.
            for (kid, from, to) in [
                (active, KeyState::Active, KeyState::Retired),
                (next, KeyState::Next, KeyState::Active),
            ] {
                let set =
                    sqlx::query("UPDATE signing_keys SET state = $3 WHERE kid = $1 AND state = $2")
                        .bind(kid)
                        .bind(from.as_str())
                        .bind(to.as_str())
                        .execute(&mut *tx)
                        .await?;
                if set.rows_affected() == 0 {
                    return Ok(false);
                }
            }
            // The instant after any wait for the rows.
            let now = self.now.read(&mut tx).await?;
            sqlx::query("UPDATE signing_keys SET state_time = $3 WHERE kid IN ($1, $2)")
                .bind(next)
                .bind(active)
                .bind(now)
                .execute(&mut *tx)
                .await?;
            audit::insert(&mut tx, event).await?;
            tx.commit().await?;
            Ok(true)
        })
        .await
    }

    async fn remove_retired_key(&self, kid: &str) -> Result<bool, StoreError> {
        let removed = sqlx::query("DELETE FROM signing_keys WHERE kid = $1 AND state = 'retired'")
            .bind(kid)
            .execute(&self.pool)
            .await?;
        Ok(removed.rows_affected() == 1)
    }

    async fn replace_known_key(
        &self,
        known: &str,
        key: &SealedKey,
        event: &AuditEvent,
    ) -> Result<Withdrawal, StoreError> {
        retrying(&self.pool, async || {
            let mut tx = self.begin().await?;
            let locked = sqlx::query("SELECT 1 FROM signing_keys WHERE kid = $1 FOR UPDATE")
                .bind(known)
                .fetch_optional(&mut *tx)
                .await?;
            // Statements of their own: they see what another transaction did while this one waited
            // for the row above.
            if locked.is_none() {
                let withdrawn = sqlx::query("SELECT 1 FROM withdrawn_keys WHERE kid = $1")
                    .bind(known)
                    .fetch_optional(&mut *tx)
                    .await?;
                return Ok(withdrawn.map_or(Withdrawal::NoSuchKey, |_| Withdrawal::DoneBefore));
            }
            let lead: i64 = sqlx::query_scalar("SELECT max(longest_lead) FROM signing_keys")
                .fetch_one(&mut *tx)
                .await?;
            let now = self.now.read(&mut tx).await?;
            sqlx::query(
                "WITH gone AS (DELETE FROM signing_keys
                               WHERE kid = $1 OR state IN ('active', 'next') RETURNING kid)
                 INSERT INTO withdrawn_keys (kid, withdraw_time) SELECT kid, $2 FROM gone
                 ON CONFLICT DO NOTHING",
            )
            .bind(known)
            .bind(now)
            .execute(&mut *tx)
            .await?;
            if !insert(&mut tx, key, KeyState::Active, now).await? {
                return Err(StoreError::Contended);
            }
            sqlx::query("UPDATE signing_keys SET longest_lead = $2 WHERE kid = $1")
                .bind(&key.kid)
                .bind(lead)
                .execute(&mut *tx)
                .await?;
            audit::insert(&mut tx, event).await?;
            tx.commit().await?;
            Ok(Withdrawal::Done)
        })
        .await
    }

    async fn promise(&self, promised: Promised) -> Result<(), StoreError> {
        retrying(&self.pool, async || {
            sqlx::query(
                "UPDATE signing_keys
                 SET longest_lead = greatest(longest_lead, $1),
                     longest_retention = greatest(longest_retention, $2)
                 WHERE state IN ('active', 'next')",
            )
            .bind(encode_duration(promised.lead))
            .bind(encode_duration(promised.retention))
            .execute(&self.pool)
            .await?;
            Ok(())
        })
        .await
    }
}

/// Inserts a key, unless there is one in a state that only one may be in: whoever is about to
/// commit such a key is waited for.
async fn insert(
    connection: &mut PgConnection,
    key: &SealedKey,
    state: KeyState,
    now: i64,
) -> Result<bool, StoreError> {
    let inserted = sqlx::query(
        "INSERT INTO signing_keys (kid, state, public_key, sealed_seed, create_time)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
    )
    .bind(&key.kid)
    .bind(state.as_str())
    .bind(&key.public_key)
    .bind(&key.sealed_seed)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(inserted.rows_affected() == 1)
}
