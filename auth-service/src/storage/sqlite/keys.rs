//! Signing keys.

use async_trait::async_trait;
use sqlx::SqliteConnection;
use token::clock::Timestamp;

use crate::{
    domain::{
        audit::AuditEvent,
        signing_keys::{KeyState, Promised},
    },
    storage::{
        error::StoreError,
        rows::{KeyLookup, decode, encode_duration},
        sqlite::{SqliteStore, audit, writer::begin},
        store::{KeyStore, SealedKey, StoredKey, Withdrawal},
    },
};

#[async_trait]
impl KeyStore for SqliteStore {
    async fn signing_keys(&self) -> Result<(Vec<StoredKey>, Timestamp), StoreError> {
        // Before the keys, so that none looks older than it is.
        let now = self.clock.now();
        let keys = sqlx::query(
            "SELECT kid, state, public_key, sealed_seed, create_time, state_time, longest_lead,
                    longest_retention
             FROM signing_keys ORDER BY create_time DESC, kid",
        )
        .fetch_all(&self.reader)
        .await?
        .iter()
        .map(decode::<_, KeyLookup, _>)
        .collect::<Result<_, _>>()?;
        Ok((keys, now))
    }

    async fn insert_first_key(&self, key: &SealedKey) -> Result<(), StoreError> {
        let mut writer = self.writer.turn().await?;
        insert(&mut writer, key, KeyState::Active, self.clock.now()).await?;
        Ok(())
    }

    async fn insert_next_key(
        &self,
        key: &SealedKey,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        let mut writer = self.writer.turn().await?;
        let mut tx = begin(&mut writer).await?;
        if !insert(&mut tx, key, KeyState::Next, self.clock.now()).await? {
            return Ok(false);
        }
        audit::insert(&mut tx, event).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn promote_key(
        &self,
        next: &str,
        active: &str,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        let mut writer = self.writer.turn().await?;
        let mut tx = begin(&mut writer).await?;
        let now = self.clock.now();
        // In this order, since only one may be active.
        for (kid, from, to) in [
            (active, KeyState::Active, KeyState::Retired),
            (next, KeyState::Next, KeyState::Active),
        ] {
            let set = sqlx::query(
                "UPDATE signing_keys SET state = $3, state_time = $4 WHERE kid = $1 AND state = $2",
            )
            .bind(kid)
            .bind(from.as_str())
            .bind(to.as_str())
            .bind(now.unix_millis())
            .execute(&mut *tx)
            .await?;
            if set.rows_affected() == 0 {
                return Ok(false);
            }
        }
        audit::insert(&mut tx, event).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn remove_retired_key(&self, kid: &str) -> Result<bool, StoreError> {
        let removed = sqlx::query("DELETE FROM signing_keys WHERE kid = $1 AND state = 'retired'")
            .bind(kid)
            .execute(&mut *self.writer.turn().await?)
            .await?;
        Ok(removed.rows_affected() == 1)
    }

    async fn replace_known_key(
        &self,
        known: &str,
        key: &SealedKey,
        event: &AuditEvent,
    ) -> Result<Withdrawal, StoreError> {
        let mut writer = self.writer.turn().await?;
        let mut tx = begin(&mut writer).await?;
        let is_known = sqlx::query("SELECT 1 FROM signing_keys WHERE kid = $1")
            .bind(known)
            .fetch_optional(&mut *tx)
            .await?
            .is_some();
        if !is_known {
            let withdrawn = sqlx::query("SELECT 1 FROM withdrawn_keys WHERE kid = $1")
                .bind(known)
                .fetch_optional(&mut *tx)
                .await?;
            return Ok(withdrawn.map_or(Withdrawal::NoSuchKey, |_| Withdrawal::DoneBefore));
        }
        let now = self.clock.now();
        let lead: i64 = sqlx::query_scalar("SELECT max(longest_lead) FROM signing_keys")
            .fetch_one(&mut *tx)
            .await?;
        sqlx::query(
            "INSERT INTO withdrawn_keys (kid, withdraw_time)
             SELECT kid, $2 FROM signing_keys WHERE kid = $1 OR state IN ('active', 'next')
             ON CONFLICT DO NOTHING",
        )
        .bind(known)
        .bind(now.unix_millis())
        .execute(&mut *tx)
        .await?;
        sqlx::query("DELETE FROM signing_keys WHERE kid = $1 OR state IN ('active', 'next')")
            .bind(known)
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
    }

    async fn promise(&self, promised: Promised) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE signing_keys
             SET longest_lead = max(longest_lead, $1),
                 longest_retention = max(longest_retention, $2)
             WHERE state IN ('active', 'next')",
        )
        .bind(encode_duration(promised.lead))
        .bind(encode_duration(promised.retention))
        .execute(&mut *self.writer.turn().await?)
        .await?;
        Ok(())
    }
}

/// Inserts a key, unless there is one in a state that only one may be in.
async fn insert(
    connection: &mut SqliteConnection,
    key: &SealedKey,
    state: KeyState,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let inserted = sqlx::query(
        "INSERT INTO signing_keys (kid, state, public_key, sealed_seed, create_time)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
    )
    .bind(&key.kid)
    .bind(state.as_str())
    .bind(&key.public_key)
    .bind(&key.sealed_seed)
    .bind(now.unix_millis())
    .execute(connection)
    .await?;
    Ok(inserted.rows_affected() == 1)
}
