//! The database under an AuthService, seen from outside.

use std::{collections::BTreeMap, io, path::Path, sync::Arc, time::Duration};

use private_postgres::Postgres;
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

use tokio::{task::spawn_blocking, time::timeout};

use crate::{
    ledger::Row,
    process::{AuthProgram, PATIENCE},
};

/// Where an AuthService keeps its sessions.
#[derive(Debug)]
#[non_exhaustive]
pub enum Database {
    /// [`POSTGRES_DATABASE`] of a server of its own.
    Postgres(Arc<Postgres>),
    /// A file in its data directory.
    Sqlite,
}

impl Database {
    /// Every session's row, by the session's id.
    ///
    /// # Panics
    ///
    /// If the database is damaged.
    pub async fn rows(&self, program: &AuthProgram) -> BTreeMap<String, Row> {
        match self {
            Self::Postgres(server) => postgres_rows(server).await,
            Self::Sqlite => sqlite_rows(&program.data_dir.join("auth.db")).await,
        }
    }

    /// Whether it can die apart from the server.
    #[must_use]
    pub fn is_a_process(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// Kills it, if it is a process.
    ///
    /// # Panics
    ///
    /// If it is not running.
    pub async fn kill(&self) {
        if let Self::Postgres(server) = self {
            blocking(server, Postgres::kill).await;
        }
    }

    /// Starts it again, if it is a process.
    ///
    /// # Panics
    ///
    /// If it does not come up.
    pub async fn serve(&self) {
        if let Self::Postgres(server) = self {
            blocking(server, Postgres::serve).await;
        }
    }
}

/// Waits for the programs that PostgreSQL comes with, and not for ever.
async fn blocking<T: Send + 'static>(
    server: &Arc<Postgres>,
    work: impl FnOnce(&Postgres) -> io::Result<T> + Send + 'static,
) -> T {
    let server = Arc::clone(server);
    let done = timeout(PATIENCE, spawn_blocking(move || work(&server))).await;
    let done = done.expect("PostgreSQL does it in time").expect("no thread panics");
    done.expect("PostgreSQL does it")
}

async fn postgres_rows(server: &Arc<Postgres>) -> BTreeMap<String, Row> {
    let sessions = "SELECT id, generation, encode(substring(nonces FROM 1 FOR 16), 'hex'),
                           revoked_at IS NOT NULL
                    FROM sessions";
    let text = blocking(server, |server| server.sql(POSTGRES_DATABASE, sessions)).await;
    let row = |line: &str| {
        let mut columns = line.split('|').map(str::to_owned);
        let id = columns.next()?;
        let generation = columns.next()?.parse().ok()?;
        let nonce = columns.next()?;
        let revoked = columns.next()? == "t";
        Some((id, Row { generation, nonce, revoked }))
    };
    text.lines().map(|line| row(line).expect("a line has four columns")).collect()
}

async fn sqlite_rows(file: &Path) -> BTreeMap<String, Row> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .read_only(true)
        .busy_timeout(Duration::from_secs(5));
    let mut connection =
        SqliteConnection::connect_with(&options).await.expect("the database can be read");
    let damage: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check")
        .fetch_all(&mut connection)
        .await
        .expect("the database can be checked");
    assert_eq!(damage, ["ok"]);
    let rows: Vec<(String, i64, String, bool)> = sqlx::query_as(
        "SELECT lower(hex(id)), generation, lower(hex(substr(nonces, 1, 16))),
                revoked_at IS NOT NULL
         FROM sessions",
    )
    .fetch_all(&mut connection)
    .await
    .expect("the sessions can be read");
    connection.close().await.expect("the database can be closed");
    let row = |(id, generation, nonce, revoked): (String, i64, _, _)| {
        let generation = u64::try_from(generation).expect("the table demands it");
        (hyphenated(&id), Row { generation, nonce, revoked })
    };
    rows.into_iter().map(row).collect()
}

/// A UUID's 32 digits as tokens write them.
fn hyphenated(digits: &str) -> String {
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

/// What the database is called on its PostgreSQL server.
pub const POSTGRES_DATABASE: &str = "evergreen";
