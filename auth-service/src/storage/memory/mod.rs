//! The backend of simulations: tables in memory, which outlive the server that serves them.

mod advances;
mod database;
mod keys;
mod limits;
mod lists;
mod revocations;
mod services;
mod sessions;
mod users;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use token::clock::{Clock, Timestamp};
use transport::metrics::Metrics;

pub use self::database::{Committed, MemoryDatabase, Pace, Snapshot};
use self::{advances::MemoryCommitter, database::Tables};
use crate::{
    domain::audit::AuditEvent,
    storage::{
        error::StoreError,
        group_commit::{GroupCommit, Limits},
        store::{AuditStore, Store},
    },
};

/// One server's access to a [`MemoryDatabase`].
#[derive(Clone, Debug)]
pub(crate) struct MemoryStore {
    database: MemoryDatabase,
    advances: GroupCommit,
    clock: Arc<dyn Clock>,
}

impl MemoryStore {
    pub(crate) fn open(database: &MemoryDatabase, clock: Arc<dyn Clock>) -> Self {
        let committer = MemoryCommitter::new(database.clone(), Arc::clone(&clock));
        let advances = GroupCommit::start(committer, Limits { members: 64, groups: 2 });
        Self { database: database.clone(), advances, clock }
    }

    /// A transaction: all of `change` or nothing, and no other meanwhile.
    async fn write<T>(&self, change: impl FnOnce(&mut Tables, Timestamp) -> T) -> T {
        // Who is dropped here has written nothing.
        self.database.pause().await;
        let done = change(&mut self.database.tables(), self.clock.now());
        // Most writes revoke nothing; a ring too many does no harm.
        self.database.bell().ring();
        // Who is dropped here has written, and nobody is told.
        self.database.pause().await;
        done
    }

    async fn read<T>(&self, look: impl FnOnce(&Tables, Timestamp) -> T) -> T {
        self.database.pause().await;
        look(&self.database.tables(), self.clock.now())
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn answers(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn measure(&self, metrics: &Metrics) {
        self.advances.measure(metrics);
    }

    async fn close(&self) {}
}

#[async_trait]
impl AuditStore for MemoryStore {
    async fn record(&self, events: &[AuditEvent]) -> Result<(), StoreError> {
        self.write(|tables, _| events.iter().for_each(|event| tables.audit(event))).await;
        Ok(())
    }

    async fn newest_events(&self, limit: u32) -> Result<Vec<AuditEvent>, StoreError> {
        let mut events = self.read(|tables, _| tables.events.clone()).await;
        events.sort_by_key(|event| std::cmp::Reverse((event.time, event.id)));
        events.truncate(limit as usize);
        Ok(events)
    }

    async fn remove_old_events(&self, retention: Duration, limit: u32) -> Result<u64, StoreError> {
        Ok(self
            .write(|tables, now| {
                tables.events.sort_by_key(|event| event.time);
                let old = tables.events.iter().take_while(|event| event.time < now - retention);
                let removed = old.count().min(limit as usize);
                tables.events.drain(..removed);
                removed as u64
            })
            .await)
    }
}

#[cfg(test)]
mod tests;
