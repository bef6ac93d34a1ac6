//! What trees read at each time.

use std::fmt;

use async_trait::async_trait;

use crate::{
    domain::{id::TreeId, revision::Revision, tree::Tree},
    storage::StoreError,
};

/// Reads revisions; they are written with the tree.
///
/// Each answer is of one snapshot, and brings the tree as it is then, without its nodes, for whoever
/// decides who may see it.
#[async_trait]
pub(crate) trait RevisionStore: fmt::Debug + Send + Sync {
    /// Revisions older than `before`, the newest first, without their nodes. Of the tree, as of
    /// [`TreeStore::tree`](super::TreeStore::tree).
    async fn revisions(
        &self,
        id: TreeId,
        reader: &str,
        before: Option<i64>,
        limit: i64,
    ) -> Result<(Tree, Vec<Revision>), StoreError>;

    /// One revision with its nodes, if it is kept.
    async fn revision(
        &self,
        id: TreeId,
        reader: &str,
        number: i64,
    ) -> Result<(Tree, Option<Revision>), StoreError>;
}
