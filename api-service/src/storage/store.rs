//! The trait that every backend implements.

mod changes;
mod deletion;
mod merges;
mod revisions;
mod search;
mod subtrees;
mod transfer;

use std::fmt;

use async_trait::async_trait;
use token::clock::Timestamp;
use transport::metrics::Metrics;

use super::error::StoreError;
use crate::domain::{
    category::Category,
    change::Stamp,
    etag::Etag,
    folder::Folder,
    id::{CategoryId, FolderId, TreeId},
    tree::{Status, Tree},
};

pub(crate) use self::{
    changes::{ChangeKey, ChangeStore, Changes},
    deletion::{DeletedKey, DeletionStore},
    merges::{MergeStore, Step, Target},
    revisions::RevisionStore,
    search::{Found, SearchKey, SearchStore, Tier},
    subtrees::{Deleted, SubtreeStore},
    transfer::{ImportError, ImportStep, TransferStore},
};

/// Keeps trees, folders and categories. [`contract`](super) is its meaning in tests, which every
/// backend passes.
///
/// - A write is all or nothing, and durable when its future resolves.
/// - A write that is given an etag happens only if that is the current one, checked by the write
///   itself; so of two writers that saw the same state one gets [`StoreError::EtagMismatch`].
/// - What a tree or folder refers to is checked in the transaction that writes it. Moves of one
///   owner's folders are serialized: two that are each right alone never make a ring together.
/// - Lists come in their promised order and begin right after a key, so that an insert elsewhere
///   neither repeats nor skips an item.
#[async_trait]
pub(crate) trait Store:
    TreeStore
    + RevisionStore
    + DeletionStore
    + SearchStore
    + ChangeStore
    + FolderStore
    + SubtreeStore
    + CategoryStore
    + MergeStore
    + TransferStore
{
    /// The key that authenticates page tokens: `fresh` if there was none yet, the same for every
    /// instance on this database.
    async fn page_token_key(&self, fresh: [u8; 32]) -> Result<[u8; 32], StoreError>;

    /// Whether the database answers; asked by probes, beside what requests do.
    async fn answers(&self) -> Result<(), StoreError>;

    /// Tells what there is to measure, whenever it is asked for.
    fn measure(&self, metrics: &Metrics);

    /// Ends every connection; what is asked afterwards is [`StoreError::Unavailable`].
    async fn close(&self);
}

/// Trees and their nodes.
#[async_trait]
pub(crate) trait TreeStore: fmt::Debug + Send + Sync {
    /// Trees that the filter's reader may read, newest first, without their nodes and without those
    /// that are deleted.
    async fn trees(
        &self,
        filter: &TreeFilter,
        after: Option<&TreeKey>,
        limit: i64,
    ) -> Result<Vec<Tree>, StoreError>;

    /// One tree with its nodes, if `reader` owns it, or it is shared and not deleted.
    async fn tree(&self, id: TreeId, reader: &str) -> Result<Tree, StoreError>;

    /// Also writes its first revision.
    async fn insert_tree(&self, tree: &Tree) -> Result<(), StoreError>;

    /// Overwrites a tree of its owner's whose etag is `seen`, whether that changes it, deletes it or
    /// brings it back. If its revision is a later one, that is written too, and of its revisions
    /// only the newest [`KEPT`](crate::domain::revision::KEPT) stay.
    async fn update_tree(&self, tree: &Tree, seen: &Etag) -> Result<(), StoreError>;
}

/// Folders.
#[async_trait]
pub(crate) trait FolderStore: fmt::Debug + Send + Sync {
    /// `owner`'s folders right below one parent, by position, then name.
    async fn folders(
        &self,
        owner: &str,
        parent: Option<FolderId>,
        after: Option<&FolderKey>,
        limit: i64,
    ) -> Result<Vec<Folder>, StoreError>;

    async fn folder(&self, id: FolderId, owner: &str) -> Result<Folder, StoreError>;

    /// Inserts a folder, unless its owner has `most` of them already.
    async fn insert_folder(&self, folder: &Folder, most: i64) -> Result<(), StoreError>;

    /// Overwrites a folder of its owner's whose etag is `seen`; if its parent is another one, with
    /// all that is in it.
    async fn update_folder(&self, folder: &Folder, seen: &Etag) -> Result<(), StoreError>;

    /// Deletes an empty folder of `owner`'s, whose etag is `seen` if that is given.
    async fn delete_folder(
        &self,
        id: FolderId,
        owner: &str,
        seen: Option<&Etag>,
        stamp: Stamp,
    ) -> Result<(), StoreError>;
}

/// Categories.
#[async_trait]
pub(crate) trait CategoryStore: fmt::Debug + Send + Sync {
    /// Categories by position, then name.
    async fn categories(
        &self,
        after: Option<&CategoryKey>,
        limit: i64,
    ) -> Result<Vec<Category>, StoreError>;

    async fn category(&self, id: CategoryId) -> Result<Category, StoreError>;

    async fn insert_category(&self, category: &Category) -> Result<(), StoreError>;

    /// Overwrites a category whose etag is `seen`.
    async fn update_category(&self, category: &Category, seen: &Etag) -> Result<(), StoreError>;

    /// Deletes a category that no tree is in, whose etag is `seen` if that is given.
    async fn delete_category(
        &self,
        id: CategoryId,
        seen: Option<&Etag>,
        stamp: Stamp,
    ) -> Result<(), StoreError>;
}

/// Which trees to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TreeFilter {
    pub(crate) reader: String,
    pub(crate) category_id: Option<CategoryId>,
    /// A folder of the reader's.
    pub(crate) folder_id: Option<FolderId>,
    pub(crate) status: Option<Status>,
    /// Whether only the reader's own.
    pub(crate) mine: bool,
}

/// Where a tree stands in its list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TreeKey {
    pub(crate) created_at: Timestamp,
    pub(crate) id: TreeId,
}

/// Where a folder stands in its list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FolderKey {
    pub(crate) position: i32,
    pub(crate) name: String,
}

/// Where a category stands in its list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CategoryKey {
    pub(crate) position: i32,
    pub(crate) name: String,
    pub(crate) id: CategoryId,
}
