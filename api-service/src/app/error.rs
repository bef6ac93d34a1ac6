//! Why a use case did not do what it was asked.

use thiserror::Error;

use crate::{domain::violation::Violation, storage::StoreError};

/// Why a use case did not do what it was asked.
#[derive(Debug, Error)]
pub(crate) enum AppError {
    /// Others kept changing what an overwrite was about to change.
    #[error("the write kept losing to others")]
    Contended,
    #[error("the caller's role does not allow it")]
    Denied,
    #[error("{0}")]
    Invalid(Violation),
    #[error("the page token is not one of this list")]
    PageTokenInvalid,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Violation> for AppError {
    fn from(violation: Violation) -> Self {
        Self::Invalid(violation)
    }
}
