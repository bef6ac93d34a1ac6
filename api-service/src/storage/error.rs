//! Why storage did not do what it was asked.

use std::fmt;

use thiserror::Error;

/// Why storage did not do what it was asked. What one user may not see is reported as not found.
#[derive(Debug, Error)]
pub(crate) enum StoreError {
    #[error("a tree is still in the category")]
    CategoryInUse,
    #[error("no such category")]
    CategoryNotFound,
    #[error("another category has the slug")]
    CategorySlugTaken,
    #[error("the etag is not the current one")]
    EtagMismatch,
    #[error("the folder would lie inside itself")]
    FolderCycle,
    #[error("a sibling has the name")]
    FolderNameTaken,
    #[error("the folder still holds folders or trees")]
    FolderNotEmpty,
    #[error("no such folder")]
    FolderNotFound,
    #[error("the folder would lie too deep")]
    FolderTooDeep,
    #[error("more trees lie in the folder than are deleted at once")]
    FolderTooLarge,
    /// A row that no version of this program writes.
    #[error("inconsistent database: {table}.{column} of row {id}")]
    Inconsistent { table: &'static str, column: &'static str, id: String },
    #[error("storage failed")]
    Internal(#[source] sqlx::Error),
    #[error("the owner has as many folders as one may have")]
    TooManyFolders,
    #[error("no such tree")]
    TreeNotFound,
    /// Nothing was done, and trying again may help.
    #[error("storage is busy, full or closed")]
    Unavailable(#[source] sqlx::Error),
}

impl StoreError {
    pub(crate) fn inconsistent(
        table: &'static str,
        column: &'static str,
        id: impl fmt::Display,
    ) -> Self {
        Self::Inconsistent { table, column, id: id.to_string() }
    }
}
