//! Folders with all that lies in them.

use async_trait::async_trait;

use super::database::{self, MemoryStore, Tables};
use crate::{
    domain::{
        change::{Audience, Change, ChangeKind, Stamp},
        etag::Etag,
        folder::{Entry, Folder},
        id::FolderId,
        tree::{Deletion, Tree},
    },
    storage::{Deleted, StoreError, SubtreeStore},
};

#[async_trait]
impl SubtreeStore for MemoryStore {
    async fn subtree(&self, owner: &str, top: Option<FolderId>) -> Result<Vec<Entry>, StoreError> {
        let tables = self.transaction().await?;
        let tops = match top {
            Some(top) => vec![tables.folder(top, owner)?],
            None => tables.below(None).filter(|folder| folder.owner_id == owner).collect(),
        };
        let mut entries = Vec::new();
        for top in tops {
            tables.walk(top, 0, &mut entries);
        }
        Ok(entries)
    }

    async fn delete_subtree(
        &self,
        id: FolderId,
        owner: &str,
        seen: Option<&Etag>,
        deletion: Deletion,
        fresh: &Etag,
        most: i64,
    ) -> Result<Deleted, StoreError> {
        let mut tables = self.transaction().await?;
        let top = tables.folder(id, owner)?;
        if seen.is_some_and(|seen| *seen != top.etag) {
            return Err(StoreError::EtagMismatch);
        }
        let mut entries = Vec::new();
        tables.walk(top, 0, &mut entries);
        let gone: Vec<_> = entries.iter().map(|entry| Some(entry.folder.id)).collect();
        let filed = tables.trees.values().filter(|tree| gone.contains(&tree.content.folder_id));
        // What is in a folder is not deleted yet.
        let deleted: Vec<Tree> = filed
            .filter(|tree| tree.content.folder_id.is_some())
            .filter_map(|tree| tree.clone().deleted(deletion, fresh.clone()).ok())
            .collect();
        if deleted.len() > database::most(most) {
            return Err(StoreError::FolderTooLarge);
        }
        let (folders, trees) = (entries.len() as u64, deleted.len() as u64);
        for tree in &deleted {
            // By whom it was found before it was deleted.
            let before = tables.trees.get(&tree.id).map_or(Audience::Nobody, Tree::audience);
            let (after, stamp) = (Audience::Nobody, tree.stamp());
            tables.log.record(Change::of_tree(tree.id, owner, before, after, stamp));
        }
        for entry in &entries {
            let stamp = Stamp { mark: fresh.clone(), at: deletion.deleted_at };
            let (id, kind) = (entry.folder.id, ChangeKind::Deleted);
            tables.log.record(Change::of_folder(id, owner, kind, stamp));
        }
        tables.trees.extend(deleted.into_iter().map(|tree| (tree.id, tree)));
        tables.folders.retain(|id, _| !gone.contains(&Some(*id)));
        Ok(Deleted { folders, trees })
    }
}

impl Tables {
    /// The folder and all below it.
    fn walk(&self, folder: &Folder, depth: i32, entries: &mut Vec<Entry>) {
        let filed = |tree: &&Tree| tree.content.folder_id == Some(folder.id);
        let tree_count = self.trees.values().filter(filed).count();
        let tree_count = i32::try_from(tree_count).unwrap_or(i32::MAX);
        entries.push(Entry { folder: folder.clone(), depth, tree_count });
        for below in self.below(Some(folder.id)) {
            self.walk(below, depth + 1, entries);
        }
    }
}
