//! The contract on real files, and what is SQLite's own.

use std::{
    fs,
    path::Path,
    sync::Arc,
    task::{Context, Waker},
};

use sqlx::Row as _;
use tempfile::TempDir;
use token::clock::ManualClock;
use transport::schema::Schema;
use uuid::Uuid;

use crate::{
    domain::id::UserId,
    storage::{
        contract::{Fixture, START, contract, list_filters},
        error::OpenError,
        lists::events_statement,
        sqlite::{
            SqliteStore,
            lists::{USERS, USERS_ACTIVE, USERS_DISABLED},
            revocations::REVOCATIONS_SINCE,
            sessions::OLDEST_FORGOTTEN,
            users::ADMINS,
            writer::begin,
        },
        store::UserStore as _,
    },
};

async fn open(dir: &Path) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(dir, Arc::new(ManualClock::at(START))).await
}

async fn fixture() -> Option<Fixture<SqliteStore>> {
    let clock = Arc::new(ManualClock::at(START));
    let dir = TempDir::new().unwrap();
    let store = SqliteStore::open(dir.path(), clock.clone()).await.unwrap();
    Some(Fixture { store, clock, database_clock: None, _dir: Some(dir) })
}

contract!(fixture());

#[tokio::test]
async fn a_directory_is_served_by_one_process_at_a_time() {
    let dir = TempDir::new().unwrap();
    let first = open(dir.path()).await.unwrap();
    assert!(matches!(open(dir.path()).await, Err(OpenError::InUse { .. })));
    drop(first);
    assert!(open(dir.path()).await.is_ok());
}

/// SQLite removes its log when the last connection closes.
#[tokio::test]
async fn what_is_closed_is_left_whoever_has_given_up_reading() {
    for round in 0..30 {
        // A directory of its own: a process that another test is just starting holds a lock that was
        // given back, for a moment.
        let dir = TempDir::new().unwrap();
        let log = dir.path().join("auth.db-wal");
        let store = open(dir.path()).await.unwrap();
        assert!(log.exists());
        let mut reads: Vec<_> =
            (0..8).map(|n| Box::pin(store.user(UserId(Uuid::from_u128(n))))).collect();
        for read in &mut reads {
            // One that is fast enough is done, and has not given up.
            let _ = read.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }
        drop(reads);
        store.close().await;
        assert!(!log.exists(), "round {round}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named_and_left_alone() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("auth.db");
    let text = "these are somebody's notes, and no database at all\n".repeat(100);
    fs::write(&file, &text).unwrap();
    let error = open(dir.path()).await.unwrap_err().to_string();
    assert!(error.contains("auth.db") && error.contains("backup"), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_named() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = open(&file.join("data")).await.unwrap_err();
    assert!(matches!(&error, OpenError::Directory { .. }), "{error}");
    assert!(error.to_string().contains("--data-dir"), "{error}");
}

#[tokio::test]
async fn a_newer_schema_is_not_touched() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path()).await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'from the future', 1, x'00', 0)",
    )
    .execute(&mut *store.writer.turn().await.unwrap())
    .await
    .unwrap();
    drop(store);
    let error = open(dir.path()).await.unwrap_err();
    assert!(
        matches!(error, OpenError::Schema { schema: Schema::Newer { found: 9999, .. }, .. }),
        "{error}"
    );
}

/// The engine has ended the transaction by itself, and nobody has told the pool.
#[tokio::test]
async fn a_transaction_that_a_full_disk_has_ended_leaves_the_writer_usable() {
    let Fixture { store, _dir, .. } = fixture().await.unwrap();
    // Less than there is: the file may not grow.
    sqlx::query("PRAGMA max_page_count = 1")
        .execute(&mut *store.writer.turn().await.unwrap())
        .await
        .unwrap();
    let mut writer = store.writer.turn().await.unwrap();
    let mut tx = begin(&mut writer).await.unwrap();
    let written = sqlx::query(
        "INSERT INTO signing_keys (kid, state, public_key, sealed_seed, create_time)
         VALUES ('a', 'next', '', zeroblob(1000000), 0)",
    )
    .execute(&mut *tx)
    .await;
    assert!(written.unwrap_err().to_string().contains("full"));
    drop(tx);
    drop(writer);
    let mut writer = store.writer.turn().await.unwrap();
    begin(&mut writer).await.unwrap().commit().await.unwrap();
}

