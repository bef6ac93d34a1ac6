//! What a backend searches.

use std::fmt;

use async_trait::async_trait;

use crate::{
    domain::{page::Listed, search::Query, tree::Tree},
    storage::StoreError,
};

/// Finds trees by their words. The words of a tree are what
/// [`Document`](crate::domain::search::Document) makes of it, and are kept by the write that changes
/// it.
#[async_trait]
pub(crate) trait SearchStore: fmt::Debug + Send + Sync {
    /// Trees that hold every word of the query and that `reader` may read, without their nodes:
    /// those of the first tier before the others, newest first within each.
    async fn search(
        &self,
        reader: &str,
        query: &Query,
        after: Option<&SearchKey>,
        limit: i64,
    ) -> Result<Vec<Found>, StoreError>;

    /// Makes up to `limit` documents anew that are missing or of another version, and says how many
    /// it made: none when all is well.
    async fn renew_documents(&self, limit: i64) -> Result<usize, StoreError>;
}

/// A tree that a search has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) tree: Tree,
    pub(crate) key: SearchKey,
}

impl Listed for Found {
    fn text_bytes(&self) -> usize {
        self.tree.text_bytes()
    }
}

/// Where a tree stands among those that were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SearchKey {
    pub(crate) tier: Tier,
    /// Greater for a newer tree, and for ever the same.
    pub(crate) number: i64,
}

/// How well a tree matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tier {
    /// All words are in title and tags.
    Head,
    /// Some are in description and nodes alone.
    Text,
}
