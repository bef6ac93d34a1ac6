//! Folders with all that lies in them.

use std::fmt;

use async_trait::async_trait;

use crate::{
    domain::{etag::Etag, folder::Entry, id::FolderId, tree::Deletion},
    storage::StoreError,
};

/// Reads and deletes folders with all that lies in them.
#[async_trait]
pub(crate) trait SubtreeStore: fmt::Debug + Send + Sync {
    /// A folder of `owner`'s and all below it, or all of `owner`'s folders, of one snapshot and in
    /// any order.
    async fn subtree(&self, owner: &str, top: Option<FolderId>) -> Result<Vec<Entry>, StoreError>;

    /// Deletes a folder of `owner`'s, whose etag is `seen` if that is given, with all below it. The
    /// trees in them are deleted as [`TreeStore::update_tree`](super::TreeStore::update_tree) would
    /// delete each, and get the etag `fresh`. Refused with [`StoreError::FolderTooLarge`] if there
    /// are more than `most` of them.
    async fn delete_subtree(
        &self,
        id: FolderId,
        owner: &str,
        seen: Option<&Etag>,
        deletion: Deletion,
        fresh: &Etag,
        most: i64,
    ) -> Result<Deleted, StoreError>;
}

/// What is gone with a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deleted {
    /// Itself included.
    pub(crate) folders: u64,
    pub(crate) trees: u64,
}
