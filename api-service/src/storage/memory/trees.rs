//! Trees.

use std::cmp::Reverse;

use async_trait::async_trait;
use token::clock::Timestamp;

use super::database::{MemoryStore, Tables, id_taken, most};
use crate::{
    domain::{
        change::Audience,
        etag::Etag,
        id::TreeId,
        tree::{Tree, Visibility},
    },
    storage::{StoreError, TreeFilter, TreeKey, TreeStore},
};

#[async_trait]
impl TreeStore for MemoryStore {
    async fn trees(
        &self,
        filter: &TreeFilter,
        after: Option<&TreeKey>,
        limit: i64,
    ) -> Result<Vec<Tree>, StoreError> {
        let tables = self.transaction().await?;
        let after = after.map(|after| (after.created_at, after.id));
        let mut found: Vec<_> = tables
            .trees
            .values()
            .filter(|tree| is_listed(tree, filter))
            .filter(|tree| after.is_none_or(|after| key(tree) < after))
            .collect();
        found.sort_unstable_by_key(|tree| Reverse(key(tree)));
        Ok(found.into_iter().take(most(limit)).cloned().map(Tree::without_nodes).collect())
    }

    async fn tree(&self, id: TreeId, reader: &str) -> Result<Tree, StoreError> {
        self.transaction().await?.readable(id, reader).cloned()
    }

    async fn insert_tree(&self, tree: &Tree) -> Result<(), StoreError> {
        let mut tables = self.transaction().await?;
        tables.check_new(tree)?;
        tables.create(tree);
        Ok(())
    }

    async fn update_tree(&self, tree: &Tree, seen: &Etag) -> Result<(), StoreError> {
        let mut tables = self.transaction().await?;
        let current = tables.tree(tree.id, &tree.owner_id)?;
        // In the order in which a database answers: what the tree refers to comes after its etag.
        if current.etag != *seen {
            return Err(StoreError::EtagMismatch);
        }
        tables.check_references(tree)?;
        let (created_at, revision) = (current.created_at, current.revision);
        let before = current.audience();
        tables.trees.insert(tree.id, Tree { created_at, ..tree.clone() });
        if tree.revision > revision {
            tables.write_revision(tree);
        }
        tables.log.record(tree.change(before));
        Ok(())
    }
}

impl Tables {
    /// Whether a tree may be created.
    pub(super) fn check_new(&self, tree: &Tree) -> Result<(), StoreError> {
        self.check_references(tree)?;
        if self.trees.contains_key(&tree.id) { Err(id_taken()) } else { Ok(()) }
    }

    /// Creates a tree that may be.
    pub(super) fn create(&mut self, tree: &Tree) {
        self.trees.insert(tree.id, tree.clone());
        self.write_revision(tree);
        self.number(tree.id);
        self.log.record(tree.change(Audience::Nobody));
    }

    fn tree(&self, id: TreeId, owner: &str) -> Result<&Tree, StoreError> {
        let found = self.trees.get(&id).filter(|tree| tree.owner_id == owner);
        found.ok_or(StoreError::TreeNotFound)
    }

    pub(super) fn readable(&self, id: TreeId, reader: &str) -> Result<&Tree, StoreError> {
        let found = self.trees.get(&id).filter(|tree| is_readable(tree, reader));
        found.ok_or(StoreError::TreeNotFound)
    }

    fn check_references(&self, tree: &Tree) -> Result<(), StoreError> {
        if let Some(id) = tree.content.folder_id {
            self.folder(id, &tree.owner_id)?;
        }
        if let Some(id) = tree.content.category_id {
            self.category(id)?;
        }
        Ok(())
    }
}

pub(super) fn is_readable(tree: &Tree, reader: &str) -> bool {
    let is_shared = tree.content.visibility == Visibility::Shared && tree.deletion.is_none();
    tree.owner_id == reader || is_shared
}

fn is_listed(tree: &Tree, filter: &TreeFilter) -> bool {
    let TreeFilter { reader, category_id, folder_id, status, mine } = filter;
    let content = &tree.content;
    // A folder holds only trees of its owner's, and is the reader's or shows nothing.
    tree.deletion.is_none()
        && is_readable(tree, reader)
        && (!mine || tree.owner_id == *reader)
        && folder_id.is_none_or(|id| content.folder_id == Some(id) && tree.owner_id == *reader)
        && category_id.is_none_or(|id| content.category_id == Some(id))
        && status.is_none_or(|status| content.status == status)
}

/// Where it stands in its list, which begins with the greatest.
fn key(tree: &Tree) -> (Timestamp, TreeId) {
    (tree.created_at, tree.id)
}
