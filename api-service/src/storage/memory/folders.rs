//! Folders.

use std::collections::btree_map::Entry;

use async_trait::async_trait;

use super::database::{MemoryStore, Tables, id_taken, most};
use crate::{
    domain::{
        change::{Change, ChangeKind, Stamp},
        etag::Etag,
        folder::{Folder, Misplaced, check_place},
        id::FolderId,
    },
    storage::{FolderKey, FolderStore, StoreError},
};

#[async_trait]
impl FolderStore for MemoryStore {
    async fn folders(
        &self,
        owner: &str,
        parent: Option<FolderId>,
        after: Option<&FolderKey>,
        limit: i64,
    ) -> Result<Vec<Folder>, StoreError> {
        let tables = self.transaction().await?;
        let after = after.map(|after| (after.position, after.name.as_str()));
        let mut found: Vec<_> = tables
            .below(parent)
            .filter(|folder| folder.owner_id == owner)
            .filter(|folder| after.is_none_or(|after| key(folder) > after))
            .collect();
        found.sort_unstable_by_key(|folder| key(folder));
        Ok(found.into_iter().take(most(limit)).cloned().collect())
    }

    async fn folder(&self, id: FolderId, owner: &str) -> Result<Folder, StoreError> {
        self.transaction().await?.folder(id, owner).cloned()
    }

    async fn insert_folder(&self, folder: &Folder, limit: i64) -> Result<(), StoreError> {
        let mut tables = self.transaction().await?;
        tables.check_place(folder, 1)?;
        let own = tables.folders.values().filter(|other| other.owner_id == folder.owner_id);
        if own.count() >= most(limit) {
            return Err(StoreError::TooManyFolders);
        }
        tables.check_name(folder)?;
        match tables.folders.entry(folder.id) {
            Entry::Occupied(_) => Err(id_taken()),
            Entry::Vacant(entry) => {
                entry.insert(folder.clone());
                tables.log.record(Change::of_folder(
                    folder.id,
                    &folder.owner_id,
                    ChangeKind::Created,
                    folder.stamp(),
                ));
                Ok(())
            }
        }
    }

    async fn update_folder(&self, folder: &Folder, seen: &Etag) -> Result<(), StoreError> {
        let mut tables = self.transaction().await?;
        let current = tables.folder(folder.id, &folder.owner_id)?;
        if current.etag != *seen {
            return Err(StoreError::EtagMismatch);
        }
        let created_at = current.created_at;
        if current.content.parent_id != folder.content.parent_id {
            tables.check_place(folder, tables.height(folder.id))?;
        }
        tables.check_name(folder)?;
        tables.folders.insert(folder.id, Folder { created_at, ..folder.clone() });
        let (kind, stamp) = (ChangeKind::Updated, folder.stamp());
        tables.log.record(Change::of_folder(folder.id, &folder.owner_id, kind, stamp));
        Ok(())
    }

    async fn delete_folder(
        &self,
        id: FolderId,
        owner: &str,
        seen: Option<&Etag>,
        stamp: Stamp,
    ) -> Result<(), StoreError> {
        let mut tables = self.transaction().await?;
        let current = tables.folder(id, owner)?;
        if seen.is_some_and(|seen| *seen != current.etag) {
            return Err(StoreError::EtagMismatch);
        }
        let holds_tree = tables.trees.values().any(|tree| tree.content.folder_id == Some(id));
        if holds_tree || tables.below(Some(id)).next().is_some() {
            return Err(StoreError::FolderNotEmpty);
        }
        tables.folders.remove(&id);
        tables.log.record(Change::of_folder(id, owner, ChangeKind::Deleted, stamp));
        Ok(())
    }
}

impl Tables {
    pub(super) fn folder(&self, id: FolderId, owner: &str) -> Result<&Folder, StoreError> {
        let found = self.folders.get(&id).filter(|folder| folder.owner_id == owner);
        found.ok_or(StoreError::FolderNotFound)
    }

    /// What lies right below one parent, or at the top of anyone's.
    pub(super) fn below(&self, parent: Option<FolderId>) -> impl Iterator<Item = &Folder> {
        self.folders.values().filter(move |folder| folder.content.parent_id == parent)
    }

    /// How many levels a folder and what lies in it have.
    fn height(&self, id: FolderId) -> usize {
        1 + self.below(Some(id)).map(|folder| self.height(folder.id)).max().unwrap_or_default()
    }

    /// Whether the folder, with so many levels of its own, may lie where it should.
    fn check_place(&self, folder: &Folder, height: usize) -> Result<(), StoreError> {
        let mut above = Vec::new();
        let mut next = folder.content.parent_id;
        while let Some(id) = next {
            // One above the parent is there and the owner's, or the parent would not lie in it.
            next = self.folder(id, &folder.owner_id)?.content.parent_id;
            above.push(id);
        }
        check_place(folder.id, &above, height).map_err(|misplaced| match misplaced {
            Misplaced::Cycle => StoreError::FolderCycle,
            Misplaced::TooDeep => StoreError::FolderTooDeep,
        })
    }

    fn check_name(&self, folder: &Folder) -> Result<(), StoreError> {
        let same = |other: &Folder| {
            other.id != folder.id
                && other.owner_id == folder.owner_id
                && other.content.name == folder.content.name
        };
        if self.below(folder.content.parent_id).any(same) {
            return Err(StoreError::FolderNameTaken);
        }
        Ok(())
    }
}

/// Where it stands in its list.
fn key(folder: &Folder) -> (i32, &str) {
    (folder.content.position, &folder.content.name)
}
