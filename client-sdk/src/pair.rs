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

    /// Whether both tokens can stand in a request.
    pub(crate) fn check(&self) -> Result<(), InvalidToken> {
        for token in [&self.access_token, &self.refresh_token] {
            let token = token.expose_secret();
            if token.len() > MAX_TOKEN {
                return Err(InvalidToken::TooLong);
            }
            if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(InvalidToken::Unprintable);
            }
        }
        if self.session_id.len() > MAX_SESSION_ID { Err(InvalidToken::TooLong) } else { Ok(()) }
    }

    /// The pair as an issuer answered it, made fit for use.
    ///
    /// A token that is said to run out, or to be due, as soon as it is issued would be renewed for
    /// every call, and each acceptance would clear the window that bounds this. So a duration of less
    /// than a second counts as not given, and a refusal tells.
    pub(crate) fn admit(mut self) -> Result<Self, InvalidToken> {
        self.check()?;
        self.access_expires_in = self.access_expires_in.filter(|life| *life >= SHORTEST);
        self.refresh_after = self.refresh_after.filter(|after| *after >= SHORTEST);
        Ok(self)
    }

    /// Whether both are of one session, as far as can be told.
    pub(crate) fn same_session(&self, other: &Self) -> bool {
        if self.session_id.is_empty() {
            return self.same_tokens(other);
        }
        self.session_id == other.session_id
    }

    /// Whether both hold the same tokens.
    pub(crate) fn same_tokens(&self, other: &Self) -> bool {
        self.refresh_token.expose_secret() == other.refresh_token.expose_secret()
            && self.access_token.expose_secret() == other.access_token.expose_secret()
    }
}

/// Why a token cannot be used. It completes the sentence "a token that ...".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidToken {
    /// More than 64 KiB, which no server takes in a header; or a session id of more than 4 KiB.
    #[error("is too long")]
    TooLong,
    /// A line break, a space, or another byte that is no visible ASCII character.
    #[error("holds a byte that cannot stand in a header")]
    Unprintable,
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
        // Not by `TryFrom`, which overflows on numbers that no server of ours would answer.
        let duration = |given: Option<prost_types::Duration>| {
            let given = given?;
            let nanos = u32::try_from(given.nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
            Some(Duration::new(u64::try_from(given.seconds).ok()?, nanos))
        };
        Self {
            access_token: SecretString::from(pair.access_token),
            refresh_token: SecretString::from(pair.refresh_token),
            access_expires_in: duration(pair.access_expires_in),
            refresh_after: duration(pair.refresh_after),
            session_id: pair.session_id,
        }
    }
}

const SHORTEST: Duration = Duration::from_secs(1);
const MAX_TOKEN: usize = 64 * 1024;
const MAX_SESSION_ID: usize = 4 * 1024;
