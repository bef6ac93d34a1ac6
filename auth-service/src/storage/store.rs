//! What the use cases ask of storage.
//!
//! Every method is atomic and durable when it returns. The store's own clock says `now`: on one
//! machine that is the process's, on a shared database the database's, so that instances whose
//! clocks differ decide alike.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use token::{Nonce, clock::Timestamp};
use transport::{deadline::Deadline, metrics::Metrics};

use crate::{
    domain::{
        audit::AuditEvent,
        id::{ServiceId, SessionId, UserId},
        rotation::{Head, Successor},
        secret::PasswordHash,
        service_account::{NewServiceAccount, Overlap, SecretHash, SecretRotation, ServiceAccount},
        session::{NewSession, RevokeReason, Session},
        signing_keys::{KeyState, Promised},
        user::{Grants, LastAdmin, NewUser, PasswordVersion, Status, User},
    },
    storage::{
        error::StoreError, limits::LimitStore, lists::ListStore, revocations::RevocationStore,
    },
};

/// A database of users, service accounts, sessions, signing keys and audit events.
#[async_trait]
pub(crate) trait Store:
    UserStore
    + ServiceStore
    + SessionStore
    + RevocationStore
    + KeyStore
    + AuditStore
    + LimitStore
    + ListStore
{
    /// Whether the database answers; asked by probes, beside what requests do.
    async fn answers(&self) -> Result<(), StoreError>;

    /// Tells what there is to measure, whenever it is asked for.
    fn measure(&self, metrics: &Metrics);

    /// Ends all connections; what is under way is awaited.
    async fn close(&self);
}

/// Users, and the sessions that are written together with them.
#[async_trait]
pub(crate) trait UserStore: fmt::Debug + Send + Sync {
    /// Stores a new user, together with their first session if there is one.
    ///
    /// Fails with [`StoreError::UsernameTaken`].
    async fn create_user(
        &self,
        user: &NewUser,
        session: Option<&NewSession>,
        event: &AuditEvent,
    ) -> Result<(), StoreError>;

    /// The user of this [`Username::key`](crate::domain::secret::Username::key).
    async fn user_by_name(&self, key: &str) -> Result<Option<User>, StoreError>;

    /// The user of this id.
    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError>;

    /// Replaces a hash by one of the same password; does nothing if the password has changed.
    async fn rehash_password(
        &self,
        user: UserId,
        proven: PasswordVersion,
        hash: &PasswordHash,
    ) -> Result<(), StoreError>;

    /// Sets a new password and revokes all the user's sessions but `kept`. `false`, and nothing
    /// done, if the password has changed since `proven` or `kept` has been revoked.
    async fn change_password(
        &self,
        user: UserId,
        proven: PasswordVersion,
        hash: &PasswordHash,
        kept: SessionId,
        event: &AuditEvent,
    ) -> Result<bool, StoreError>;

    /// Stores the session of a user who proved the password of this version. `false`, and nothing
    /// stored, if that is no longer their password or they may no longer log in.
    async fn insert_session(
        &self,
        session: &NewSession,
        proven: PasswordVersion,
        event: &AuditEvent,
    ) -> Result<bool, StoreError>;

    /// Sets whether a user may log in and act. Disabling revokes all their sessions, which enabling
    /// does not bring back. `false`, and nothing done, if it was so already or there is no such user.
    ///
    /// Fails with [`StoreError::LastAdmin`] if that is the last one and `last` is to stay.
    async fn set_status(
        &self,
        user: UserId,
        status: Status,
        last: LastAdmin,
        event: &AuditEvent,
    ) -> Result<bool, StoreError>;
}

/// Service accounts.
#[async_trait]
pub(crate) trait ServiceStore: fmt::Debug + Send + Sync {
    /// Stores a new account.
    ///
    /// Fails with [`StoreError::ServiceNameTaken`].
    async fn create_service(
        &self,
        service: &NewServiceAccount,
        event: &AuditEvent,
    ) -> Result<(), StoreError>;

    /// The account of this id, with the replaced secrets that are still good.
    async fn service(&self, id: ServiceId) -> Result<Option<ServiceAccount>, StoreError>;

    /// The id of the account whose name has this
    /// [`key`](crate::domain::secret::Username::key).
    async fn service_by_name(&self, key: &str) -> Result<Option<ServiceId>, StoreError>;

