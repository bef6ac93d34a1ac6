//! What belongs to no kind of thing; the rest is in the neighbouring files.

use async_trait::async_trait;
use transport::metrics::{Metrics, watch_pool};

use super::open::PostgresStore;
use crate::storage::{Store, StoreError};

#[async_trait]
impl Store for PostgresStore {
    async fn page_token_key(&self, fresh: [u8; 32]) -> Result<[u8; 32], StoreError> {
        sqlx::query(
            "INSERT INTO secrets (name, value) VALUES ('page_token', $1)
             ON CONFLICT (name) DO NOTHING",
        )
        .bind(&fresh[..])
        .execute(&self.pool)
        .await?;
        let kept: Vec<u8> =
            sqlx::query_scalar("SELECT value FROM secrets WHERE name = 'page_token'")
                .fetch_one(&self.pool)
                .await?;
        kept.try_into().map_err(|_| StoreError::inconsistent("secrets", "value", "page_token"))
    }

    async fn answers(&self) -> Result<(), StoreError> {
        Ok(self.probe.ask().await?)
    }

    fn measure(&self, metrics: &Metrics) {
        for (name, pool) in [("requests", &self.pool), ("changes", self.bells.pool())] {
            let pool = pool.clone();
            watch_pool(metrics, name, move || pool.now());
        }
    }

    async fn close(&self) {
        self.probe.close().await;
        self.bells.pool().close().await;
        self.pool.close().await;
    }
}
