//! A database put in the place of another.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use sqlx::{ConnectOptions as _, Connection as _, migrate::Migrator, sqlite::SqliteConnectOptions};
use thiserror::Error;
use token::clock::Timestamp;

use super::{has_log, look};
use crate::{
    data_dir::DataDir,
    schema::Schema,
    whole_file::{IfThere, beside, new_private, put},
};

/// Why nothing was restored: the former database is as it was.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// Somebody reads the database: a backup, most likely.
    #[error("{database} is being read by another process; wait until it has ended",
            database = .0.display())]
    Busy(PathBuf),
    /// The backup is no database, or a damaged one.
    #[error("{backup} is damaged or no database: {detail}; restore another backup",
            backup = .backup.display())]
    Damaged {
        /// The backup.
        backup: PathBuf,
        /// What the engine said.
        detail: String,
    },
    /// A file cannot be read or written.
    #[error("{file}: {source}; check the disk's space and that this user may use it",
            file = .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Part of what it says is in a file beside it.
    #[error(
        "{backup} has a log beside it ({backup}-wal), so it is a copy of a database in use; make \
         one with `backup`", backup = .0.display()
    )]
    HasLog(PathBuf),
    /// Its schema is none that this program can use.
    #[error("{backup} {schema}; {mend}", backup = .backup.display(),
            mend = .schema.mend().unwrap_or("restore another backup"))]
    Schema {
        /// The backup.
        backup: PathBuf,
        /// Its schema.
        schema: Schema,
    },
}

/// Puts a copy of `backup` in the place of the database `name` in `directory`, which nobody else
/// uses, and keeps the former one beside it, with `.before-` and `now` behind its name.
///
/// Gives back where the former database is kept, if there was one.
///
/// The backup is checked first, and is not changed. Whenever this is cut short, there is a whole
/// database in place: the former one or the backup.
///
/// # Errors
///
/// [`RestoreError`].
pub async fn restore(
    directory: &DataDir,
    name: &str,
    backup: &Path,
    known: &Migrator,
    now: Timestamp,
) -> Result<Option<PathBuf>, RestoreError> {
    let database = directory.path().join(name);
    let copy = beside(&database, ".restoring");
    if has_log(backup) {
        return Err(RestoreError::HasLog(backup.to_owned()));
    }
    // One that an earlier attempt left. Nobody else is at it: the directory is ours.
    let _ = fs::remove_file(&copy);
    let restored = async {
        copy_file(backup, &copy)?;
        check(backup, &copy, known).await?;
        let former = match database.exists() {
            true => Some(keep(&database, now).await?),
            false => None,
        };
        put(&copy, &database, IfThere::Replace).map_err(failed(&database))?;
        Ok(former)
    };
    let restored = restored.await;
    if restored.is_err() {
        let _ = fs::remove_file(&copy);
    }
    restored
}

fn copy_file(from: &Path, to: &Path) -> Result<(), RestoreError> {
    let mut source = File::open(from).map_err(failed(from))?;
    let mut copy = new_private(to).map_err(failed(to))?;
    io::copy(&mut source, &mut copy).map_err(failed(to))?;
    copy.sync_all().map_err(failed(to))
}

/// Whether the copy is sound, and of a schema of ours. It is the copy that counts: nobody else has it.
async fn check(backup: &Path, copy: &Path, known: &Migrator) -> Result<(), RestoreError> {
    let damaged = |detail: String| RestoreError::Damaged { backup: backup.to_owned(), detail };
    let unsound = |error: sqlx::Error| damaged(error.to_string());
    let mut connection = look(copy).await.map_err(unsound)?;
    let said: String = sqlx::query_scalar("PRAGMA integrity_check(1)")
        .fetch_one(&mut connection)
        .await
        .map_err(unsound)?;
    if said != "ok" {
        return Err(damaged(said));
    }
    let schema = Schema::of_sqlite(&mut connection, known).await.map_err(unsound)?;
    connection.close().await.map_err(unsound)?;
    match schema {
        Schema::Current(_) | Schema::Older { .. } => Ok(()),
        schema => Err(RestoreError::Schema { backup: backup.to_owned(), schema }),
    }
}

/// Gives the former database a second name, under which it stays when the first is another's.
async fn keep(database: &Path, now: Timestamp) -> Result<PathBuf, RestoreError> {
    // Colons are not for file names.
    let stamp = humantime::format_rfc3339_seconds(now.into()).to_string().replace(':', "-");
    let kept = beside(database, &format!(".before-{stamp}"));
    let (log, kept_log) = (beside(database, "-wal"), beside(&kept, "-wal"));
    if log.exists() {
        copy_file(&log, &kept_log)?;
        // What a killed service left in the log goes into the file, as at a start. One that is damaged
        // refuses, and then the copy of its log is kept beside it.
        match fold(database).await {
            Ok(true) => fs::remove_file(&kept_log).map_err(failed(&kept_log))?,
            Ok(false) => {
                let _ = fs::remove_file(&kept_log);
                return Err(RestoreError::Busy(database.to_owned()));
            }
            Err(error) => {
                tracing::debug!(%error, "the former database's log stays a file of its own");
            }
        }
    }
    fs::hard_link(database, &kept).map_err(failed(&kept))?;
    // Beside another database they would count as its own.
    for left in [log, beside(database, "-shm")] {
        match fs::remove_file(&left) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed.map_err(failed(&left))?,
        }
    }
    Ok(kept)
}

/// Moves what is in the log into the file. `false` if somebody reads it, and it could not all be
/// moved.
async fn fold(database: &Path) -> Result<bool, sqlx::Error> {
    let mut connection = SqliteConnectOptions::new().filename(database).connect().await?;
    // To open a file is not to look at it, nor at its log.
    let busy: i64 =
        sqlx::query_scalar("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(busy == 0)
}

fn failed(file: &Path) -> impl Fn(io::Error) -> RestoreError + use<> {
    let file = file.to_owned();
    move |source| RestoreError::File { file: file.clone(), source }
}
