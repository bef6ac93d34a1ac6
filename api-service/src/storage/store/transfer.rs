//! Many trees at once, out and in.

use std::fmt;

use async_trait::async_trait;
use thiserror::Error;
use token::clock::Timestamp;

use super::TreeKey;
use crate::{
    domain::{id::FolderId, import::Progress, tree::Tree},
    storage::StoreError,
};

/// What exports and imports need.
#[async_trait]
pub(crate) trait TransferStore: fmt::Debug + Send + Sync {
    /// Where `owner`'s trees stand that are not deleted, oldest first: those in `folder` and all
    /// folders below it, or all.
    async fn tree_keys(
        &self,
        owner: &str,
        folder: Option<FolderId>,
        after: Option<&TreeKey>,
        limit: i64,
    ) -> Result<Vec<TreeKey>, StoreError>;

    /// How far an import has come, unless it has run out at `now`.
    async fn import(
        &self,
        owner: &str,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<Progress>, StoreError>;

    /// Creates trees of one owner's, all or none, and writes down how far their import has come, if
    /// it has a name.
    async fn import_trees(
        &self,
        trees: &[Tree],
        step: Option<&ImportStep>,
    ) -> Result<(), ImportError>;

    /// Forgets up to `most` imports that have run out at `now`; answers how many there were.
    async fn trim_imports(&self, now: Timestamp, most: i64) -> Result<u64, StoreError>;
}

/// One step of an import that has a name.
#[derive(Clone, Debug)]
pub(crate) struct ImportStep {
    pub(crate) owner: String,
    pub(crate) key: String,
    /// How many trees the import must have created before.
    pub(crate) before: i64,
    pub(crate) after: Progress,
    pub(crate) now: Timestamp,
    pub(crate) expires_at: Timestamp,
}

/// Why trees were not created.
#[derive(Debug, Error)]
pub(crate) enum ImportError {
    /// The import has not come as far as was said, or farther.
    #[error("another stream goes on with the import")]
    Running,
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The one at this place cannot be created.
    #[error("tree {0} of the group cannot be created")]
    Tree(usize, #[source] StoreError),
}
