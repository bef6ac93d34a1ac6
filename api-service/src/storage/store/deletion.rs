//! Trees that are deleted and can still be brought back.

use std::fmt;

use async_trait::async_trait;
use token::clock::Timestamp;

use crate::{
    domain::{id::TreeId, tree::Tree},
    storage::StoreError,
};

/// Lists deleted trees and ends them; they are deleted and brought back by
/// [`TreeStore::update_tree`](super::TreeStore::update_tree).
#[async_trait]
pub(crate) trait DeletionStore: fmt::Debug + Send + Sync {
    /// `owner`'s deleted trees whose purge is later than `now`, the last deleted first, without
    /// their nodes.
    async fn deleted_trees(
        &self,
        owner: &str,
        now: Timestamp,
        after: Option<&DeletedKey>,
        limit: i64,
    ) -> Result<Vec<Tree>, StoreError>;

    /// Removes up to `most` trees whose purge is due, with their revisions, the longest due first;
    /// answers how many there were.
    async fn purge(&self, now: Timestamp, most: i64) -> Result<u64, StoreError>;
}

/// Where a tree stands among the deleted ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeletedKey {
    pub(crate) deleted_at: Timestamp,
    pub(crate) id: TreeId,
}
