//! What belongs to no kind of thing; the rest is in the neighbouring files.

use async_trait::async_trait;
use transport::metrics::Metrics;

use super::database::MemoryStore;
use crate::storage::{Store, StoreError};

#[async_trait]
impl Store for MemoryStore {
    async fn page_token_key(&self, fresh: [u8; 32]) -> Result<[u8; 32], StoreError> {
        Ok(*self.transaction().await?.page_token_key.get_or_insert(fresh))
    }

    async fn answers(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn measure(&self, _: &Metrics) {}

    async fn close(&self) {
        self.end();
    }
}
