//! Opening the database, and the one connection that writes.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sqlx::{
    SqliteConnection, SqlitePool,
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use token::clock::Clock;
use transport::{
    data_dir::DataDir,
    embedded::{is_damage, schema_of},
    sqlite::connect_all,
};

use crate::storage::{
    bell::Bell,
    error::OpenError,
    group_commit::{GroupCommit, Limits},
    sqlite::{advances::SqliteCommitter, writer::Writer},
};

pub(crate) static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// The database's name in the data directory.
pub(crate) const FILE: &str = "auth.db";

/// Users, sessions and keys in a SQLite file.
#[derive(Clone, Debug)]
pub(crate) struct SqliteStore {
    pub(super) writer: Arc<Writer>,
    /// Reads see every commit that was acknowledged before they began.
    pub(super) reader: SqlitePool,
    pub(super) advances: GroupCommit,
    pub(super) clock: Arc<dyn Clock>,
    /// No other process can revoke anything here.
    pub(super) bell: Bell,
    /// Ours until the database is closed, whoever still holds this store then.
    directory: Arc<Mutex<Option<DataDir>>>,
}

impl SqliteStore {
    /// Opens `auth.db` in `data_dir`, creating and migrating it as needed, and keeps other processes
    /// out of the directory while it is open. One that this program cannot use stays as it is.
    pub(crate) async fn open(data_dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let directory = DataDir::claim(data_dir, "auth")?;
        let path = directory.private_file(FILE)?;
        let schema =
            schema_of(&path, &MIGRATIONS).await.map_err(|error| unusable(&path, &error))?;
        schema.usable().map_err(|schema| OpenError::Schema {
            database: format!("--data-dir: {}", path.display()),
            schema,
        })?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // An answer may leave only when its commit would survive a loss of power.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            // A whole group's rows cross from SQLite's thread at once.
            .row_buffer_size(MAX_GROUP);
        let corrupt = |error: sqlx::Error| unusable(&path, &error);
        let writer = Writer::open(options.clone()).await.map_err(corrupt)?;
        let turn = writer.turn().await;
        let mut turn = turn.map_err(|error| OpenError::Unusable {
            path: path.display().to_string(),
            detail: error.to_string(),
        })?;
        migrate(&mut turn, &path).await?;
        drop(turn);
        let writer = Arc::new(writer);
        let reader =
            SqlitePoolOptions::new().max_connections(READERS).acquire_timeout(BUSY_TIMEOUT);
        let reader = connect_all(reader, options.read_only(true).create_if_missing(false))
            .await
            .map_err(corrupt)?;
        let committer = SqliteCommitter::new(Arc::clone(&writer), Arc::clone(&clock), MAX_GROUP);
        let advances = GroupCommit::start(committer, Limits { members: MAX_GROUP, groups: 1 });
        Ok(Self {
            writer,
            reader,
            advances,
            clock,
            bell: Bell::default(),
            directory: Arc::new(Mutex::new(Some(directory))),
        })
    }

    /// Closes the file, and returns when that is done; the last connection leaves no log behind.
    pub(super) async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
        self.directory.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

async fn migrate(connection: &mut SqliteConnection, path: &Path) -> Result<(), OpenError> {
    MIGRATIONS.run(connection).await.map_err(|error| match error {
        MigrateError::Execute(error) => unusable(path, &error),
        MigrateError::ExecuteMigration(error, _) if is_damage(&error) => unusable(path, &error),
        error => {
            let (database, detail) = (path.display().to_string(), error.to_string());
            OpenError::Migration { database, detail }
        }
    })
}

fn unusable(path: &Path, error: &sqlx::Error) -> OpenError {
    let (path, detail) = (path.display().to_string(), error.to_string());
    if is_damage(error) {
        OpenError::Corrupt { path, detail }
    } else {
        OpenError::Unusable { path, detail }
    }
}

/// How long a statement waits for a lock that another process holds: a backup, say.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const READERS: u32 = 4;
/// What one statement moves at the most.
const MAX_GROUP: usize = 64;
