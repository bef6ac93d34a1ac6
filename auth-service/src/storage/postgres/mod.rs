//! The backend of several instances: all state is in a PostgreSQL database, or in one that speaks
//! its protocol and keeps its promises.
//!
//! Everything runs at the isolation level READ COMMITTED. What must not be raced is held by locks
//! on rows, taken in one order: a user before their sessions, and sessions by id. A transaction that
//! the database sacrifices all the same (SQLSTATE 40001, 40P01) is run again.
//!
//! Statements name their columns. A prepared one that takes all there are fails on its connection as
//! soon as another instance, of a newer version, has added a column.

mod advances;
mod audit;
mod clock;
mod connection;
mod keys;
mod limits;
mod lists;
mod retry;
mod revocations;
mod services;
mod sessions;
mod users;

use async_trait::async_trait;
use transport::metrics::{Metrics, watch_pool};

pub(crate) use self::{
    clock::DatabaseClock,
    connection::{MIGRATIONS, PostgresStore, RIGHTS},
};
use crate::storage::{error::StoreError, store::Store};

#[async_trait]
impl Store for PostgresStore {
    async fn answers(&self) -> Result<(), StoreError> {
        Ok(self.probe.ask().await?)
    }

    fn measure(&self, metrics: &Metrics) {
        let pools = [
            ("requests", &self.pool),
            ("commits", &self.commits),
            ("revocations", self.bells.pool()),
        ];
        for (name, pool) in pools {
            let pool = pool.clone();
            watch_pool(metrics, name, move || pool.now());
        }
        self.advances.measure(metrics);
    }

    async fn close(&self) {
        self.close().await;
    }
}

#[cfg(test)]
mod tests;
