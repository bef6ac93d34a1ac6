//! The only place where an application error becomes a status.

use std::time::Duration;

use evergreen_proto::reason;
use tonic::{Code, Status};
use transport::status::{
    argument_invalid, field_invalid, internal, retry_later, status, unauthenticated,
};

use crate::{app::AppError, storage::error::StoreError};

/// The status of an error: its reason and message to the caller, its cause to the log.
pub(super) fn to_status(error: AppError) -> Status {
    let message = error.to_string();
    match error {
        AppError::AccessTokenExpired => unauthenticated(reason::ACCESS_TOKEN_EXPIRED, message),
        AppError::AccessTokenInvalid => unauthenticated(reason::ACCESS_TOKEN_INVALID, message),
        AppError::AccountDisabled => {
            status(Code::PermissionDenied, reason::ACCOUNT_DISABLED, message)
        }
        AppError::AccountLocked { retry_after } => {
            retry_later(Code::ResourceExhausted, reason::ACCOUNT_LOCKED, message, retry_after)
        }
        AppError::CertificateMismatch => {
            unauthenticated(reason::CLIENT_CERTIFICATE_MISMATCH, message)
        }
        AppError::DeadlineExceeded => {
            status(Code::DeadlineExceeded, reason::DEADLINE_EXCEEDED, message)
        }
        AppError::FieldInvalid { field, mend } => field_invalid(field, mend),
        AppError::IdempotencyKeyInvalid => argument_invalid(
            reason::IDEMPOTENCY_KEY_INVALID,
            "idempotency-key",
            "must be 16 to 64 visible ASCII characters from a random source",
        ),
        AppError::InvalidClient | AppError::InvalidCredentials => {
            unauthenticated(reason::INVALID_CREDENTIALS, message)
        }
        AppError::KeysUnavailable => {
            retry_later(Code::Unavailable, reason::KEYS_UNAVAILABLE, message, RETRY_AFTER)
        }
        AppError::LastAdmin => status(Code::FailedPrecondition, reason::LAST_ADMIN, message),
        AppError::Overloaded { retry_after } => {
            retry_later(Code::ResourceExhausted, reason::OVERLOADED, message, retry_after)
        }
        AppError::PageTokenInvalid => argument_invalid(
            reason::PAGE_TOKEN_INVALID,
            "page_token",
            "must be the next_page_token of an earlier page",
        ),
        AppError::PasswordChanged => status(Code::Aborted, reason::PASSWORD_CHANGED, message),
        AppError::PermissionDenied(_) => {
            status(Code::PermissionDenied, reason::PERMISSION_DENIED, message)
        }
        AppError::RateLimited { retry_after } | AppError::TooFast { retry_after, .. } => {
            retry_later(Code::ResourceExhausted, reason::RATE_LIMITED, message, retry_after)
        }
        AppError::RefreshSuperseded => status(Code::Aborted, reason::REFRESH_SUPERSEDED, message),
        AppError::RefreshTokenExpired => unauthenticated(reason::REFRESH_TOKEN_EXPIRED, message),
        AppError::RefreshTokenInvalid => unauthenticated(reason::REFRESH_TOKEN_INVALID, message),
        AppError::RefreshTokenReused => unauthenticated(reason::REFRESH_TOKEN_REUSED, message),
        AppError::RegistrationClosed => {
            status(Code::PermissionDenied, reason::REGISTRATION_CLOSED, message)
        }
        AppError::ServiceAccountNotFound(_) => {
            status(Code::NotFound, reason::SERVICE_ACCOUNT_NOT_FOUND, message)
        }
        AppError::ServiceNameTaken => {
            status(Code::AlreadyExists, reason::SERVICE_NAME_TAKEN, message)
        }
        AppError::SessionNotFound(_) => status(Code::NotFound, reason::SESSION_NOT_FOUND, message),
        AppError::SessionRevoked => unauthenticated(reason::SESSION_REVOKED, message),
        AppError::SigningKeyNotFound(_) => {
            status(Code::NotFound, reason::SIGNING_KEY_NOT_FOUND, message)
        }
        AppError::Store(error) => store_status(&error),
        AppError::TooManySecrets { .. } => {
            status(Code::FailedPrecondition, reason::TOO_MANY_SECRETS, message)
        }
        AppError::TooManyStreams { .. } => {
            retry_later(Code::ResourceExhausted, reason::RATE_LIMITED, message, STREAM_ENDS)
        }
        AppError::UserNotFound(_) => status(Code::NotFound, reason::USER_NOT_FOUND, message),
        AppError::UsernameTaken => status(Code::AlreadyExists, reason::USERNAME_TAKEN, message),
    }
}

fn store_status(error: &StoreError) -> Status {
    match error {
        StoreError::Contended | StoreError::TooLate | StoreError::Unavailable(_) => {
            tracing::warn!(error = ?error, "storage did not answer");
            retry_later(
                Code::Unavailable,
                reason::STORAGE_UNAVAILABLE,
                "the database did not answer; nothing is lost, try again",
                RETRY_AFTER,
            )
        }
        StoreError::Group(error) => store_status(error),
        StoreError::Inconsistent { .. }
        | StoreError::LastAdmin
        | StoreError::Refused(_)
        | StoreError::ServiceNameTaken
        | StoreError::TooManyForgotten { .. }
        | StoreError::UsernameTaken => {
            tracing::error!(?error, "storage answered what it never should");
            internal()
        }
    }
}

const RETRY_AFTER: Duration = Duration::from_secs(1);
/// After how long a stream may have ended that is one too many.
const STREAM_ENDS: Duration = Duration::from_secs(10);
