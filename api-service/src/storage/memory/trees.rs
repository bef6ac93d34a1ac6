//! Trees and their nodes.

use std::{cmp::Reverse, collections::btree_map::Entry};

use async_trait::async_trait;
use token::clock::Timestamp;

use super::database::{MemoryStore, Tables, id_taken, most};
use crate::{
    domain::{
        etag::Etag,
        id::TreeId,
        node::Nodes,
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
        Ok(found.into_iter().take(most(limit)).map(without_nodes).collect())
    }

    async fn tree(&self, id: TreeId, reader: &str) -> Result<Tree, StoreError> {
        let tables = self.transaction().await?;
        let found = tables.trees.get(&id).filter(|tree| is_readable(tree, reader));
        found.cloned().ok_or(StoreError::TreeNotFound)
    }

    async fn insert_tree(&self, tree: &Tree) -> Result<(), StoreError> {
        let mut tables = self.transaction().await?;
        tables.check_references(tree)?;
        match tables.trees.entry(tree.id) {
            Entry::Occupied(_) => Err(id_taken()),
            Entry::Vacant(entry) => {
                entry.insert(tree.clone());
                Ok(())
            }
        }
    }

    async fn update_tree(&self, tree: &Tree, seen: &Etag) -> Result<(), StoreError> {
        let mut tables = self.transaction().await?;
        let current = tables.tree(tree.id, &tree.owner_id)?;
        // In the order in which a database answers: what the tree refers to comes before its etag.
        tables.check_references(tree)?;
        if current.etag != *seen {
            return Err(StoreError::EtagMismatch);
        }
        let created_at = current.created_at;
        tables.trees.insert(tree.id, Tree { created_at, ..tree.clone() });
        Ok(())
    }

    async fn delete_tree(
        &self,
        id: TreeId,
        owner: &str,
        seen: Option<&Etag>,
    ) -> Result<(), StoreError> {
        let mut tables = self.transaction().await?;
        let current = tables.tree(id, owner)?;
        if seen.is_some_and(|seen| *seen != current.etag) {
            return Err(StoreError::EtagMismatch);
        }
        tables.trees.remove(&id);
        Ok(())
    }
}

impl Tables {
    fn tree(&self, id: TreeId, owner: &str) -> Result<&Tree, StoreError> {
        let found = self.trees.get(&id).filter(|tree| tree.owner_id == owner);
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

fn is_readable(tree: &Tree, reader: &str) -> bool {
    tree.owner_id == reader || tree.content.visibility == Visibility::Shared
}

fn is_listed(tree: &Tree, filter: &TreeFilter) -> bool {
    let TreeFilter { reader, category_id, folder_id, status } = filter;
    let content = &tree.content;
    // A folder holds only trees of its owner's, and is the reader's or shows nothing.
    is_readable(tree, reader)
        && folder_id.is_none_or(|id| content.folder_id == Some(id) && tree.owner_id == *reader)
        && category_id.is_none_or(|id| content.category_id == Some(id))
        && status.is_none_or(|status| content.status == status)
}

/// Where it stands in its list, which begins with the greatest.
fn key(tree: &Tree) -> (Timestamp, TreeId) {
    (tree.created_at, tree.id)
}

/// As it is listed.
fn without_nodes(tree: &Tree) -> Tree {
    let mut listed = tree.clone();
    listed.content.nodes = Nodes::default();
    listed
}
