//! Opens and migrates the file.

use std::{path::Path, time::Duration};

use sqlx::{
    Connection as _, Sqlite, SqliteConnection, SqlitePool, Transaction,
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use thiserror::Error;
use tokio::sync::watch;
use transport::{
    embedded::{is_damage, schema_of},
    schema::Schema,
    sqlite::connect_all,
};

use crate::storage::StoreError;

/// The store on SQLite.
///
/// One connection writes, so writers queue here in order and never fail on each other's locks;
/// a few others read, each transaction from its own snapshot (WAL).
#[derive(Clone, Debug)]
pub(crate) struct SqliteStore {
    pub(super) reads: SqlitePool,
    pub(super) writes: SqlitePool,
    /// Rung by every commit.
    pub(super) bell: watch::Sender<()>,
}

/// Why the file could not be opened.
#[derive(Debug, Error)]
pub(crate) enum OpenError {
    #[error("not a database, or a damaged one")]
    Corrupt(#[source] sqlx::Error),
    #[error("cannot be opened")]
    Failed(#[source] sqlx::Error),
    #[error("cannot be migrated")]
    Migration(#[source] MigrateError),
    #[error("{0}")]
    Schema(Schema),
}

/// The database's name in the data directory.
pub(crate) const FILE: &str = "api.db";

pub(crate) static MIGRATIONS: Migrator = sqlx::migrate!("./migrations/sqlite");

impl SqliteStore {
    const READERS: u32 = 4;
    const ROWS_AHEAD: usize = 1024;
    /// How long is waited for a lock, and for the connection that writes.
    const PATIENCE: Duration = Duration::from_secs(5);
    /// How long a read waits for a connection. Nothing can be wrong with them: they are busy with other
    /// reads, and how long is worth waiting is for the deadline of the request to say.
    const TURN: Duration = Duration::from_secs(60);

    /// Opens the file, creates it if there is none, and brings its schema up to date. One that this
    /// program cannot use stays as it is.
    pub(crate) async fn open(file: &Path) -> Result<Self, OpenError> {
        if file.exists() {
            let schema = schema_of(file, &MIGRATIONS).await.map_err(OpenError::from_sqlx)?;
            schema.usable().map_err(OpenError::Schema)?;
        }
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .foreign_keys(true)
            .busy_timeout(Self::PATIENCE)
            .journal_mode(SqliteJournalMode::Wal)
            // With WAL alone a commit may be lost when the power fails; an acknowledged write
            // must not be.
            .synchronous(SqliteSynchronous::Full);
        let writes = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(Self::PATIENCE)
            .after_release(|connection, _| Box::pin(may_go_on(connection)));
        // An import writes again and again to what it has just written: that stays in memory, and goes
        // to its place in the file once for many commits.
        let to_write =
            options.clone().pragma("cache_size", "-16384").pragma("wal_autocheckpoint", "4000");
        let writes = connect_all(writes, to_write).await.map_err(OpenError::from_sqlx)?;
        MIGRATIONS.run(&writes).await.map_err(OpenError::from_migration)?;
        let reads =
            SqlitePoolOptions::new().max_connections(Self::READERS).acquire_timeout(Self::TURN);
        // SQLite's thread goes on while the rows are taken: at a full buffer it would stop, and the two
        // threads would wake each other row by row.
        let to_read = options.pragma("query_only", "ON").row_buffer_size(Self::ROWS_AHEAD);
        let reads = connect_all(reads, to_read).await.map_err(OpenError::from_sqlx)?;
        Ok(Self { reads, writes, bell: watch::Sender::default() })
    }

    /// A transaction that may write. It takes the write lock at once: one that first reads and then
    /// writes would fail whenever another wrote in between, however long it is willing to wait.
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        Ok(self.writes.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// Makes what was written durable, and wakes whoever follows the log.
    pub(super) async fn commit(&self, tx: Transaction<'static, Sqlite>) -> Result<(), StoreError> {
        tx.commit().await?;
        self.bell.send_replace(());
        Ok(())
    }
}

/// Whether a connection may be lent again. A full disk makes SQLite end a transaction by itself, and
/// the roll-back that follows fails: the connection would count as inside one for ever.
async fn may_go_on(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    if connection.is_in_transaction() {
        // A roll-back that is still queued is done before this is answered.
        connection.ping().await?;
    }
    Ok(!connection.is_in_transaction())
}

impl OpenError {
    fn from_sqlx(error: sqlx::Error) -> Self {
        if is_damage(&error) { Self::Corrupt(error) } else { Self::Failed(error) }
    }

    fn from_migration(error: MigrateError) -> Self {
        match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)
                if is_damage(&error) =>
            {
                Self::Corrupt(error)
            }
            error => Self::Migration(error),
        }
    }
}

#[cfg(test)]
impl SqliteStore {
    /// Makes a database that no version of this program makes.
    pub(crate) async fn execute_for_test(&self, sql: &'static str) {
        sqlx::query(sql).execute(&self.writes).await.unwrap();
    }
}
