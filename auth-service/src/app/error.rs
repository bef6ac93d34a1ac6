//! What can go wrong in a use case.

use std::{
    io,
    time::{Duration, SystemTime},
};

use thiserror::Error;
use token::{KeyError, clock::Timestamp};
use transport::page_token::PageTokenInvalid;

use crate::{
    domain::{
        id::{ServiceId, SessionId, UserId},
        service_account::MAX_SECRETS,
    },
    storage::error::StoreError,
};

/// Why a use case did not do what was asked. No variant holds a secret.
#[derive(Debug, Error)]
pub(crate) enum AppError {
    #[error("the access token has expired")]
    AccessTokenExpired,
    #[error("the access token is not valid here")]
    AccessTokenInvalid,
    #[error("the account is disabled; ask an administrator")]
    AccountDisabled,
    #[error(
        "too many logins under this name have failed; wait, or ask an administrator to unlock it"
    )]
    AccountLocked { retry_after: Duration },
    #[error(
        "the session is bound to a client certificate: connect with that certificate, or a newer one \
         for the same key; the session goes on"
    )]
    CertificateMismatch,
    #[error("the request's deadline passed before its turn came; nothing has changed")]
    DeadlineExceeded,
    #[error("{field}: {mend}")]
    FieldInvalid { field: &'static str, mend: String },
    #[error("idempotency-key: must be 16 to 64 visible ASCII characters from a random source")]
    IdempotencyKeyInvalid,
    #[error("the client id or the secret is wrong")]
    InvalidClient,
    #[error("the user name or the password is wrong")]
    InvalidCredentials,
    #[error("the keys cannot be read at the moment")]
    KeysUnavailable,
    #[error("this is the last administrator who may act; make another user an administrator first")]
    LastAdmin,
    #[error("too many passwords are being checked at the moment")]
    Overloaded { retry_after: Duration },
    #[error("page_token: must be the next_page_token of an earlier page")]
    PageTokenInvalid,
    #[error("the password was changed by another request; log in again")]
    PasswordChanged,
    #[error("{0}")]
    PermissionDenied(&'static str),
    #[error(
        "you have revoked too many sessions that are not known here; those that ListSessions shows \
         can be revoked at any time"
    )]
    RateLimited { retry_after: Duration },
    #[error("another attempt has spent this refresh token; read your store again")]
    RefreshSuperseded,
    #[error("the session has reached its end; log in again")]
    RefreshTokenExpired,
    #[error("the refresh token is not valid here")]
    RefreshTokenInvalid,
    #[error("a spent refresh token came back, so the session has been revoked; log in again")]
    RefreshTokenReused,
    #[error("registration is closed here; ask an administrator for an account")]
    RegistrationClosed,
    #[error("{0} is no service account")]
    ServiceAccountNotFound(ServiceId),
    #[error("the name of the service is taken; choose another one")]
    ServiceNameTaken,
    #[error("session {0} is not one of yours")]
    SessionNotFound(SessionId),
    #[error("the session was revoked; log in again")]
    SessionRevoked,
    #[error("{0:?} is no signing key, or one that has long run out; ListSigningKeys names them")]
    SigningKeyNotFound(String),
    #[error(transparent)]
    Store(StoreError),
    #[error("too many {what}; wait a little")]
    TooFast { what: &'static str, retry_after: Duration },
    #[error(
        "{MAX_SECRETS} secrets of the service are good; the next one runs out at {}, or end all but \
         the new one with an overlap of zero",
        humantime::format_rfc3339_seconds(SystemTime::from(*.next_ends))
    )]
    TooManySecrets { next_ends: Timestamp },
    #[error("{most} streams of this account are open here; end some of them, or use more accounts")]
    TooManyStreams { most: usize },
    #[error("user {0} does not exist")]
    UserNotFound(UserId),
    #[error("the user name is taken; choose another one")]
    UsernameTaken,
}

impl From<StoreError> for AppError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::LastAdmin => Self::LastAdmin,
            StoreError::ServiceNameTaken => Self::ServiceNameTaken,
            StoreError::TooLate => Self::DeadlineExceeded,
            StoreError::TooManyForgotten { retry_after } => Self::RateLimited { retry_after },
            StoreError::UsernameTaken => Self::UsernameTaken,
            error => Self::Store(error),
        }
    }
}

impl From<PageTokenInvalid> for AppError {
    fn from(_: PageTokenInvalid) -> Self {
        Self::PageTokenInvalid
    }
}

/// Why the keys could not be made ready.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeysError {
    /// The file holds no usable ring.
    #[error("--master-keys: {path}: {source}")]
    Malformed {
        /// The file.
        path: String,
        /// What is wrong with it.
        source: KeyError,
    },
    /// The database's signing keys were sealed by another ring.
    #[error(
        "--master-keys: {path} is not the ring that sealed the signing keys of this database; \
         bring back the file that belongs to it (nothing has been changed)"
    )]
    Mismatch {
        /// The file.
        path: String,
    },
    /// There is no file, and the database already depends on one.
    #[error(
        "--master-keys: {path} is missing, and this database was made with it; bring it back \
         (a new one would end every session and unseal no key)"
    )]
    Missing {
        /// The file.
        path: String,
    },
    /// The database could not be asked.
    #[error("the signing keys could not be read: {detail}")]
    Storage {
        /// What it said.
        detail: String,
    },
    /// The file cannot be read or made.
    #[error("--master-keys: {path}: {source}; check that this user may read it")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}
