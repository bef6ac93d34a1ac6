//! Failures of calls, as failures of commands. The one place that reads a status.

use std::error::Error as _;

use client_sdk::AuthenticationError;
use evergreen_proto::{ERROR_DOMAIN, reason};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use transport::tls::Distrust;

use super::{Error, Exit, Field, advice};

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        match AuthenticationError::from_status(&status) {
            Some(error) => error.into(),
            None => answered(&status),
        }
    }
}

impl From<AuthenticationError> for Error {
    fn from(error: AuthenticationError) -> Self {
        use AuthenticationError as E;
        let text = error.to_string();
        match error {
            E::Service(status) => answered(&status),
            E::SignedOut { .. } => Self::new(Exit::NotSignedIn, "You are signed out."),
            E::Rejected { reason } | E::Refused { reason: Some(reason) } => {
                let mut ended = Self::new(Exit::NotSignedIn, "Your session has ended.");
                ended.reason = Some(reason);
                ended
            }
            E::Refused { reason: None } => Self::new(Exit::NotSignedIn, text),
            E::CoolingDown { .. }
            | E::DeadlineExceeded
            | E::Interrupted
            | E::Unreachable { .. }
            | E::WindowSpent => Self::new(Exit::Unreachable, text)
                .then("You are still signed in. Try again in a moment."),
            E::Configuration { message } => Self::invalid(message),
            // The store's message says how to mend it.
            E::Store { .. } => Self::new(Exit::Failure, text),
            _ => Self::new(Exit::Failure, text),
        }
    }
}

/// What a server answered.
fn answered(status: &Status) -> Error {
    if let Some(distrust) = Distrust::cause_of(status) {
        let (message, next) = advice::for_distrust(distrust);
        return Error::new(Exit::Unreachable, message).then(next);
    }
    let details = status.get_error_details();
    let reason = details
        .error_info()
        .filter(|info| info.domain == ERROR_DOMAIN)
        .map(|info| info.reason.clone());
    let exit = match reason.as_deref() {
        Some(reason::INVALID_CREDENTIALS | reason::CLIENT_CERTIFICATE_MISMATCH) => Exit::Denied,
        // It was made on this side, of a connection that broke.
        None if status.source().is_some() => Exit::Unreachable,
        _ => exit_of(status.code()),
    };
    let message = match exit {
        // The transport's own words name what it stumbled over, three layers down.
        Exit::Unreachable if reason.is_none() => {
            format!("The server cannot be reached: {}", cause(status))
        }
        _ if status.message().is_empty() => status.code().description().to_owned(),
        _ => sentence(status.message()),
    };
    let created = details.error_info().and_then(|info| info.metadata.get("created_count"));
    let message = match created {
        Some(created) => format!("{message} Created before that: {created}."),
        None => message,
    };
    let fields = details.bad_request().map_or_else(Vec::new, |bad| {
        let violations = bad.field_violations.iter();
        violations.map(|v| Field { name: v.field.clone(), mend: v.description.clone() }).collect()
    });
    // A server that refuses a client's certificate may be gone before it is heard why.
    let is_closed = reason.is_none() && cause(status) == "connection closed";
    let next = match reason.as_deref().and_then(advice::for_reason) {
        None if is_closed => Some(advice::CLOSED),
        next => next.or_else(|| advice::for_exit(exit)),
    };
    let mut error = Error::new(exit, message);
    (error.reason, error.fields, error.next) = (reason, fields, next.map(str::to_owned));
    error
}

fn exit_of(code: Code) -> Exit {
    match code {
        Code::Unauthenticated => Exit::NotSignedIn,
        Code::NotFound => Exit::NotFound,
        Code::Aborted | Code::AlreadyExists | Code::FailedPrecondition => Exit::Conflict,
        Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted => Exit::Unreachable,
        Code::PermissionDenied => Exit::Denied,
        Code::InvalidArgument | Code::OutOfRange => Exit::Invalid,
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::Unimplemented
        | Code::Internal
        | Code::DataLoss => Exit::Failure,
    }
}

/// The innermost cause that a transport gives.
fn cause(status: &Status) -> String {
    let mut error: &dyn std::error::Error = status;
    while let Some(inner) = error.source() {
        error = inner;
    }
    let text = error.to_string();
    if text.is_empty() || text.starts_with("code:") { status.message().to_owned() } else { text }
}

/// A server's phrase, which begins small and ends bare, as a sentence.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let mut said: String = letters.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    said.extend(letters);
    if !said.ends_with(['.', '!', '?', ':']) {
        said.push('.');
    }
    said
}

#[cfg(test)]
mod tests {
    use client_sdk::SignOutReason;
    use tonic_types::ErrorDetails;

    use super::*;

    fn status(code: Code, reason: &str, text: &str) -> Status {
        let details = ErrorDetails::with_error_info(reason, ERROR_DOMAIN, []);
        Status::with_error_details(code, text, details)
    }

    #[test]
    fn every_code_has_its_exit_and_its_sentence() {
        for (code, reason, exit) in [
            (Code::Aborted, "ETAG_MISMATCH", 5),
            (Code::AlreadyExists, "FOLDER_NAME_TAKEN", 5),
            (Code::FailedPrecondition, "FOLDER_NOT_EMPTY", 5),
            (Code::Internal, "INTERNAL", 1),
            (Code::InvalidArgument, "FIELD_INVALID", 8),
            (Code::NotFound, "TREE_NOT_FOUND", 4),
            (Code::OutOfRange, "CURSOR_EXPIRED", 8),
            (Code::PermissionDenied, "PERMISSION_DENIED", 7),
            (Code::ResourceExhausted, "OVERLOADED", 6),
            (Code::Unauthenticated, "INVALID_CREDENTIALS", 7),
            (Code::Unauthenticated, "SESSION_REVOKED", 3),
            (Code::Unavailable, "STORAGE_UNAVAILABLE", 6),
            (Code::Unimplemented, "A_REASON_OF_TOMORROW", 1),
        ] {
            let error = Error::from(status(code, reason, "so it is"));
            assert_eq!(error.exit().code(), exit, "{code:?}");
            assert_eq!(error.reason(), Some(reason));
            assert!(error.to_string().contains('.'), "{error}");
        }
    }

    #[test]
    fn a_fault_of_the_network_does_not_sound_like_a_lost_session() {
        let error = AuthenticationError::Unreachable {
            message: "connection refused".into(),
            retry_after: std::time::Duration::ZERO,
        };
        let error = Error::from(Status::from(error));
        assert_eq!(error.exit(), Exit::Unreachable);
        assert!(error.to_string().contains("still signed in"), "{error}");
        let out = AuthenticationError::SignedOut { reason: SignOutReason::NotSignedIn };
        assert_eq!(Error::from(Status::from(out)).exit(), Exit::NotSignedIn);
    }
}
