//! Signing keys.

use async_trait::async_trait;

use crate::storage::{
    error::StoreError,
    rows::{KeyLookup, decode},
    sqlite::SqliteStore,
    store::{KeyStore, SealedKey},
};

#[async_trait]
impl KeyStore for SqliteStore {
    async fn signing_keys(&self) -> Result<Vec<SealedKey>, StoreError> {
        sqlx::query(
            "SELECT kid, state, public_key, sealed_seed, create_time
             FROM signing_keys ORDER BY create_time DESC, kid",
        )
        .fetch_all(&self.reader)
        .await?
        .iter()
        .map(decode::<_, KeyLookup, _>)
        .collect()
    }

    async fn insert_signing_key(&self, key: &SealedKey) -> Result<(), StoreError> {
        // Two instances that start on an empty database each bring a key; the index on the active
        // state lets one of them in.
        sqlx::query(
            "INSERT INTO signing_keys (kid, state, public_key, sealed_seed, create_time)
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        )
        .bind(&key.kid)
        .bind(key.state.as_str())
        .bind(&key.public_key)
        .bind(&key.sealed_seed)
        .bind(key.create_time.unix_millis())
        .execute(&mut *self.writer.turn().await?)
        .await?;
        Ok(())
    }
}
