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

pub(crate) use self::connection::{FILE, MIGRATIONS, SqliteStore};
use crate::storage::store::Store;

#[async_trait]
impl Store for SqliteStore {
    async fn close(&self) {
        self.close().await;
    }
}

#[cfg(test)]
mod tests;
