//! Categories that go, and whose trees move to another.

use std::fmt;

use async_trait::async_trait;
use token::clock::Timestamp;

use crate::{
    domain::{etag::Etag, id::CategoryId},
    storage::StoreError,
};

/// Merges a category into another.
#[async_trait]
pub(crate) trait MergeStore: fmt::Debug + Send + Sync {
    /// Moves up to `most` trees, deleted ones too, from a category whose etag is `seen` if that is
    /// given; if none is left there, the category goes in the same transaction. What happens between
    /// two steps is taken up by the next.
    async fn merge_category(
        &self,
        id: CategoryId,
        seen: Option<&Etag>,
        into: &Target,
        most: i64,
    ) -> Result<Step, StoreError>;
}

/// Where trees move to, and what they get there.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Another category.
    pub(crate) id: CategoryId,
    pub(crate) etag: Etag,
    pub(crate) now: Timestamp,
}

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) moved: u64,
    /// Whether the category is gone, and with it the last reason for another step.
    pub(crate) done: bool,
}
