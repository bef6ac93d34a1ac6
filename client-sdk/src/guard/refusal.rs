//! Why a call was refused, and the status that says so.

use std::{collections::HashMap, time::Duration};

use evergreen_proto::{ERROR_DOMAIN, reason};
use thiserror::Error;
use token::{VerifyError, bearer::BearerError};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// Why the guard refused a call. No variant holds any part of a token.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The policy does not allow the method to this caller.
    #[error("the caller may not use this method")]
    Denied,
    /// The token was good once.
    #[error("the access token has expired")]
    Expired,
    /// The token was never good here.
    #[error("the access token is not valid")]
    Invalid,
    /// No keys could be had to judge the token by, which says nothing about the token.
    #[error("the keys that verify access tokens cannot be had at present")]
    KeysUnavailable {
        /// When it makes sense to ask again.
        retry_after: Duration,
    },
    /// Nothing was heard of revocations for too long, which says nothing about the token.
    #[error("whether sessions were revoked cannot be told at present")]
    RevocationsUnavailable {
        /// When it makes sense to ask again.
        retry_after: Duration,
    },
    /// The token's session was ended.
    #[error("the session was revoked; log in again")]
    SessionRevoked,
    /// There is no token.
    #[error("an access token is needed: send `authorization: Bearer <token>`")]
    Missing,
}

impl Refusal {
    /// The `ErrorInfo.reason`.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Denied => reason::PERMISSION_DENIED,
            Self::Expired => reason::ACCESS_TOKEN_EXPIRED,
            Self::Invalid => reason::ACCESS_TOKEN_INVALID,
            Self::KeysUnavailable { .. } => reason::KEYS_UNAVAILABLE,
            Self::Missing => reason::ACCESS_TOKEN_MISSING,
            Self::RevocationsUnavailable { .. } => reason::REVOCATIONS_UNAVAILABLE,
            Self::SessionRevoked => reason::SESSION_REVOKED,
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Denied => Code::PermissionDenied,
            Self::Expired | Self::Invalid | Self::Missing | Self::SessionRevoked => {
                Code::Unauthenticated
            }
            Self::KeysUnavailable { .. } | Self::RevocationsUnavailable { .. } => Code::Unavailable,
        }
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let mut details =
            ErrorDetails::with_error_info(refusal.reason(), ERROR_DOMAIN, HashMap::new());
        if let Refusal::KeysUnavailable { retry_after }
        | Refusal::RevocationsUnavailable { retry_after } = refusal
        {
            details.set_retry_info(Some(retry_after));
        }
        Status::with_error_details(refusal.code(), refusal.to_string(), details)
    }
}

impl From<BearerError> for Refusal {
    fn from(error: BearerError) -> Self {
        match error {
            BearerError::Missing => Self::Missing,
            _ => Self::Invalid,
        }
    }
}

impl From<VerifyError> for Refusal {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Expired => Self::Expired,
            // That the key is unknown is the cache's business; to the caller it is one more way of
            // not being valid.
            _ => Self::Invalid,
        }
    }
}
