//! The database under an AuthService, seen from outside.

use std::{collections::BTreeMap, path::Path, time::Duration};

use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::{ledger::Row, process::AuthProgram};

/// Where an AuthService keeps its sessions.
#[derive(Debug)]
#[non_exhaustive]
pub enum Database {
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
            Self::Sqlite => sqlite_rows(&program.data_dir.join("auth.db")).await,
        }
    }
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
