//! `Status`es in the shape that the wire contract promises: every one has an `ErrorInfo`.

use std::{collections::HashMap, time::Duration};

use evergreen_proto::{ERROR_DOMAIN, reason};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

/// A status with a reason.
#[must_use]
pub fn status(code: Code, reason: &str, message: impl Into<String>) -> Status {
    Status::with_error_details(code, message, details(reason))
}

/// A status that tells when to try again.
#[must_use]
pub fn retry_later(
    code: Code,
    reason: &str,
    message: impl Into<String>,
    after: Duration,
) -> Status {
    let mut details = details(reason);
    details.set_retry_info(Some(after));
    Status::with_error_details(code, message, details)
}

/// `INVALID_ARGUMENT` that names one bad field by its path in the request, and how to mend it.
#[must_use]
pub fn field_invalid(field: impl Into<String>, mend: impl Into<String>) -> Status {
    argument_invalid(reason::FIELD_INVALID, field, mend)
}

/// `INVALID_ARGUMENT` with a reason of its own.
#[must_use]
pub fn argument_invalid(reason: &str, field: impl Into<String>, mend: impl Into<String>) -> Status {
    let (field, mend) = (field.into(), mend.into());
    let message = format!("{field}: {mend}");
    let mut details = details(reason);
    details.set_bad_request(vec![FieldViolation::new(field, mend)]);
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// `UNAUTHENTICATED`.
#[must_use]
pub fn unauthenticated(reason: &str, message: impl Into<String>) -> Status {
    status(Code::Unauthenticated, reason, message)
}

/// `INTERNAL` with a fixed text: what went wrong is for the log, not for the caller.
#[must_use]
pub fn internal() -> Status {
    status(Code::Internal, reason::INTERNAL, "internal error; the server's log has the cause")
}

/// The evergreen reason that a status carries, if it carries one.
#[must_use]
pub fn reason_of(status: &Status) -> Option<String> {
    let info = status.get_details_error_info()?;
    (info.domain == ERROR_DOMAIN).then_some(info.reason)
}

/// A code as the gRPC specification writes it.
#[must_use]
pub const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

fn details(reason: &str) -> ErrorDetails {
    ErrorDetails::with_error_info(reason, ERROR_DOMAIN, HashMap::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_violation_names_the_field_in_message_and_details() {
        let status = field_invalid("tree.title", "must not be empty");
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.message(), "tree.title: must not be empty");
        let details = status.get_error_details();
        let violation = &details.bad_request().unwrap().field_violations[0];
        assert_eq!(violation.field, "tree.title");
        assert_eq!(reason_of(&status).as_deref(), Some(reason::FIELD_INVALID));
    }

    #[test]
    fn a_foreign_domain_has_no_evergreen_reason() {
        let details = ErrorDetails::with_error_info("X", "elsewhere", HashMap::new());
        let status = Status::with_error_details(Code::Aborted, "", details);
        assert_eq!(reason_of(&status), None);
        assert_eq!(reason_of(&Status::aborted("")), None);
    }
}