    /// Replaces an account's secret; the one that it replaces stays good for `overlap`, and those
    /// from before for as long as was promised then. An overlap of zero ends them all.
    async fn rotate_service_secret(
        &self,
        id: ServiceId,
        secret: &SecretHash,
        overlap: Overlap,
        event: &AuditEvent,
    ) -> Result<SecretRotation, StoreError>;

    /// Sets whether an account may log in and act. Disabling counts up its `roles_version`, so
    /// that enabling does not bring its access tokens back. `false`, and nothing done, if it was so
    /// already or there is no such account.
    async fn set_service_status(
        &self,
        id: ServiceId,
        status: Status,
        event: &AuditEvent,
    ) -> Result<bool, StoreError>;
}

/// Sessions: reading one, moving one forward, ending one.
#[async_trait]
pub(crate) trait SessionStore: fmt::Debug + Send + Sync {
    /// The session, and the instant at which it was so.
    async fn session(&self, id: SessionId) -> Result<(Option<Session>, Timestamp), StoreError>;

    /// Moves a session's row forward by compare-and-set, and records an adoption. `None`, and nothing
    /// done, if the row is not as expected: another head, revoked, ended, its user disabled, or absent.
    ///
    /// Fails with [`StoreError::TooLate`] if the deadline has passed when the write's turn comes.
    async fn advance(&self, advance: Advance) -> Result<Option<Advanced>, StoreError>;

    /// Creates the row of a session that this database has forgotten, unless another request did so
    /// first. `false`, and nothing created, if its user is unknown or disabled, or ended their
    /// sessions when this one had already begun.
    async fn recreate_session(
        &self,
        lost: &LostSession,
        event: &AuditEvent,
    ) -> Result<bool, StoreError>;

    /// Revokes a session if its row still has the head that the decision saw. `false` if it has
    /// moved on, or was revoked before.
    async fn revoke_if_unmoved(
        &self,
        session: SessionId,
        seen: Head,
        reason: RevokeReason,
        event: &AuditEvent,
    ) -> Result<bool, StoreError>;

    /// Revokes a session, whatever its state; of an absent one it leaves a tombstone, so that the
    /// session is not adopted later, unless `absolute_until` has passed and it could not be. `false`,
    /// and nothing done, if it is another user's.
    ///
    /// Fails with [`StoreError::TooManyForgotten`] if the reason is
    /// [`User`](RevokeReason::User), the session absent, and [`forgotten::MOST`] of its kind count.
    ///
    /// [`forgotten::MOST`]: crate::domain::forgotten::MOST
    async fn revoke_session(
        &self,
        session: SessionId,
        user: UserId,
        absolute_until: Timestamp,
        reason: RevokeReason,
        event: &AuditEvent,
    ) -> Result<bool, StoreError>;

    /// Revokes every session of a user, and bars those that this database has forgotten. Tells how
    /// many were live.
    async fn revoke_all_sessions(
        &self,
        user: UserId,
        event: &AuditEvent,
    ) -> Result<u64, StoreError>;

    /// A user's live sessions, newest first, after `after` if it is given.
    async fn live_sessions(
        &self,
        user: UserId,
        after: Option<SessionPosition>,
        limit: u32,
    ) -> Result<Vec<Session>, StoreError>;

    /// Removes up to `limit` sessions, live, idle or revoked, whose absolute end is `ended_for` ago,
    /// and their revocation too if they were revoked, and tells how many. What is still told of is
    /// not removed: it would look as if the database had been set back.
    async fn remove_ended_sessions(
        &self,
        ended_for: Duration,
        limit: u32,
    ) -> Result<u64, StoreError>;
}

/// Signing keys. At most one is active and at most one is next, whoever writes at the same time.
///
/// The store's clock dates every change, so that instances whose clocks differ count alike.
#[async_trait]
pub(crate) trait KeyStore: fmt::Debug + Send + Sync {
    /// Every signing key, newest first, and the instant at which it was so.
    async fn signing_keys(&self) -> Result<(Vec<StoredKey>, Timestamp), StoreError>;

    /// Stores the key that signs first; does nothing if one is active.
    async fn insert_first_key(&self, key: &SealedKey) -> Result<(), StoreError>;

    /// Stores the key that signs next. `false`, and nothing stored, if there is one.
    async fn insert_next_key(
        &self,
        key: &SealedKey,
        event: &AuditEvent,
    ) -> Result<bool, StoreError>;

