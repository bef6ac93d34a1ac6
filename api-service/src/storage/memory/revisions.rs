//! Revisions.

use async_trait::async_trait;

use super::database::{MemoryStore, Tables, most};
use crate::{
    domain::{
        id::TreeId,
        revision::{KEPT, Revision},
        tree::Tree,
    },
    storage::{RevisionStore, StoreError},
};

#[async_trait]
impl RevisionStore for MemoryStore {
    async fn revisions(
        &self,
        id: TreeId,
        reader: &str,
        before: Option<i64>,
        limit: i64,
    ) -> Result<(Tree, Vec<Revision>), StoreError> {
        let tables = self.transaction().await?;
        let tree = tables.readable(id, reader)?;
        let range = (id, i64::MIN)..(id, before.unwrap_or(i64::MAX));
        let newest = tables.revisions.range(range).rev().take(most(limit));
        let found = newest.map(|(_, revision)| revision.clone().without_nodes()).collect();
        Ok((tree.clone().without_nodes(), found))
    }

    async fn revision(
        &self,
        id: TreeId,
        reader: &str,
        number: i64,
    ) -> Result<(Tree, Option<Revision>), StoreError> {
        let tables = self.transaction().await?;
        let tree = tables.readable(id, reader)?;
        Ok((tree.clone().without_nodes(), tables.revisions.get(&(id, number)).cloned()))
    }
}

impl Tables {
    /// Writes what the tree reads now, and drops what is too old to be kept.
    pub(super) fn write_revision(&mut self, tree: &Tree) {
        self.revisions.insert((tree.id, tree.revision), Revision::of(tree));
        let kept = tree.revision - KEPT;
        self.revisions.retain(|&(id, number), _| id != tree.id || number > kept);
    }
}
