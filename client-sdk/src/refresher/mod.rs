//! How a session gets its next pair.

#[cfg(feature = "auth-service")]
mod auth_service;
mod checked;
#[cfg(feature = "auth-service")]
mod service;

use std::{fmt, future::Future, pin::Pin, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};

#[cfg(feature = "auth-service")]
pub use self::auth_service::AuthServiceRefresher;
#[cfg(feature = "auth-service")]
pub(crate) use self::auth_service::bearer;
pub(crate) use self::checked::CheckedRefresher;
#[cfg(feature = "auth-service")]
pub use self::service::ServiceRefresher;
use crate::{TokenPair, store::Record};

/// A boxed future, so that refreshers can be trait objects.
pub type RefreshFuture<'a> = Pin<Box<dyn Future<Output = Renewal> + Send + 'a>>;

/// Exchanges a refresh token for the next pair. Implement it to keep sessions of another issuer.
///
/// The session calls it at most once at a time, from a task of its own, gives up on it after its
/// own timeout, and repeats it with backoff. So it needs neither a lock nor a retry. It must not send
/// its request through a [`ReauthLayer`](crate::ReauthLayer).
///
/// ```
/// use client_sdk::{RefreshFuture, RefreshRequest, Refresher, Renewal, TokenPair};
///
/// #[derive(Debug)]
/// struct Fixed;
///
/// impl Refresher for Fixed {
///     fn refresh(&self, _: RefreshRequest) -> RefreshFuture<'_> {
///         Box::pin(async { Renewal::Renewed(TokenPair::new("access")) })
///     }
/// }
/// ```
pub trait Refresher: fmt::Debug + Send + Sync + 'static {
    /// Sends one attempt.
    fn refresh(&self, request: RefreshRequest) -> RefreshFuture<'_>;
}

/// What came of one attempt. Only [`Rejected`](Self::Rejected) ends a session, so say that only when
/// the issuer itself did.
#[derive(Debug)]
#[non_exhaustive]
pub enum Renewal {
    /// The next pair.
    Renewed(TokenPair),
    /// The issuer ended the session and gave this reason.
    Rejected {
        /// Machine-readable, such as `REFRESH_TOKEN_EXPIRED`.
        reason: String,
    },
    /// Another attempt has spent this token, and nothing changed.
    Superseded,
    /// Everything else: no connection, no answer, an answer that is none. The attempt may have
    /// taken effect; the session repeats it.
    Unreachable {
        /// For people; holds no secret.
        message: String,
        /// When the issuer asked to be tried again.
        retry_after: Option<Duration>,
    },
}

/// One attempt: the token to spend, and the name of the attempt.
#[derive(Clone)]
pub struct RefreshRequest {
    refresh_token: SecretString,
    idempotency_key: SecretString,
    after_superseded: bool,
}

impl RefreshRequest {
    /// The request of `record`'s pending attempt.
    pub(crate) fn of(record: &Record) -> Option<Self> {
        let attempt = record.attempt.as_ref()?;
        Some(Self {
            refresh_token: record.pair.refresh_token.clone(),
            idempotency_key: attempt.key.clone(),
            after_superseded: attempt.after_superseded,
        })
    }

    /// The token to spend; empty if the pair had none.
    #[must_use]
    pub fn refresh_token(&self) -> &str {
        self.refresh_token.expose_secret()
    }

    /// The same for every repetition of this attempt. An issuer that knows such keys answers all of
    /// them alike; others may be sent none.
    #[must_use]
    pub fn idempotency_key(&self) -> &str {
        self.idempotency_key.expose_secret()
    }

    /// Whether the session was told [`Renewal::Superseded`] and found nothing newer in its store.
    #[must_use]
    pub const fn after_superseded(&self) -> bool {
        self.after_superseded
    }
}

impl fmt::Debug for RefreshRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshRequest")
            .field("after_superseded", &self.after_superseded)
            .finish_non_exhaustive()
    }
}
