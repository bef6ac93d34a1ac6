//! What a caller is told when a call could not be authenticated.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::{
    session::SignOutReason,
    store::{StoreError, StoreErrorKind},
};

/// The `ErrorInfo.domain` of Evergreen's errors.
pub(crate) const DOMAIN: &str = "evergreen";

/// Why a call could not be authenticated, or a session not be changed.
///
/// Stubs only know [`tonic::Status`], so the layer sends this through one:
/// [`from_status`](Self::from_status) gives it back.
///
/// ```
/// use client_sdk::AuthenticationError;
///
/// let status = tonic::Status::from(AuthenticationError::DeadlineExceeded);
/// assert_eq!(status.code(), tonic::Code::DeadlineExceeded);
/// assert!(matches!(
///     AuthenticationError::from_status(&status),
///     Some(AuthenticationError::DeadlineExceeded)
/// ));
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthenticationError {
    /// The builder was given something that cannot work, such as a malformed endpoint.
    #[error("the session is misconfigured: {message}")]
    Configuration {
        /// What is wrong.
        message: String,
    },
    /// A refresh failed a moment ago; none is tried again before `retry_after`.
    #[error("the refresh failed a moment ago: {message}")]
    CoolingDown {
        /// How the refresh failed.
        message: String,
        /// When the next one may start.
        retry_after: Duration,
    },
    /// The call's own deadline passed while its token was being renewed, or on the wire.
    #[error("the call's deadline passed")]
    DeadlineExceeded,
    /// The refresh ended without an outcome: it panicked, or its runtime was shut down. The session
    /// is kept, and the next call may try again.
    #[error("the refresh was interrupted")]
    Interrupted,
    /// The server refused the renewed token too, or cut a stream that had begun.
    #[error("the server refuses the access token{}", Because(.reason.as_deref()))]
    Refused {
        /// The server's reason, if it gave one.
        reason: Option<String>,
    },
    /// The token service ended the session, or refuses the credentials of a session that has some.
    #[error("rejected by the token service: {reason}")]
    Rejected {
        /// The token service's reason, such as `REFRESH_TOKEN_EXPIRED` or `ACCOUNT_DISABLED`.
        reason: String,
    },
    /// Another answer of the token service, such as that to a wrong password.
    #[error("{}", .0.message())]
    Service(Arc<Status>),
    /// Nobody is signed in.
    #[error("signed out ({reason})")]
    SignedOut {
        /// How it came to that.
        reason: SignOutReason,
    },
    /// The store cannot be locked, read or written, so no refresh may be sent.
    #[error("the token store is unavailable: {message}")]
    Store {
        /// What ails it.
        kind: StoreErrorKind,
        /// What the store said, which tells how to mend it.
        message: String,
    },
    /// The token service could not be reached, or did not answer with an outcome. The session is
    /// kept.
    #[error("the refresh did not get through: {message}")]
    Unreachable {
        /// How the last attempt failed.
        message: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// Several renewed tokens in a row were refused, so no more are asked for in this window.
    #[error("refreshed too often without a token being accepted")]
    WindowSpent,
}

impl AuthenticationError {
    /// The error that the SDK put into `status`, or the refusal that a server did; `None` for
    /// every other status.
    #[must_use]
    pub fn from_status(status: &Status) -> Option<Self> {
        let details = status.get_error_details();
        let retry_after = details.retry_info().and_then(|r| r.retry_delay).unwrap_or_default();
        let Some(info) = details.error_info() else {
            return (status.code() == Code::Unauthenticated)
                .then_some(Self::Refused { reason: None });
        };
        if info.domain != DOMAIN {
            return None;
        }
        let cause = || info.metadata.get(CAUSE).cloned().unwrap_or_default();
        Some(match info.reason.as_str() {
            CONFIGURATION => Self::Configuration { message: cause() },
            COOLING_DOWN => Self::CoolingDown { message: cause(), retry_after },
            DEADLINE => Self::DeadlineExceeded,
            INTERRUPTED => Self::Interrupted,
            REJECTED => Self::Rejected { reason: cause() },
            SIGNED_OUT => Self::SignedOut { reason: SignOutReason::from_wire(&cause()) },
            STORE => {
                let kind = info.metadata.get(KIND).map_or("", String::as_str);
                Self::Store { kind: StoreErrorKind::from_name(kind), message: cause() }
            }
            UNREACHABLE => Self::Unreachable { message: cause(), retry_after },
            WINDOW_SPENT => Self::WindowSpent,
            reason
                if status.code() == Code::Unauthenticated
                    && (reason == "SESSION_REVOKED" || reason.starts_with("ACCESS_TOKEN_")) =>
            {
                Self::Refused { reason: Some(reason.to_owned()) }
            }
            _ => return None,
        })
    }

    /// Whether the same call may succeed later without anybody signing in.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::CoolingDown { .. }
            | Self::DeadlineExceeded
            | Self::Interrupted
            | Self::Store { .. }
            | Self::Unreachable { .. }
            | Self::WindowSpent => true,
            Self::Configuration { .. }
            | Self::Refused { .. }
            | Self::Rejected { .. }
            | Self::SignedOut { .. } => false,
            Self::Service(status) => matches!(
                status.code(),
                Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted
            ),
        }
    }

    /// The machine-readable reason of the token service's answer, such as `INVALID_CREDENTIALS` or
    /// `REFRESH_TOKEN_REUSED`.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Rejected { reason } => Some(reason.clone()),
            Self::Refused { reason } => reason.clone(),
            Self::Service(status) => {
                status.get_error_details().error_info().map(|info| info.reason.clone())
            }
            _ => None,
        }
    }
}

