//! The tokens of one session.

use std::{fmt, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};

/// An access token, what renews it, and how long each is good for.
///
/// Durations count from the moment of receipt. `Debug` shows neither token, and both are wiped from
/// memory when dropped.
///
/// ```
/// use std::time::Duration;
/// use client_sdk::TokenPair;
///
/// let pair = TokenPair::new("access")
///     .refresh_token("refresh")
///     .access_expires_in(Duration::from_secs(900));
/// assert!(!format!("{pair:?}").contains("refresh\""));
/// ```
#[derive(Clone)]
pub struct TokenPair {
    pub(crate) access_token: SecretString,
    pub(crate) refresh_token: SecretString,
    pub(crate) access_expires_in: Option<Duration>,
    pub(crate) refresh_after: Option<Duration>,
    pub(crate) session_id: String,
}

impl TokenPair {
    /// A pair with an access token alone, good until a server refuses it.
    #[must_use]
    pub fn new(access_token: impl Into<String>) -> Self {
        Self {
            access_token: SecretString::from(access_token.into()),
            refresh_token: SecretString::default(),
            access_expires_in: None,
            refresh_after: None,
            session_id: String::new(),
        }
    }

    /// Sets what a [`Refresher`](crate::Refresher) renews the access token with. One that needs
    /// none (a client secret, say) leaves it empty.
    #[must_use]
    pub fn refresh_token(mut self, token: impl Into<String>) -> Self {
        self.refresh_token = SecretString::from(token.into());
        self
    }

    /// Sets how long the access token is good for. Without it only a refusal tells.
    #[must_use]
    pub fn access_expires_in(mut self, life: Duration) -> Self {
        self.access_expires_in = Some(life);
        self
    }

    /// Sets when to renew. Without it: at about four fifths of the access token's life.
    #[must_use]
    pub fn refresh_after(mut self, after: Duration) -> Self {
        self.refresh_after = Some(after);
        self
    }

    /// Sets the name of the session, which is no secret.
    #[must_use]
    pub fn session_id(mut self, id: impl Into<String>) -> Self {
        self.session_id = id.into();
        self
    }

    /// Whether both hold the same tokens.
    pub(crate) fn same_tokens(&self, other: &Self) -> bool {
        self.refresh_token.expose_secret() == other.refresh_token.expose_secret()
            && self.access_token.expose_secret() == other.access_token.expose_secret()
    }
}

impl fmt::Debug for TokenPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenPair")
            .field("access_token", &"[redacted]")
            .field("refresh_token", &"[redacted]")
            .field("access_expires_in", &self.access_expires_in)
            .field("refresh_after", &self.refresh_after)
            .field("session_id", &self.session_id)
            .finish()
    }
}

#[cfg(feature = "auth-service")]
impl From<evergreen_proto::auth::v1::TokenPair> for TokenPair {
    fn from(pair: evergreen_proto::auth::v1::TokenPair) -> Self {
        let duration =
            |d: Option<prost_types::Duration>| d.and_then(|d| Duration::try_from(d).ok());
        Self {
            access_token: SecretString::from(pair.access_token),
            refresh_token: SecretString::from(pair.refresh_token),
            access_expires_in: duration(pair.access_expires_in),
            refresh_after: duration(pair.refresh_after),
            session_id: pair.session_id,
        }
    }
}
