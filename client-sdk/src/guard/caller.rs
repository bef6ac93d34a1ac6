//! Who calls.

use std::{ops::Deref, sync::Arc};

use token::{AccessClaims, Kind, clock::Timestamp};
use tonic::Status;

use super::revocations::Revocations;

/// Who calls, as a verified access token says. In the extensions of every request that the guard
/// let through, save those to public methods.
///
/// A clone shares what it says, so it may be kept for as long as the call goes on.
///
/// ```
/// use client_sdk::guard::{Caller, Identity, Kind};
///
/// # fn handler(request: &tonic::Request<()>) -> Option<&str> {
/// let caller = request.extensions().get::<Caller>()?;
/// assert!(caller.has_role("editor"));
/// Some(&caller.user_id)
/// # }
/// // In a test of a handler:
/// let ada = Identity::new("ada", "session-1", Kind::User).with_roles(["editor"]);
/// let mut request = tonic::Request::new(());
/// request.extensions_mut().insert(Caller::from(ada));
/// assert_eq!(handler(&request), Some("ada"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller(Arc<Identity>);

/// What is known of a [`Caller`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// The user or service account.
    pub user_id: String,
    /// The session that the token belongs to; for a service account, the login.
    pub session_id: String,
    /// What the caller may do, as of the token's minting.
    pub roles: Vec<String>,
    /// A person or a service.
    pub kind: Kind,
    /// Counts the changes of the caller's roles.
    pub(super) roles_version: u32,
    /// When the token runs out.
    pub(super) expires_at: Timestamp,
    pub(super) end: End,
}

/// Where the guard hears that a caller may no longer act. That is no part of who calls: any two are
/// equal.
#[derive(Clone, Debug, Default)]
pub(super) struct End(pub(super) Option<Revocations>);

impl PartialEq for End {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for End {}

impl Caller {
    /// Resolves when the guard hears that this caller may no longer act, with the status to answer:
    /// `UNAUTHENTICATED` with `SESSION_REVOKED`, or `ACCESS_TOKEN_EXPIRED` if the roles have changed.
    /// Never, if the guard follows no revocations.
    ///
    /// A [`GuardLayer`](super::GuardLayer) itself ends what streams to a caller. What is read of a
    /// caller for long, as an upload is, ends with this, and so does every stream behind a
    /// [`GuardInterceptor`](super::GuardInterceptor).
    pub async fn ended(&self) -> Status {
        match &self.end.0 {
            Some(revocations) => revocations.clone().ended(self.clone()).await.into(),
            None => std::future::pending().await,
        }
    }

    /// The holder of a good token, of whose end `end` will tell.
    pub(super) fn holding(claims: AccessClaims, end: End) -> Self {
        let expires_at = claims.expires_at();
        Self::from(Identity {
            user_id: claims.sub,
            session_id: claims.sid,
            roles: claims.roles,
            kind: claims.kind,
            roles_version: claims.roles_version,
            expires_at,
            end,
        })
    }

    /// Itself, if [`Self::ended`] can resolve.
    pub(super) fn watched(&self) -> Option<Self> {
        self.end.0.is_some().then(|| self.clone())
    }
}

impl Identity {
    /// A caller without roles, whose token does not run out.
    #[must_use]
    pub fn new(user_id: impl Into<String>, session_id: impl Into<String>, kind: Kind) -> Self {
        let (user_id, session_id) = (user_id.into(), session_id.into());
        let expires_at = Timestamp::from_unix_seconds(i64::MAX / 2_000);
        Self {
            user_id,
            session_id,
            roles: Vec::new(),
            kind,
            roles_version: 0,
            expires_at,
            end: End::default(),
        }
    }

    /// The same, with these roles.
    #[must_use]
    pub fn with_roles<R: Into<String>>(mut self, roles: impl IntoIterator<Item = R>) -> Self {
        self.roles = roles.into_iter().map(Into::into).collect();
        self
    }

    /// Whether the caller has this role.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|held| held == role)
    }
}

impl Deref for Caller {
    type Target = Identity;

    fn deref(&self) -> &Identity {
        &self.0
    }
}

impl From<Identity> for Caller {
    fn from(identity: Identity) -> Self {
        Self(Arc::new(identity))
    }
}
