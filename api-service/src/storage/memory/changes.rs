//! The log of what was written.

use std::{collections::BTreeMap, ops::Bound};

use async_trait::async_trait;
use token::clock::Timestamp;
use tokio::sync::watch;

use super::database::{MemoryStore, Tables, most};
use crate::{
    domain::change::{Change, Resource, ResourceId},
    storage::{ChangeKey, ChangeStore, Changes, StoreError},
};

/// The log.
#[derive(Debug)]
pub(super) struct Log {
    /// The first of all is no change: it names the place before.
    entries: BTreeMap<i64, (ChangeKey, Option<Change>)>,
    bell: watch::Sender<()>,
}

impl Default for Log {
    fn default() -> Self {
        let key = ChangeKey { seq: 1, mark: String::new() };
        Self { entries: [(1, (key, None))].into(), bell: watch::Sender::default() }
    }
}

impl Log {
    pub(super) fn record(&mut self, change: impl Into<Option<Change>>) {
        if let Some(change) = change.into() {
            let (seq, mark) = (self.last().seq + 1, change.stamp.mark.0.clone());
            self.entries.insert(seq, (ChangeKey { seq, mark }, Some(change)));
            self.bell.send_replace(());
        }
    }

    fn last(&self) -> &ChangeKey {
        let (_, (last, _)) = self.entries.last_key_value().expect("the newest entry stays");
        last
    }
}

#[async_trait]
impl ChangeStore for MemoryStore {
    async fn last_change(&self) -> Result<ChangeKey, StoreError> {
        Ok(self.transaction().await?.log.last().clone())
    }

    async fn changes(
        &self,
        reader: Option<&str>,
        after: &ChangeKey,
        limit: i64,
    ) -> Result<Option<Changes>, StoreError> {
        let Tables { log, .. } = &*self.transaction().await?;
        if log.entries.get(&after.seq).is_none_or(|(key, _)| key != after) {
            return Ok(None);
        }
        let changes: Vec<_> = log
            .entries
            .range((Bound::Excluded(after.seq), Bound::Unbounded))
            .filter_map(|(_, (key, change))| Some((key.clone(), change.clone()?)))
            .filter(|(_, change)| reader.is_none_or(|reader| change.to(reader).is_some()))
            .take(most(limit))
            .collect();
        let last = changes.last().filter(|_| changes.len() == most(limit)).map(|(key, _)| key);
        let until = last.unwrap_or(log.last()).clone();
        Ok(Some(Changes { changes, until }))
    }

    async fn resource(&self, id: ResourceId) -> Result<Option<Resource>, StoreError> {
        let tables = self.transaction().await?;
        Ok(match id {
            ResourceId::Category(id) => tables.categories.get(&id).cloned().map(Resource::Category),
            ResourceId::Folder(id) => tables.folders.get(&id).cloned().map(Resource::Folder),
            ResourceId::Tree(id) => {
                let tree = tables.trees.get(&id).filter(|tree| tree.deletion.is_none());
                tree.map(|tree| Resource::Tree(tree.clone().without_nodes()))
            }
        })
    }

    async fn trim_changes(&self, before: Timestamp, limit: i64) -> Result<u64, StoreError> {
        let log = &mut self.transaction().await?.log;
        let is_old = |change: &Change| change.stamp.at < before;
        let old = log.entries.values().take_while(|(_, change)| change.as_ref().is_none_or(is_old));
        // The newest of them is where everybody is who has read all of them.
        let removed = old.count().saturating_sub(1).min(most(limit));
        for _ in 0..removed {
            log.entries.pop_first();
        }
        Ok(removed as u64)
    }

    fn bell(&self) -> watch::Receiver<()> {
        self.now().log.bell.subscribe()
    }
}
