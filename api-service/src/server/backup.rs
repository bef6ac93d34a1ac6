//! Copies of the embedded database.

use std::path::{Path, PathBuf};

use thiserror::Error;
use token::clock::Timestamp;
use transport::{
    config::ConfigError,
    data_dir::DataDir,
    embedded::{self, BackupError, RestoreError},
};

use crate::{
    config::Config,
    error::StartError,
    storage::sqlite::{FILE, MIGRATIONS},
};

/// Why a database was not backed up or restored. Nothing has been changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CareError {
    /// There is no backup.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// A setting cannot be.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The directory is in use, or cannot be used.
    #[error(transparent)]
    Directory(#[from] StartError),
    /// It is no file of ours.
    #[error(
        "--database-url: PostgreSQL has programs of its own for this: `pg_dump --format=custom \
         --schema=evergreen_api --file=FILE URL`, and `pg_restore --clean --if-exists \
         --dbname=URL FILE` while no instance runs"
    )]
    Postgres,
    /// Nothing was restored.
    #[error(transparent)]
    Restore(#[from] RestoreError),
}

/// Writes what the database holds at this moment to `target`, and gives back its size in bytes. The
/// service may run meanwhile.
///
/// # Errors
///
/// [`CareError`]; nothing is written over.
pub async fn backup(config: &Config, target: &Path) -> Result<u64, CareError> {
    if config.database()?.is_some() {
        return Err(CareError::Postgres);
    }
    Ok(embedded::backup(&config.data_dir.join(FILE), target).await?)
}

/// Puts a copy of `backup` in the place of the database, which is kept beside it with `now` in its
/// name. Gives back where that is, if there was one.
///
/// # Errors
///
/// [`CareError`]: the service runs, the backup is damaged, newer than this program or another
/// program's. Everything is as it was then.
pub async fn restore(
    config: &Config,
    backup: &Path,
    now: Timestamp,
) -> Result<Option<PathBuf>, CareError> {
    if config.database()?.is_some() {
        return Err(CareError::Postgres);
    }
    let directory = DataDir::claim(&config.data_dir, "api").map_err(StartError::from)?;
    Ok(embedded::restore(&directory, FILE, backup, &MIGRATIONS, now).await?)
}
