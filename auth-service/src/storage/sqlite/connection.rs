//! Opening the database, and the one connection that writes.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sqlx::{
    SqlitePool,
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use token::clock::Clock;

use crate::storage::{
    error::{OpenError, StoreError},
    group_commit::GroupCommit,
    sqlite::advances::SqliteCommitter,
};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// Users, sessions and keys in a SQLite file.
#[derive(Clone, Debug)]
pub(crate) struct SqliteStore {
    /// One connection, so that writers queue here, fairly and cheaply, and not inside SQLite.
    pub(super) writer: SqlitePool,
    /// Reads see every commit that was acknowledged before they began.
    pub(super) reader: SqlitePool,
    pub(super) advances: GroupCommit,
    pub(super) clock: Arc<dyn Clock>,
    /// Held as long as the database is open.
    _lock: Arc<File>,
}

impl SqliteStore {
    /// Opens `auth.db` in `data_dir`, creating and migrating it as needed, and keeps other processes
    /// out of the directory while it is open.
    pub(crate) async fn open(data_dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let lock = Arc::new(lock(data_dir)?);
        let path = data_dir.join("auth.db");
        make_private(&path)
            .map_err(|source| OpenError::Directory { path: path.display().to_string(), source })?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // An answer may leave only when its commit would survive a loss of power.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let corrupt = |error: sqlx::Error| unusable(&path, &error);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(BUSY_TIMEOUT)
            .connect_with(options.clone())
            .await
            .map_err(corrupt)?;
        migrate(&writer, &path).await?;
        let reader = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(BUSY_TIMEOUT)
            .connect_with(options.read_only(true).create_if_missing(false))
            .await
            .map_err(corrupt)?;
        let committer = SqliteCommitter { writer: writer.clone(), clock: Arc::clone(&clock) };
        let advances = GroupCommit::start(committer, MAX_GROUP);
        Ok(Self { writer, reader, advances, clock, _lock: lock })
    }

    /// A transaction that holds the write lock from its first statement: one that read first and
    /// wrote later could fail between the two.
    pub(super) async fn begin(
        &self,
    ) -> Result<sqlx::Transaction<'static, sqlx::Sqlite>, StoreError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }
}

async fn migrate(pool: &SqlitePool, path: &Path) -> Result<(), OpenError> {
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default();
    MIGRATIONS.run(pool).await.map_err(|error| match error {
        MigrateError::VersionMissing(found) if found > known => {
            OpenError::NewerSchema { path: path.display().to_string(), found, known }
        }
        error => OpenError::Corrupt { path: path.display().to_string(), detail: error.to_string() },
    })
}

/// Takes the directory for this process alone. The lock is the system's: it goes when the process
/// does, however it ends.
fn lock(data_dir: &Path) -> Result<File, OpenError> {
    let unusable = |source| OpenError::Directory { path: data_dir.display().to_string(), source };
    create_private_dir(data_dir).map_err(unusable)?;
    let path: PathBuf = data_dir.join("auth.lock");
    let file =
        File::options().create(true).truncate(false).write(true).open(path).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(OpenError::InUse { path: data_dir.display().to_string() })
        }
        Err(TryLockError::Error(source)) => Err(unusable(source)),
    }
}

/// The directory holds password hashes and keys: nobody else has business there.
#[cfg(unix)]
fn create_private_dir(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(not(unix))]
fn create_private_dir(path: &Path) -> std::io::Result<()> {
    fs::create_dir_all(path)
}

/// SQLite gives the files beside the database the mode of the database itself.
#[cfg(unix)]
fn make_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options().append(true).create(true).mode(0o600).open(path).map(drop)
}

#[cfg(not(unix))]
fn make_private(path: &Path) -> std::io::Result<()> {
    File::options().append(true).create(true).open(path).map(drop)
}

fn unusable(path: &Path, error: &sqlx::Error) -> OpenError {
    OpenError::Corrupt { path: path.display().to_string(), detail: error.to_string() }
}

/// How long a statement waits for a lock that another process holds: a backup, say.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const READERS: u32 = 4;
/// What one statement moves at the most.
const MAX_GROUP: usize = 64;
