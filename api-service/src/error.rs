//! Why a server could not be opened.

use std::{io, path::PathBuf};

use thiserror::Error;
use transport::{config::ConfigError, data_dir::DataDirError, schema::Schema};

use crate::storage::{StoreError, postgres};

/// Why a server could not be opened. Each names the setting and what to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// A setting cannot be what it is.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database is not one, or damaged.
    #[error(
        "--data-dir: {file} is not a database or is damaged; restore it from a backup, or move it \
         away to start empty"
    )]
    Corrupt {
        /// The database.
        file: PathBuf,
        /// What the driver said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The PostgreSQL database cannot be reached or used.
    #[error("--database-url: PostgreSQL cannot be used: {detail}; {mend}")]
    Database {
        /// What it said.
        detail: String,
        /// What to do about it.
        mend: &'static str,
    },
    /// The directory or a file in it cannot be written.
    #[error(
        "--data-dir: {path} cannot be written; make it writable for this user, or choose another one"
    )]
    DataDir {
        /// What cannot be written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process uses the directory.
    #[error(
        "--data-dir: {path} is in use by another process; stop that one, or choose another directory"
    )]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The schema is none that this program can use: it was not changed.
    #[error("{database} {schema}; {mend}", mend = .schema.mend().unwrap_or_default())]
    Schema {
        /// The setting that names the database, and which it is.
        database: String,
        /// Its schema.
        schema: Schema,
    },
    /// The database cannot be used, for another reason.
    #[error("--data-dir: {file} cannot be used; check the disk's space and the file's permissions")]
    Storage {
        /// The database.
        file: PathBuf,
        /// What the driver said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StartError {
    /// The PostgreSQL database was opened, and then failed.
    pub(crate) fn database(error: &StoreError) -> Self {
        let source = std::error::Error::source(error).map(|source| format!(": {source}"));
        let detail = format!("{error}{}", source.unwrap_or_default());
        Self::Database { detail, mend: "see the server's log" }
    }
}

impl From<postgres::OpenError> for StartError {
    fn from(error: postgres::OpenError) -> Self {
        match error {
            postgres::OpenError::Schema(schema) => {
                Self::Schema { database: "--database-url: the database".into(), schema }
            }
            postgres::OpenError::Server { detail, mend } => Self::Database { detail, mend },
        }
    }
}

impl From<DataDirError> for StartError {
    fn from(error: DataDirError) -> Self {
        match error {
            DataDirError::InUse(path) => Self::InUse { path },
            DataDirError::Unusable { path, source } => Self::DataDir { path, source },
        }
    }
}
