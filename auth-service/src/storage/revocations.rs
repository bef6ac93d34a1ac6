//! What the feed of revocations asks of storage.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use token::clock::Timestamp;
use tokio::sync::watch;

use crate::{
    domain::{
        audit::AuditEvent,
        id::UserId,
        revocation::Revocation,
        user::{LastAdmin, Role},
    },
    storage::error::StoreError,
};

/// What makes access tokens stale, and telling of it.
///
/// There is no log of revocations: the rows that say who may do what are read by the instant of
/// their last change. A write takes that instant before it commits, so one that lies in the past
/// can still turn up; whoever reads again and again reads some of the past again.
#[async_trait]
pub(crate) trait RevocationStore: fmt::Debug + Send + Sync {
    /// Replaces a user's roles, counts the change (`Grants::next_version`), and says when it was.
    /// `false`, and nothing done, if the roles were these already or there is no such user.
    ///
    /// Fails with [`StoreError::LastAdmin`] if that is the last one and `last` is to stay.
    async fn set_roles(
        &self,
        user: UserId,
        roles: &[Role],
        last: LastAdmin,
        event: &AuditEvent,
    ) -> Result<bool, StoreError>;

    /// What was revoked at or after `since`, and not longer than `life` ago, in no order; and an
    /// instant before which all of it was committed or under way.
    async fn revocations_since(
        &self,
        since: Timestamp,
        life: Duration,
    ) -> Result<(Vec<Revocation>, Timestamp), StoreError>;

    /// Changes whenever something may have been revoked, as soon as this process can know.
    fn revoked(&self) -> watch::Receiver<()>;
}