#[tokio::test]
async fn commits_are_durable_and_no_statement_scans_a_table() {
    let Fixture { store, _dir, .. } = fixture().await.unwrap();
    let pragma = async |name: &'static str| {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("PRAGMA {name}")))
            .fetch_one(&mut *store.writer.turn().await.unwrap())
            .await
            .unwrap();
        row.try_get::<String, _>(0).unwrap_or_else(|_| row.get::<i64, _>(0).to_string())
    };
    assert_eq!(pragma("journal_mode").await, "wal");
    assert_eq!(pragma("synchronous").await, "2", "FULL");

    for statement in [
        "SELECT * FROM users WHERE username_key = 'a'",
        "SELECT * FROM service_accounts WHERE name_key = 'a'",
        "SELECT * FROM service_accounts WHERE id = x'00'",
        "SELECT * FROM sessions s LEFT JOIN users u ON u.id = s.user_id WHERE s.id = x'00'",
        "SELECT * FROM sessions WHERE user_id = x'00' AND (create_time, id) < (1, x'00')
         ORDER BY create_time DESC, id DESC",
        "UPDATE sessions SET revoked_at = 1 WHERE user_id = x'00' AND revoked_at IS NULL",
        "SELECT id FROM sessions
         WHERE absolute_until < 1 AND (revoked_at IS NULL OR revoked_at < 1) LIMIT 1",
        "SELECT time, id FROM audit_events WHERE time < 1 ORDER BY time LIMIT 1",
        "SELECT * FROM audit_events ORDER BY time DESC, id DESC LIMIT 1",
        "SELECT subject FROM guesses WHERE last_attempt < 1 ORDER BY last_attempt LIMIT 1",
        "SELECT subject FROM paces WHERE due < 1 ORDER BY due LIMIT 1",
        &REVOCATIONS_SINCE.replace("$1", "1"),
        &OLDEST_FORGOTTEN.replace("$1", "x'00'").replace("$2", "1").replace("$3", "29"),
    ] {
        let plan = sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}")))
            .fetch_all(&mut *store.writer.turn().await.unwrap())
            .await
            .unwrap();
        for step in plan {
            let step: String = step.get("detail");
            // A walk along the key's order up to a limit is no scan of the table.
            let scans = step.contains("SCAN") && !statement.contains("LIMIT");
            assert!(!scans && !step.contains("TEMP B-TREE"), "{statement}: {step}");
        }
    }
    let plan = sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {ADMINS}")))
        .fetch_one(&mut *store.writer.turn().await.unwrap())
        .await
        .unwrap();
    assert!(plan.get::<String, _>("detail").contains("users_who_administer"));
}

#[tokio::test]
async fn lists_are_read_in_the_order_of_an_index_of_what_they_are_of() {
    let Fixture { store, _dir, .. } = fixture().await.unwrap();
    let mut statements: Vec<_> =
        list_filters().map(|(filter, index)| (events_statement(&filter), index)).into();
    statements.push((USERS.to_owned(), "sqlite_autoindex_users_"));
    statements.push((USERS_ACTIVE.to_owned(), "sqlite_autoindex_users_"));
    statements.push((USERS_DISABLED.to_owned(), "users_disabled"));
    for (statement, index) in statements {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        let plan =
            sqlx::query(explain).fetch_all(&mut *store.writer.turn().await.unwrap()).await.unwrap();
        let plan: Vec<String> = plan.iter().map(|step| step.get("detail")).collect();
        let [step] = &plan[..] else { panic!("{statement}: {plan:?}") };
        assert!(step.starts_with("SEARCH") && step.contains(index), "{statement}: {step}");
    }
}
