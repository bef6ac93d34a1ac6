//! A copy of a database, while it is in use.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};
use thiserror::Error;

use crate::whole_file::{IfThere, beside, new_private, put};

/// Why there is no backup.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BackupError {
    /// There is no database to copy.
    #[error("--data-dir: there is no {database}; name the directory that the service uses",
            database = .0.display())]
    Absent(PathBuf),
    /// The database cannot be read.
    #[error("{database} cannot be copied: {source}; `doctor` tells what is wrong with it",
            database = .database.display())]
    Database {
        /// The database.
        database: PathBuf,
        /// What the engine said.
        source: sqlx::Error,
    },
    /// A file is there already, which nothing is written over.
    #[error("{file} exists already; choose another name, or move it away", file = .0.display())]
    Exists(PathBuf),
    /// This user may not look at the database.
    #[error("{database}: {source}; give this command as the user that the service runs as",
            database = .database.display())]
    Unreadable {
        /// The database.
        database: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The copy cannot be written.
    #[error("{file} cannot be written: {source}; choose a directory that this user may write to",
            file = .file.display())]
    Unwritable {
        /// The copy.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Writes what `database` holds at this moment to `target`, its owner's alone, and gives back its
/// size in bytes. Whoever uses the database goes on reading and writing meanwhile.
///
/// `target` appears whole and durable, or not at all; nothing is written over.
///
/// # Errors
///
/// [`BackupError`].
pub async fn backup(database: &Path, target: &Path) -> Result<u64, BackupError> {
    match database.try_exists() {
        Ok(true) => {}
        Ok(false) => return Err(BackupError::Absent(database.to_owned())),
        Err(source) => {
            return Err(BackupError::Unreadable { database: database.to_owned(), source });
        }
    }
    if target.exists() {
        return Err(BackupError::Exists(target.to_owned()));
    }
    let unfinished = beside(target, ".unfinished");
    // The engine writes into an empty file, which is private from its first byte on.
    new_private(&unfinished).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists(unfinished.clone()),
        _ => BackupError::Unwritable { file: unfinished.clone(), source },
    })?;
    if let Err(source) = copy(database, &unfinished).await {
        let _ = fs::remove_file(&unfinished);
        return Err(BackupError::Database { database: database.to_owned(), source });
    }
    let put = put(&unfinished, target, IfThere::Keep);
    put.and_then(|()| Ok(fs::metadata(target)?.len())).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists(target.to_owned()),
        _ => BackupError::Unwritable { file: target.to_owned(), source },
    })
}

async fn copy(database: &Path, into: &Path) -> Result<(), sqlx::Error> {
    let path = into.to_str();
    let path = path.ok_or_else(|| {
        sqlx::Error::Configuration("the name of the copy must be readable text (UTF-8)".into())
    })?;
    // It takes part in the locking like any other: a service may start or stop meanwhile.
    let options = SqliteConnectOptions::new().filename(database).busy_timeout(PATIENCE);
    let mut connection = options.connect().await?;
    sqlx::query("VACUUM INTO $1").bind(path).execute(&mut connection).await?;
    connection.close().await
}

const PATIENCE: Duration = Duration::from_secs(5);