    /// Makes the next key the active one, and retires that. `false`, and nothing done, unless both
    /// are still what they are said to be.
    async fn promote_key(
        &self,
        next: &str,
        active: &str,
        event: &AuditEvent,
    ) -> Result<bool, StoreError>;

    /// Removes a key if it is retired, and tells whether it did.
    async fn remove_retired_key(&self, kid: &str) -> Result<bool, StoreError>;

    /// Removes a key that others know, whatever its state, and with it those that sign now and next;
    /// `key` signs from now on, with the longest lead that was promised. All of them are remembered
    /// as withdrawn: nothing is done if the key is one of those, or none of this database.
    async fn replace_known_key(
        &self,
        known: &str,
        key: &SealedKey,
        event: &AuditEvent,
    ) -> Result<Withdrawal, StoreError>;

    /// Promises at least this of the keys that sign now and next.
    async fn promise(&self, promised: Promised) -> Result<(), StoreError>;
}

/// Audit events. One that tells of a change is written by that change, in its transaction.
#[async_trait]
pub(crate) trait AuditStore: fmt::Debug + Send + Sync {
    /// Stores events of what changed nothing.
    async fn record(&self, events: &[AuditEvent]) -> Result<(), StoreError>;

    /// The newest events, newest first.
    async fn newest_events(&self, limit: u32) -> Result<Vec<AuditEvent>, StoreError>;

    /// Removes up to `limit` events that are older than `retention`, and tells how many.
    async fn remove_old_events(&self, retention: Duration, limit: u32) -> Result<u64, StoreError>;
}

/// A rotation or an adoption, as a compare-and-set.
#[derive(Clone, Debug)]
pub(crate) struct Advance {
    pub(crate) session: SessionId,
    /// What the row must still say.
    pub(crate) expected: Head,
    pub(crate) adoption: Option<Adoption>,
    pub(crate) to: Successor,
    /// The idle end that the presented token promised.
    pub(crate) idle_floor: Timestamp,
    pub(crate) idle_life: Duration,
    pub(crate) deadline: Deadline,
}

impl Advance {
    /// Whether this and `other` are the same attempt: what answers one answers both. Attempts
    /// without a key are never the same.
    pub(crate) fn is_same_attempt(&self, other: &Self) -> bool {
        self.to.keyed
            && (self.session, self.expected, self.to) == (other.session, other.expected, other.to)
            && self.presented_nonce() == other.presented_nonce()
    }

    /// The nonce of the presented token, if it is not the expected one.
    pub(crate) fn presented_nonce(&self) -> Option<Nonce> {
        self.adoption.as_ref().map(|adoption| adoption.presented)
    }
}

/// What makes an advance an adoption: the row is behind the presented token.
#[derive(Clone, Debug)]
pub(crate) struct Adoption {
    /// The nonce of the presented token.
    pub(crate) presented: Nonce,
    pub(crate) event: AuditEvent,
}

/// What is new after a session's row was moved, as of that statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Advanced {
    pub(crate) grants: Grants,
    pub(crate) rotated_at: Timestamp,
    pub(crate) idle_until: Timestamp,
    pub(crate) now: Timestamp,
}

/// A session whose row is gone, as its token describes it.
#[derive(Clone, Debug)]
pub(crate) struct LostSession {
    pub(crate) id: SessionId,
    pub(crate) user: UserId,
    pub(crate) auth_time: Timestamp,
    pub(crate) head: Head,
    pub(crate) issued_at: Timestamp,
    pub(crate) idle_until: Timestamp,
    pub(crate) absolute_until: Timestamp,
}

/// A place in the list of a user's sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionPosition {
    pub(crate) create_time: Timestamp,
    pub(crate) id: SessionId,
}

/// A signing key that is to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SealedKey {
    pub(crate) kid: String,
    /// A JWK's `x`.
    pub(crate) public_key: String,
    pub(crate) sealed_seed: Vec<u8>,
}

/// What came of withdrawing a key that others know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Withdrawal {
    Done,
    DoneBefore,
    NoSuchKey,
}

/// A signing key that is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredKey {
    pub(crate) key: SealedKey,
    pub(crate) state: KeyState,
    pub(crate) create_time: Timestamp,
    /// When it came into its state.
    pub(crate) state_time: Timestamp,
    pub(crate) promised: Promised,
}
