//! Deleted trees.

use std::cmp::Reverse;

use async_trait::async_trait;
use token::clock::Timestamp;

use super::database::{MemoryStore, most};
use crate::{
    domain::tree::Tree,
    storage::{DeletedKey, DeletionStore, StoreError},
};

#[async_trait]
impl DeletionStore for MemoryStore {
    async fn deleted_trees(
        &self,
        owner: &str,
        now: Timestamp,
        after: Option<&DeletedKey>,
        limit: i64,
    ) -> Result<Vec<Tree>, StoreError> {
        let tables = self.transaction().await?;
        let after = after.map(|after| (after.deleted_at, after.id));
        let mut found: Vec<_> = tables
            .trees
            .values()
            .filter(|tree| tree.owner_id == owner)
            .filter_map(|tree| Some((tree.deletion?, tree)))
            .filter(|(deletion, _)| deletion.purge_at > now)
            .map(|(deletion, tree)| ((deletion.deleted_at, tree.id), tree))
            .filter(|(key, _)| after.is_none_or(|after| *key < after))
            .collect();
        found.sort_unstable_by_key(|(key, _)| Reverse(*key));
        let found = found.into_iter().take(most(limit));
        Ok(found.map(|(_, tree)| tree.clone().without_nodes()).collect())
    }

    async fn purge(&self, now: Timestamp, limit: i64) -> Result<u64, StoreError> {
        let mut tables = self.transaction().await?;
        let purge_at = |tree: &Tree| tree.deletion.map(|deletion| deletion.purge_at);
        let mut due: Vec<_> = tables
            .trees
            .values()
            .filter_map(|tree| Some((purge_at(tree)?, tree.id)))
            .filter(|(purge_at, _)| *purge_at <= now)
            .collect();
        due.sort_unstable();
        due.truncate(most(limit));
        for (_, id) in &due {
            tables.trees.remove(id);
            tables.search_numbers.remove(id);
            tables.revisions.retain(|(tree, _), _| tree != id);
        }
        Ok(due.len() as u64)
    }
}
