//! Copies of the embedded database.

use std::path::{Path, PathBuf};

use thiserror::Error;
use token::clock::Timestamp;
use transport::{
    config::ConfigError,
    data_dir::DataDir,
    embedded::{self, BackupError, RestoreError, look},
};

use crate::{
    app::{KeysError, read_ring, unseal},
    config::Config,
    storage::{
        error::OpenError,
        sealed_keys,
        sqlite::{FILE, MIGRATIONS},
    },
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
    Directory(#[from] OpenError),
    /// The ring of master keys is not the backup's.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// It is no file of ours.
    #[error(
        "--database-url: PostgreSQL has programs of its own for this: `pg_dump --format=custom \
         --file=FILE URL`, and `pg_restore --clean --if-exists --dbname=URL FILE` while no \
         instance runs"
    )]
    Postgres,
    /// Nothing was restored.
    #[error(transparent)]
    Restore(#[from] RestoreError),
}

/// Writes what the database holds at this moment to `target`, and gives back its size in bytes. The
/// service may run meanwhile.
///
/// The master keys are not in it.
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
/// program's, or the master keys are not those that it depends on. Everything is as it was then.
pub async fn restore(
    config: &Config,
    backup: &Path,
    now: Timestamp,
) -> Result<Option<PathBuf>, CareError> {
    if config.database()?.is_some() {
        return Err(CareError::Postgres);
    }
    let directory = DataDir::claim(&config.data_dir, "auth").map_err(OpenError::from)?;
    opens(config, backup).await?;
    Ok(embedded::restore(&directory, FILE, backup, &MIGRATIONS, now).await?)
}

/// Refuses a backup whose signing key the ring at hand does not open. One that cannot be read, or should
/// not be, is found out when it is checked.
async fn opens(config: &Config, backup: &Path) -> Result<(), KeysError> {
    let path = config.master_keys_path();
    // A ring that is missing may come after the database.
    let Ok(ring) = read_ring(&path) else { return Ok(()) };
    if embedded::has_log(backup) {
        return Ok(());
    }
    let Ok(mut connection) = look(backup).await else { return Ok(()) };
    let keys = sealed_keys::of_sqlite(&mut connection).await.unwrap_or_default();
    let is_sealed = |(key, signs): &sealed_keys::InUse| *signs && unseal(key, &ring).is_err();
    match keys.iter().any(is_sealed) {
        true => Err(KeysError::Mismatch { path: path.display().to_string() }),
        false => Ok(()),
    }
}
