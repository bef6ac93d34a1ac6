//! What a session is at the moment.

use std::fmt;

/// Whether somebody is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionState {
    /// Calls carry an access token, or wait for the first one.
    SignedIn {
        /// The name of the session; empty if its issuer gives none.
        session_id: String,
    },
    /// Calls fail at once, without network.
    SignedOut {
        /// How it came to that.
        reason: SignOutReason,
    },
}

/// How a session came to be signed out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignOutReason {
    /// Another process that shares the store logged out.
    Elsewhere,
    /// This one logged out.
    LoggedOut,
    /// Nobody has signed in yet.
    NotSignedIn,
    /// The token service ended the session, and gave this reason.
    Rejected(String),
    /// The token service could not be reached, and the session was told to end then.
    Unreachable,
}

impl SignOutReason {
    pub(crate) fn from_wire(text: &str) -> Self {
        match text {
            ELSEWHERE => Self::Elsewhere,
            LOGGED_OUT => Self::LoggedOut,
            UNREACHABLE => Self::Unreachable,
            NOT_SIGNED_IN | "" => Self::NotSignedIn,
            reason => Self::Rejected(reason.to_owned()),
        }
    }
}

impl fmt::Display for SignOutReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Elsewhere => ELSEWHERE,
            Self::LoggedOut => LOGGED_OUT,
            Self::NotSignedIn => NOT_SIGNED_IN,
            Self::Rejected(reason) => reason,
            Self::Unreachable => UNREACHABLE,
        })
    }
}

const ELSEWHERE: &str = "logged out elsewhere";
const LOGGED_OUT: &str = "logged out";
const NOT_SIGNED_IN: &str = "not signed in";
const UNREACHABLE: &str = "token service unreachable";
