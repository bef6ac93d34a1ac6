//! The log of what was written.

use std::fmt;

use async_trait::async_trait;
use token::clock::Timestamp;
use tokio::sync::watch;

use crate::{
    domain::change::{Change, Resource, ResourceId},
    storage::StoreError,
};

/// Reads the log. A write is logged in its own transaction, and what is read is never followed by
/// an older entry that was not there yet.
#[async_trait]
pub(crate) trait ChangeStore: fmt::Debug + Send + Sync {
    /// The end of the log.
    async fn last_change(&self) -> Result<ChangeKey, StoreError>;

    /// Up to `limit` changes that are something to `reader`, or to anybody, after a place in the log.
    /// `None` if the log does not have that place: it was trimmed, or the log is another one.
    async fn changes(
        &self,
        reader: Option<&str>,
        after: &ChangeKey,
        limit: i64,
    ) -> Result<Option<Changes>, StoreError>;

    /// What something is now, whoever may find it. `None` if it does not exist or is deleted.
    async fn resource(&self, id: ResourceId) -> Result<Option<Resource>, StoreError>;

    /// Removes the oldest changes, up to `most`, of those that were made before `before`; answers
    /// how many there were. The newest of those stays: it is the place of everybody who has read
    /// all of them, and from which all that is younger is told.
    async fn trim_changes(&self, before: Timestamp, most: i64) -> Result<u64, StoreError>;

    /// Changes whenever something was written through this store, and perhaps at other times.
    fn bell(&self) -> watch::Receiver<()>;
}

/// A place in the log, right after a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChangeKey {
    pub(crate) seq: i64,
    /// Of that change.
    pub(crate) mark: String,
}

/// A piece of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) changes: Vec<(ChangeKey, Change)>,
    /// Up to where this is all.
    pub(crate) until: ChangeKey,
}
