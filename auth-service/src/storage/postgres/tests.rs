//! The contract on a private server, and what is PostgreSQL's own.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use private_postgres::Postgres;
use sqlx::{PgPool, Row as _, postgres::PgConnectOptions};
use token::clock::ManualClock;

use crate::storage::{
    contract::{Fixture, START, contract},
    error::OpenError,
    postgres::{DatabaseClock, PostgresStore},
};

/// A clock that a test can set, in place of the server's.
const TEST_CLOCK: DatabaseClock = DatabaseClock::of_test("(SELECT now FROM test_clock)");

/// A new database on the server that the tests share.
fn database() -> Option<PgConnectOptions> {
    static DATABASES: AtomicU64 = AtomicU64::new(0);
    let name = format!("contract_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    Some(Postgres::shared()?.create_database(&name).unwrap().parse().unwrap())
}

async fn open(options: PgConnectOptions) -> Result<PostgresStore, OpenError> {
    PostgresStore::open(options, TEST_CLOCK, Arc::new(ManualClock::at(START))).await
}

async fn fixture() -> Option<Fixture<PostgresStore>> {
    let options = database()?;
    let clock = Arc::new(ManualClock::at(START));
    let store = PostgresStore::open(options, TEST_CLOCK, clock.clone()).await.unwrap();
    for statement in ["CREATE TABLE test_clock (now bigint)", "INSERT INTO test_clock VALUES ($1)"]
    {
        let mut query = sqlx::query(statement);
        if statement.contains("$1") {
            query = query.bind(START.unix_millis());
        }
        query.execute(&store.pool).await.unwrap();
    }
    let database_clock = Some(store.pool.clone());
    Some(Fixture { store, clock, database_clock, _dir: None })
}

contract!(fixture());

#[tokio::test]
async fn a_newer_schema_is_not_touched() {
    let Some(options) = database() else { return };
    let store = open(options.clone()).await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'from the future', true, '', 0)",
    )
    .execute(&store.pool)
    .await
    .unwrap();
    let error = open(options).await.unwrap_err();
    assert!(matches!(error, OpenError::NewerSchema { found: 9999, .. }), "{error}");
}

#[tokio::test]
async fn two_instances_that_start_at_once_both_start() {
    let Some(options) = database() else { return };
    let (one, other) = tokio::join!(open(options.clone()), open(options));
    assert!(one.is_ok() && other.is_ok(), "{one:?} {other:?}");
}

#[tokio::test]
async fn a_server_that_does_not_let_us_in_is_named_with_the_mend() {
    let Some(options) = database() else { return };
    let error = open(options.clone().database("nowhere")).await.unwrap_err().to_string();
    assert!(error.contains("--database-url") && error.contains("create the database"), "{error}");
    let pool = PgPool::connect_with(options.clone()).await.unwrap();
    let name = options.get_database().unwrap();
    sqlx::query(sqlx::AssertSqlSafe(format!(
        "ALTER DATABASE {name} SET default_transaction_read_only = on"
    )))
    .execute(&pool)
    .await
    .unwrap();
    let error = open(options.clone()).await.unwrap_err().to_string();
    assert!(error.contains("standby") && error.contains("primary"), "{error}");
}

#[tokio::test]
async fn commits_are_durable_where_the_server_does_not_make_them_so() {
    let Some(options) = database() else { return };
    let store = open(options.options([("synchronous_commit", "off")])).await.unwrap();
    let row = sqlx::query("SHOW synchronous_commit").fetch_one(&store.pool).await.unwrap();
    assert_eq!(row.get::<String, _>(0), "on");
}
