//! The one connection that writes.

use std::{ops::DerefMut, time::Duration};

use sqlx::{
    ConnectOptions as _, Connection as _, Sqlite, SqliteConnection, Transaction,
    sqlite::SqliteConnectOptions,
};
use tokio::{
    sync::{Mutex, MutexGuard},
    time::timeout,
};

use crate::storage::error::StoreError;

/// Writers queue here, fairly and cheaply, and not inside SQLite: a pool of one would hand the
/// connection on by way of a task and a round trip to SQLite's thread.
#[derive(Debug)]
pub(super) struct Writer {
    options: SqliteConnectOptions,
    connection: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Open(SqliteConnection),
    /// Not to be used again, and not replaced yet.
    Broken,
    Closed,
}

impl Writer {
    pub(super) async fn open(options: SqliteConnectOptions) -> Result<Self, sqlx::Error> {
        let connection = options.connect().await?;
        Ok(Self { options, connection: Mutex::new(State::Open(connection)) })
    }

    /// The connection, when its turn has come.
    pub(super) async fn turn(
        &self,
    ) -> Result<impl DerefMut<Target = SqliteConnection> + use<'_>, StoreError> {
        let waited = timeout(PATIENCE, self.connection.lock()).await;
        let mut state = waited.map_err(|_| sqlx::Error::PoolTimedOut)?;
        if let State::Open(connection) = &mut *state
            && !is_out_of_transaction(connection).await.unwrap_or(false)
        {
            *state = State::Broken;
        }
        match *state {
            State::Open(_) => {}
            State::Broken => *state = State::Open(self.options.connect().await?),
            State::Closed => return Err(sqlx::Error::PoolClosed.into()),
        }
        Ok(MutexGuard::map(state, |state| match state {
            State::Open(connection) => connection,
            _ => unreachable!("it was opened above"),
        }))
    }

    /// Closes the connection when its turn has come, for good.
    pub(super) async fn close(&self) {
        let mut state = self.connection.lock().await;
        if let State::Open(connection) = std::mem::replace(&mut *state, State::Closed)
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "the database was not closed in order");
        }
    }
}

/// A transaction that holds the write lock from its first statement: one that read first and wrote
/// later could fail between the two.
pub(super) async fn begin(
    connection: &mut SqliteConnection,
) -> Result<Transaction<'_, Sqlite>, StoreError> {
    Ok(connection.begin_with("BEGIN IMMEDIATE").await?)
}

/// Whether a connection may be used again. A full disk makes SQLite end a transaction by itself; the
/// roll-back that follows then fails, and the connection would count as inside one for ever.
async fn is_out_of_transaction(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    if connection.is_in_transaction() {
        // The roll-back may still be queued: this is answered after it.
        connection.ping().await?;
    }
    Ok(!connection.is_in_transaction())
}

/// How long a write waits for its turn.
const PATIENCE: Duration = Duration::from_secs(5);
