//! The embedded backend: one file, one writer, any number of readers.

mod advances;
mod audit;
mod connection;
mod keys;
mod limits;
mod lists;
mod revocations;
mod services;
mod sessions;
mod users;
mod writer;

use async_trait::async_trait;
use transport::{
    metrics::{Metrics, watch_pool},
    sqlite::answers,
};

pub(crate) use self::connection::{FILE, MIGRATIONS, SqliteStore};
use crate::storage::{error::StoreError, store::Store};

#[async_trait]
impl Store for SqliteStore {
    async fn answers(&self) -> Result<(), StoreError> {
        Ok(answers(&self.reader).await?)
    }

    fn measure(&self, metrics: &Metrics) {
        let reader = self.reader.clone();
        watch_pool(metrics, "readers", move || reader.clone());
        self.advances.measure(metrics);
    }

    async fn close(&self) {
        self.close().await;
    }
}

#[cfg(test)]
mod tests;
