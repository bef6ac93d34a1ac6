//! The one place where an error becomes a status.

use std::time::Duration;

use evergreen_proto::reason;
use tonic::{Code, Status};
use transport::status::{argument_invalid, field_invalid, internal, retry_later, status};

use crate::{app::AppError, domain::violation::Violation, storage::StoreError};

/// What [`AppError`] and [`Violation`] are on the wire. A trait of this layer's own, since neither
/// the trait `From` nor `Status` is ours.
pub(super) trait IntoStatus {
    fn into_status(self) -> Status;
}

impl IntoStatus for Violation {
    fn into_status(self) -> Status {
        field_invalid(self.field, self.mend)
    }
}

impl IntoStatus for AppError {
    fn into_status(self) -> Status {
        match self {
            Self::Contended => unavailable("others keep writing here; try again"),
            Self::CursorExpired => status(
                Code::OutOfRange,
                reason::CURSOR_EXPIRED,
                "the changes since then are no longer kept; list anew, then watch without a cursor",
            ),
            Self::Denied => status(
                Code::PermissionDenied,
                reason::PERMISSION_DENIED,
                "the caller may not do this",
            ),
            Self::ImportChanged => status(
                Code::FailedPrecondition,
                reason::IMPORT_CHANGED,
                "this key has created other trees than the stream begins with; use a new key",
            ),
            Self::ImportRunning => status(
                Code::Aborted,
                reason::IMPORT_RUNNING,
                "another stream goes on with this key; wait for it to end",
            ),
            Self::Invalid(violation) => violation.into_status(),
            Self::PageTokenInvalid => argument_invalid(
                reason::PAGE_TOKEN_INVALID,
                "page_token",
                "must be the next_page_token of the page before, with the same filters",
            ),
            Self::Stopping => unavailable("the server is stopping; go on from the last cursor"),
            Self::Store(error) => error.into_status(),
            Self::TooManyStreams { most } => retry_later(
                Code::ResourceExhausted,
                reason::RATE_LIMITED,
                format!("{most} streams of this account are open here; end some of them"),
                STREAM_ENDS,
            ),
            Self::TreeDeleted => status(
                Code::FailedPrecondition,
                reason::TREE_DELETED,
                "the tree is deleted; undelete it first",
            ),
            Self::TreeNotDeleted => {
                status(Code::AlreadyExists, reason::TREE_NOT_DELETED, "the tree is not deleted")
            }
            Self::TreeRevisionNotFound => status(
                Code::NotFound,
                reason::TREE_REVISION_NOT_FOUND,
                "no such revision; the newest 100 are kept",
            ),
        }
    }
}

impl IntoStatus for StoreError {
    fn into_status(self) -> Status {
        let precondition = |reason, text| status(Code::FailedPrecondition, reason, text);
        let not_found = |reason, text| status(Code::NotFound, reason, text);
        let taken = |reason, text| status(Code::AlreadyExists, reason, text);
        match self {
            Self::CategoryInUse => precondition(
                reason::CATEGORY_IN_USE,
                "a tree is still in the category; say in `move_trees_to` where its trees go",
            ),
            Self::CategoryNotFound => not_found(reason::CATEGORY_NOT_FOUND, "no such category"),
            Self::CategorySlugTaken => {
                taken(reason::CATEGORY_SLUG_TAKEN, "another category has this slug")
            }
            Self::EtagMismatch => status(
                Code::Aborted,
                reason::ETAG_MISMATCH,
                "it has changed since it was read; read it again, then write",
            ),
            Self::FolderCycle => {
                precondition(reason::FOLDER_CYCLE, "a folder cannot lie inside itself")
            }
            Self::FolderNameTaken => {
                taken(reason::FOLDER_NAME_TAKEN, "a folder beside it has this name")
            }
            Self::FolderNotEmpty => precondition(
                reason::FOLDER_NOT_EMPTY,
                "the folder still holds folders or trees; move those, or delete all with `force`",
            ),
            Self::FolderNotFound => not_found(reason::FOLDER_NOT_FOUND, "no such folder"),
            Self::FolderTooDeep => {
                precondition(reason::FOLDER_TOO_DEEP, "folders nest at most 16 deep")
            }
            Self::FolderTooLarge => precondition(
                reason::FOLDER_TOO_LARGE,
                "more than 10,000 trees lie in the folder; move or delete some of them first",
            ),
            Self::Inconsistent { .. } | Self::Internal(_) => {
                tracing::error!(error = &self as &dyn std::error::Error, "storage failed");
                internal()
            }
            Self::TooManyFolders => {
                precondition(reason::TOO_MANY_FOLDERS, "a user may have 5,000 folders")
            }
            Self::TreeNotFound => not_found(reason::TREE_NOT_FOUND, "no such tree"),
            Self::Unavailable(_) => {
                tracing::warn!(error = &self as &dyn std::error::Error, "storage is unavailable");
                unavailable("storage is unavailable; try again")
            }
        }
    }
}

fn unavailable(text: &str) -> Status {
    retry_later(Code::Unavailable, reason::STORAGE_UNAVAILABLE, text, Duration::from_secs(1))
}

/// After how long a stream may have ended that is one too many.
const STREAM_ENDS: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt as _;

    use super::*;

    #[test]
    fn what_went_wrong_inside_stays_inside() {
        let secret = "no such table: trees at /var/lib";
        for error in [
            StoreError::Internal(sqlx::Error::Protocol(secret.into())),
            StoreError::inconsistent("trees", "status", secret),
        ] {
            let status = error.into_status();
            assert_eq!(status.code(), Code::Internal);
            assert!(!format!("{status:?}").contains(secret));
        }
    }

    #[test]
    fn a_closed_pool_is_unavailable_and_says_when_to_come_again() {
        let status = StoreError::from(sqlx::Error::PoolClosed).into_status();
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(status.get_details_error_info().unwrap().reason, "STORAGE_UNAVAILABLE");
        assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());
    }
}
