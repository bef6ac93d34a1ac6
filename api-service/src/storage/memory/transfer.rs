//! Many trees at once, out and in.

use std::collections::BTreeMap;

use async_trait::async_trait;
use token::clock::Timestamp;

use super::database::{MemoryStore, Tables, most};
use crate::{
    domain::{id::FolderId, import::Progress, tree::Tree},
    storage::{ImportError, ImportStep, StoreError, TransferStore, TreeKey},
};

/// By owner and key: how far an import has come, and when it runs out.
pub(super) type Imports = BTreeMap<(String, String), (Progress, Timestamp)>;

#[async_trait]
impl TransferStore for MemoryStore {
    async fn tree_keys(
        &self,
        owner: &str,
        folder: Option<FolderId>,
        after: Option<&TreeKey>,
        limit: i64,
    ) -> Result<Vec<TreeKey>, StoreError> {
        let tables = self.transaction().await?;
        let after = after.map(|after| (after.created_at, after.id));
        let mut keys: Vec<_> = tables
            .trees
            .values()
            .filter(|tree| tree.owner_id == owner && tree.deletion.is_none())
            .filter(|tree| folder.is_none_or(|top| tables.lies_in(tree.content.folder_id, top)))
            .map(|tree| (tree.created_at, tree.id))
            .filter(|&key| after.is_none_or(|after| key > after))
            .collect();
        keys.sort_unstable();
        let keys = keys.into_iter().take(most(limit));
        Ok(keys.map(|(created_at, id)| TreeKey { created_at, id }).collect())
    }

    async fn import(
        &self,
        owner: &str,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<Progress>, StoreError> {
        Ok(self.transaction().await?.import(owner, key, now))
    }

    async fn import_trees(
        &self,
        trees: &[Tree],
        step: Option<&ImportStep>,
    ) -> Result<(), ImportError> {
        let mut tables = self.transaction().await?;
        for (i, tree) in trees.iter().enumerate() {
            tables.check_new(tree).map_err(|error| ImportError::Tree(i, error))?;
        }
        if let Some(ImportStep { owner, key, before, after, now, expires_at }) = step {
            let created = tables.import(owner, key, *now).map_or(0, |import| import.created);
            if created != *before {
                return Err(ImportError::Running);
            }
            let import = (after.clone(), *expires_at);
            tables.imports.insert((owner.clone(), key.clone()), import);
        }
        for tree in trees {
            tables.create(tree);
        }
        Ok(())
    }

    async fn trim_imports(&self, now: Timestamp, limit: i64) -> Result<u64, StoreError> {
        let imports = &mut self.transaction().await?.imports;
        let over: Vec<_> = imports
            .iter()
            .filter(|(_, (_, expires_at))| *expires_at <= now)
            .map(|(key, _)| key.clone())
            .take(most(limit))
            .collect();
        for key in &over {
            imports.remove(key);
        }
        Ok(over.len() as u64)
    }
}

impl Tables {
    fn import(&self, owner: &str, key: &str, now: Timestamp) -> Option<Progress> {
        let (import, expires_at) = self.imports.get(&(owner.to_owned(), key.to_owned()))?;
        (*expires_at > now).then(|| import.clone())
    }

    /// Whether a folder is another or lies anywhere below it.
    fn lies_in(&self, folder: Option<FolderId>, top: FolderId) -> bool {
        let above = |id: &FolderId| self.folders.get(id)?.content.parent_id;
        std::iter::successors(folder, above).any(|id| id == top)
    }
}
