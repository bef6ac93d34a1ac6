//! Why a server could not be opened.

use std::{io, path::PathBuf};

use thiserror::Error;
use transport::{config::ConfigError, data_dir::DataDirError};

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
    /// The database was written by a newer version.
    #[error(
        "--data-dir: {file} has the schema of a newer version (migration {migration}); run that \
         version, or restore the backup from before it"
    )]
    NewerSchema {
        /// The database.
        file: PathBuf,
        /// The first migration that this version does not know.
        migration: i64,
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

impl From<DataDirError> for StartError {
    fn from(error: DataDirError) -> Self {
        match error {
            DataDirError::InUse(path) => Self::InUse { path },
            DataDirError::Unusable { path, source } => Self::DataDir { path, source },
        }
    }
}
