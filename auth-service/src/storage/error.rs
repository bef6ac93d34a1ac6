//! What can go wrong in storage.

use std::time::Duration;

use sqlx::error::ErrorKind;
use thiserror::Error;
use transport::{data_dir::DataDirError, schema::Schema};

/// An operation that did not happen.
#[derive(Debug, Error)]
pub(crate) enum StoreError {
    /// Other requests kept changing the same row.
    #[error("the session is being changed by too many requests at once")]
    Contended,
    /// The group commit that it was part of failed.
    #[error(transparent)]
    Group(std::sync::Arc<StoreError>),
    /// A row says something that no code writes.
    #[error("inconsistent database: table {table}, column {column}, row {row}")]
    Inconsistent { table: &'static str, column: &'static str, row: String },
    /// Nobody who administers would be left.
    #[error("this is the last administrator")]
    LastAdmin,
    /// The database refuses these very values; they would be refused again.
    #[error("the database refused the statement")]
    Refused(#[source] sqlx::Error),
    /// Another service has the name.
    #[error("the name of the service is taken")]
    ServiceNameTaken,
    /// The request's deadline had passed when its turn to write came.
    #[error("the deadline passed before the write")]
    TooLate,
    /// The user has revoked too many sessions that the database does not know.
    #[error("too many unknown sessions were revoked")]
    TooManyForgotten { retry_after: Duration },
    /// The database is busy, closed, full or read-only. The same may succeed later.
    #[error("the database is unavailable")]
    Unavailable(#[source] sqlx::Error),
    /// Another user has the name.
    #[error("the user name is taken")]
    UsernameTaken,
}

impl From<sqlx::Error> for StoreError {
    /// Whatever a database refuses for reasons of its own is transient to a client: its session is
    /// kept, and it asks again.
    fn from(error: sqlx::Error) -> Self {
        if blames_the_values(&error) { Self::Refused(error) } else { Self::Unavailable(error) }
    }
}

/// Whether the error is about what was written, and not about the database's state.
fn blames_the_values(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => {
            // SQLSTATE class 22 is "data exception".
            !matches!(error.kind(), ErrorKind::Other)
                || error.code().is_some_and(|code| code.len() == 5 && code.starts_with("22"))
        }
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::Encode(_) => true,
        _ => false,
    }
}

/// Why a database could not be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The PostgreSQL server does not let us in, or cannot be reached.
    #[error("--database-url: PostgreSQL cannot be used: {detail}; {mend}")]
    Server {
        /// What it said.
        detail: String,
        /// What to do about it.
        mend: &'static str,
    },
    /// The file is no database of ours, or is damaged.
    #[error(
        "{path} is not a usable database: {detail}; restore it from a backup, or choose another --data-dir"
    )]
    Corrupt {
        /// The file.
        path: String,
        /// What the engine said.
        detail: String,
    },
    /// The directory cannot be made or written to.
    #[error(
        "--data-dir: {path} cannot be used: {source}; choose a directory that this user may write to"
    )]
    Directory {
        /// The directory.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process serves this directory.
    #[error(
        "--data-dir: {path} is in use by another process; stop it, or choose another directory"
    )]
    InUse {
        /// The directory.
        path: String,
    },
    /// A migration cannot be carried out, and was taken back.
    #[error(
        "{database} cannot be brought to this program's schema: {detail}; run the program that \
         wrote it, or restore a backup (nothing has been changed)"
    )]
    Migration {
        /// The file.
        database: String,
        /// What the engine said.
        detail: String,
    },
    /// The schema is none that this program can use: it was not changed.
    #[error("{database} {schema}; {mend}", mend = .schema.mend().unwrap_or_default())]
    Schema {
        /// The setting that names the database, and which it is.
        database: String,
        /// Its schema.
        schema: Schema,
    },
    /// The file cannot be used, and not because of what is in it.
    #[error(
        "--data-dir: {path} cannot be used: {detail}; check the disk's space and the file's \
         permissions"
    )]
    Unusable {
        /// The file.
        path: String,
        /// What the engine said.
        detail: String,
    },
}

impl From<DataDirError> for OpenError {
    fn from(error: DataDirError) -> Self {
        match error {
            DataDirError::InUse(path) => Self::InUse { path: path.display().to_string() },
            DataDirError::Unusable { path, source } => {
                Self::Directory { path: path.display().to_string(), source }
            }
        }
    }
}