impl From<StoreError> for AuthenticationError {
    fn from(error: StoreError) -> Self {
        Self::Store { kind: error.kind(), message: error.to_string() }
    }
}

impl From<AuthenticationError> for Status {
    fn from(error: AuthenticationError) -> Self {
        use AuthenticationError as E;
        let message = error.to_string();
        let mut metadata = HashMap::new();
        let (code, reason, cause, retry_after) = match error {
            E::Service(status) => return Self::clone(&status),
            E::Configuration { message } => (Code::InvalidArgument, CONFIGURATION, message, None),
            E::CoolingDown { message, retry_after } => {
                (Code::Unavailable, COOLING_DOWN, message, Some(retry_after))
            }
            E::DeadlineExceeded => (Code::DeadlineExceeded, DEADLINE, String::new(), None),
            E::Interrupted => (Code::Unavailable, INTERRUPTED, String::new(), Some(Duration::ZERO)),
            E::Refused { reason: None } => return Self::unauthenticated(message),
            E::Refused { reason: Some(reason) } => {
                let details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
                return Self::with_error_details(Code::Unauthenticated, message, details);
            }
            E::Rejected { reason } => (Code::Unauthenticated, REJECTED, reason, None),
            E::SignedOut { reason } => {
                (Code::Unauthenticated, SIGNED_OUT, reason.to_string(), None)
            }
            E::Store { kind, message } => {
                metadata.insert(KIND.to_owned(), kind.to_string());
                (Code::Unavailable, STORE, message, Some(STORE_RETRY))
            }
            E::Unreachable { message, retry_after } => {
                (Code::Unavailable, UNREACHABLE, message, Some(retry_after))
            }
            E::WindowSpent => (Code::Unauthenticated, WINDOW_SPENT, String::new(), None),
        };
        if !cause.is_empty() {
            metadata.insert(CAUSE.to_owned(), cause);
        }
        let mut details = ErrorDetails::with_error_info(reason, DOMAIN, metadata);
        if retry_after.is_some() {
            details.set_retry_info(retry_after);
        }
        Self::with_error_details(code, message, details)
    }
}

/// ": reason", or nothing.
struct Because<'a>(Option<&'a str>);

impl fmt::Display for Because<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |reason| write!(f, ": {reason}"))
    }
}

// The reasons that only a client gives; no server answers them.
const CONFIGURATION: &str = "CLIENT_MISCONFIGURED";
const COOLING_DOWN: &str = "CLIENT_REFRESH_COOLING_DOWN";
const DEADLINE: &str = "CLIENT_DEADLINE_EXCEEDED";
const INTERRUPTED: &str = "CLIENT_REFRESH_INTERRUPTED";
const REJECTED: &str = "CLIENT_REFRESH_REJECTED";
const SIGNED_OUT: &str = "CLIENT_SIGNED_OUT";
const STORE: &str = "CLIENT_STORE_UNAVAILABLE";
const UNREACHABLE: &str = "CLIENT_REFRESH_UNREACHABLE";
const WINDOW_SPENT: &str = "CLIENT_REFRESH_WINDOW_SPENT";

/// The `ErrorInfo.metadata` key that holds a variant's text.
const CAUSE: &str = "cause";
/// The one that holds a [`StoreErrorKind`].
const KIND: &str = "kind";

/// A store is local: what ails it is soon mended or needs a person.
const STORE_RETRY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn every_variant() -> Vec<(AuthenticationError, Code, bool)> {
        use AuthenticationError as E;
        let soon = Duration::from_secs(3);
        vec![
            (E::Configuration { message: "m".into() }, Code::InvalidArgument, false),
            (E::CoolingDown { message: "m".into(), retry_after: soon }, Code::Unavailable, true),
            (E::DeadlineExceeded, Code::DeadlineExceeded, false),
            (E::Interrupted, Code::Unavailable, true),
            (E::Refused { reason: None }, Code::Unauthenticated, false),
            (
                E::Refused { reason: Some("ACCESS_TOKEN_EXPIRED".into()) },
                Code::Unauthenticated,
                false,
            ),
            (E::Rejected { reason: "REFRESH_TOKEN_REUSED".into() }, Code::Unauthenticated, false),
            (E::SignedOut { reason: SignOutReason::LoggedOut }, Code::Unauthenticated, false),
            (
                E::Store { kind: StoreErrorKind::Permissions, message: "m".into() },
                Code::Unavailable,
                true,
            ),
            (E::Unreachable { message: "m".into(), retry_after: soon }, Code::Unavailable, true),
            (E::WindowSpent, Code::Unauthenticated, false),
        ]
    }

    #[test]
    fn every_variant_survives_the_trip_through_a_status() {
        for (error, code, retry) in every_variant() {
            let status = Status::from(error.clone());
            assert_eq!(status.code(), code, "{error:?}");
            assert_eq!(status.get_error_details().retry_info().is_some(), retry, "{error:?}");
            let back = AuthenticationError::from_status(&status).expect("it is one of ours");
            assert_eq!(format!("{back:?}"), format!("{error:?}"));
        }
    }

    #[test]
    fn a_transient_error_names_the_refresh() {
        let error = AuthenticationError::Unreachable {
            message: "connection reset".into(),
            retry_after: Duration::ZERO,
        };
        assert!(Status::from(error).message().contains("refresh"));
    }

    #[test]
    fn a_wrong_password_and_other_domains_are_not_ours() {
        for (reason, domain) in [("INVALID_CREDENTIALS", DOMAIN), ("ACCESS_TOKEN_EXPIRED", "x")] {
            let details = ErrorDetails::with_error_info(reason, domain, HashMap::new());
            let status = Status::with_error_details(Code::Unauthenticated, "", details);
            assert!(AuthenticationError::from_status(&status).is_none());
        }
    }
}
