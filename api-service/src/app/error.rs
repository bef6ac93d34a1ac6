//! Why a use case did not do what it was asked.

use thiserror::Error;
use transport::page_token::PageTokenInvalid;

use crate::{
    domain::{tree::Misstate, violation::Violation},
    storage::StoreError,
};

/// Why a use case did not do what it was asked.
#[derive(Debug, Error)]
pub(crate) enum AppError {
    /// Others kept changing what an overwrite was about to change.
    #[error("the write kept losing to others")]
    Contended,
    #[error("the log does not have that place any more")]
    CursorExpired,
    #[error("the caller's role does not allow it")]
    Denied,
    #[error("the trees that the import has created are not the ones of the stream")]
    ImportChanged,
    #[error("another stream goes on with the import")]
    ImportRunning,
    #[error("{0}")]
    Invalid(Violation),
    #[error("the page token is not one of this list")]
    PageTokenInvalid,
    #[error("the server is stopping")]
    Stopping,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the caller has too many streams")]
    TooManyStreams { most: usize },
    #[error("the tree is deleted")]
    TreeDeleted,
    #[error("the tree is not deleted")]
    TreeNotDeleted,
    #[error("no such revision of the tree, or none any more")]
    TreeRevisionNotFound,
}

impl From<Misstate> for AppError {
    fn from(misstate: Misstate) -> Self {
        match misstate {
            Misstate::Deleted => Self::TreeDeleted,
            Misstate::NotDeleted => Self::TreeNotDeleted,
        }
    }
}

impl From<PageTokenInvalid> for AppError {
    fn from(_: PageTokenInvalid) -> Self {
        Self::PageTokenInvalid
    }
}

impl From<Violation> for AppError {
    fn from(violation: Violation) -> Self {
        Self::Invalid(violation)
    }
}
