//! The contract on a private server, and what is PostgreSQL's own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::join;
use private_postgres::{Durability, Postgres};
use sqlx::{PgConnection, PgPool, Row as _, postgres::PgConnectOptions};
use token::clock::ManualClock;
use transport::schema::Schema;

use crate::{
    domain::{
        pace::{LOGINS, Subject},
        session::RevokeReason,
    },
    storage::{
        contract::{
            Fixture, START, advance, contract, event, head, list_filters, nonce, session_id,
            user_id, with_user,
        },
        error::OpenError,
        limits::LimitStore as _,
        lists::events_statement,
        postgres::{
            DatabaseClock, PostgresStore,
            advances::ADVANCE,
            lists::{USERS, USERS_ACTIVE, USERS_DISABLED},
            revocations::REVOCATIONS_SINCE,
            sessions::OLDEST_FORGOTTEN,
        },
        revocations::RevocationStore as _,
        store::SessionStore as _,
    },
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
    Some(fixture_on(database()?).await)
}

async fn fixture_on(options: PgConnectOptions) -> Fixture<PostgresStore> {
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
    let database_clock = Some(store.pool.now());
    Fixture { store, clock, database_clock, _dir: None }
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
    assert!(
        matches!(error, OpenError::Schema { schema: Schema::Newer { found: 9999, .. }, .. }),
        "{error}"
    );
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

/// Resolves when this many statements wait for a lock.
async fn waiting_for_a_lock(pool: &PgPool, statements: i64) {
    let count = "SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while sqlx::query_scalar::<_, i64>(count).fetch_one(pool).await.unwrap() < statements {
        tokio::task::yield_now().await;
    }
}

async fn lock(connection: &mut PgConnection, session: u128) {
    sqlx::query("SELECT id FROM sessions WHERE id = $1 FOR UPDATE")
        .bind(session_id(session).0)
        .execute(connection)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_group_that_a_deadlock_sacrificed_is_committed_again() {
    let Some(options) = database() else { return };
    let fixture = fixture_on(options.options([("deadlock_timeout", "2s")])).await;
    for n in 1..=2 {
        with_user(&fixture, n).await;
    }
    let pool = &fixture.store.pool.now();
    let mut other = pool.begin().await.unwrap();
    // The group notices first, so it is the one that is sacrificed. It looks once: the other one has
    // until then to make it a deadlock.
    sqlx::query("SET LOCAL deadlock_timeout = '30s'").execute(&mut *other).await.unwrap();
    lock(&mut other, 2).await;
    // Both are one group: while the first of them is sent, the committer has not run.
    let group = join(
        fixture.store.advance(advance(&fixture, 1, (0, 0), 1)),
        fixture.store.advance(advance(&fixture, 2, (0, 0), 1)),
    );
    let rival = async {
        waiting_for_a_lock(pool, 1).await;
        lock(&mut other, 1).await;
        other.commit().await.unwrap();
    };
    let ((one, two), ()) = join(group, rival).await;
    assert!(one.unwrap().is_some() && two.unwrap().is_some());
}

/// Fault 63, in the database: the wait for a lock outlived the request.
#[tokio::test]
async fn a_rotation_that_waited_too_long_for_its_row_changes_nothing() {
    let Some(fixture) = fixture().await else { return };
    with_user(&fixture, 1).await;
    let pool = &fixture.store.pool.now();
    let mut other = pool.begin().await.unwrap();
    lock(&mut other, 1).await;
    let mut late = advance(&fixture, 1, (0, 0), 1);
    late.deadline.0 = START + Duration::from_millis(50);
    let holder = async {
        waiting_for_a_lock(pool, 1).await;
        // Something to wait for, so that the row is judged anew.
        sqlx::query("UPDATE sessions SET device_name = 'other'")
            .execute(&mut *other)
            .await
            .unwrap();
        sqlx::query("SELECT pg_sleep(0.1)").execute(&mut *other).await.unwrap();
        other.commit().await.unwrap();
    };
    let (moved, ()) = join(fixture.store.advance(late), holder).await;
    assert_eq!(moved.unwrap(), None);
    assert_eq!(head(&fixture, 1).await, (0, nonce(0)));
    let timely = advance(&fixture, 1, (0, 0), 1);
    assert!(fixture.store.advance(timely).await.unwrap().is_some());
}

/// Fault 47: the database is gone, and comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_died_with_the_server_are_made_anew() {
    let Some(server) = Postgres::start(Durability::ProcessCrash).unwrap() else { return };
    let url = server.create_database("gone").unwrap();
    let fixture = fixture_on(url.parse().unwrap()).await;
    with_user(&fixture, 1).await;
    for generation in 0..4_u8 {
        let from = (u64::from(generation), generation);
        let moved = fixture.store.advance(advance(&fixture, 1, from, generation + 1)).await;
        assert!(moved.unwrap().is_some(), "{generation}");
        assert_eq!(head(&fixture, 1).await.0, u64::from(generation) + 1, "nothing is lost");
        server.kill().unwrap();
        server.serve().unwrap();
    }
}

#[tokio::test]
async fn the_statement_that_advances_finds_rows_by_their_keys_in_the_groups_order() {
    let Some(fixture) = fixture().await else { return };
    with_user(&fixture, 1).await;
    assert!(fixture.store.advance(advance(&fixture, 1, (0, 0), 1)).await.unwrap().is_some());
    // The plan of the very connection that ran it, as the server logs it, is not to be had; the
    // same statement on a connection with the same settings is.
    let mut connection = fixture.store.commits.acquire().await.unwrap();
    let plan = sqlx::query(sqlx::AssertSqlSafe(format!(
        "EXPLAIN EXECUTE advance{}",
        "(ARRAY[]::uuid[], ARRAY[]::bigint[], ARRAY[]::bytea[], ARRAY[]::bigint[], ARRAY[]::bytea[],
          ARRAY[]::boolean[], ARRAY[]::bigint[], ARRAY[]::bigint[], ARRAY[]::bigint[])"
    )));
    let prepare = format!("PREPARE advance AS {}", TEST_CLOCK.within(ADVANCE));
    sqlx::raw_sql(sqlx::AssertSqlSafe(prepare)).execute(&mut *connection).await.unwrap();
    let plan: Vec<String> =
        plan.fetch_all(&mut *connection).await.unwrap().iter().map(|row| row.get(0)).collect();
    let plan = plan.join("\n");
    for table in ["sessions", "users"] {
        assert!(plan.contains(&format!("Index Scan using {table}_pkey")), "{plan}");
    }
    assert!(plan.contains("Function Scan on v") && !plan.contains("Hash Join"), "{plan}");
}

#[tokio::test]
async fn what_was_revoked_is_read_from_indexes_of_it_alone() {
    let Some(fixture) = fixture().await else { return };
    let mut connection = fixture.store.pool.acquire().await.unwrap();
    // An empty table is read faster without an index.
    sqlx::query("SET enable_seqscan = off").execute(&mut *connection).await.unwrap();
    let user = format!("'{}'", user_id(1).0);
    let oldest = OLDEST_FORGOTTEN.replace("$1", &user).replace("$2", "1").replace("$3", "29");
    for (statement, indexes) in [
        (
            REVOCATIONS_SINCE.replace("$1", "1"),
            &["sessions_by_revocation", "users_by_change_of_roles"][..],
        ),
        (oldest, &["sessions_forgotten"]),
    ] {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN {statement}"));
        let plan = sqlx::query(explain).fetch_all(&mut *connection).await.unwrap();
        let plan = plan.iter().map(|row| row.get(0)).collect::<Vec<String>>().join("\n");
        for index in indexes {
            assert!(plan.contains(index), "{plan}");
        }
        assert!(!plan.contains("Seq Scan") && !plan.contains("Sort"), "{plan}");
    }
}

#[tokio::test]
async fn lists_are_read_in_the_order_of_an_index_of_what_they_are_of() {
    let Some(fixture) = fixture().await else { return };
    let mut connection = fixture.store.pool.acquire().await.unwrap();
    // An empty table is read faster without an index, or sorted after it.
    for off in ["enable_seqscan", "enable_bitmapscan", "enable_sort"] {
        let off = sqlx::AssertSqlSafe(format!("SET {off} = off"));
        sqlx::query(off).execute(&mut *connection).await.unwrap();
    }
    let mut statements: Vec<_> = list_filters()
        .map(|(filter, index)| {
            (events_statement(&filter), index.replace("PRIMARY KEY", "audit_events_pkey"))
        })
        .into();
    statements.push((USERS.to_owned(), "users_by_name".to_owned()));
    statements.push((USERS_ACTIVE.to_owned(), "users_by_name".to_owned()));
    statements.push((USERS_DISABLED.to_owned(), "users_disabled".to_owned()));
    for (statement, index) in statements {
        let id = format!("'{}'", user_id(1).0);
        let statement = statement.replace("_id = $4", &format!("_id = {id}")).replace("$2", &id);
        let statement = ["$1", "$3", "$4", "$5"]
            .into_iter()
            .fold(statement, |statement, parameter| statement.replace(parameter, "'1'"));
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN {statement}"));
        let plan = sqlx::query(explain).fetch_all(&mut *connection).await.unwrap();
        let plan = plan.iter().map(|row| row.get(0)).collect::<Vec<String>>().join("\n");
        assert!(plan.contains(&format!("using {index}")), "{statement}: {plan}");
        assert!(!plan.contains("Seq Scan") && !plan.contains("Sort"), "{plan}");
    }
}

#[tokio::test]
async fn what_one_instance_revokes_wakes_the_other() {
    let Some(options) = database() else { return };
    let Fixture { store, .. } = fixture_on(options.clone()).await;
    let other = open(options).await.unwrap();
    let mut rings = store.revoked();
    // Once it listens, it has missed something, for all that it knows.
    rings.changed().await.unwrap();
    for n in 1..=3 {
        let (session, user) = (session_id(n), user_id(n));
        let (until, reason) = (START + Duration::from_secs(1), RevokeReason::User);
        assert!(other.revoke_session(session, user, until, reason, &event()).await.unwrap());
        let heard = tokio::time::timeout(Duration::from_secs(20), rings.changed()).await;
        heard.expect("a notification arrives").unwrap();
    }
}

#[tokio::test]
async fn what_was_revoked_is_read_while_requests_hold_every_connection() {
    let Some(fixture) = fixture().await else { return };
    let pool = &fixture.store.pool.now();
    let mut held = Vec::new();
    for _ in 0..pool.options().get_max_connections() {
        held.push(pool.acquire().await.unwrap());
    }
    let (revocations, now) =
        fixture.store.revocations_since(START, Duration::from_secs(1)).await.unwrap();
    assert_eq!((revocations.len(), now), (0, START));
}

/// Others who count there wait for each of them.
#[tokio::test]
async fn an_attempt_is_counted_by_four_statements() {
    let Some(fixture) = fixture().await else { return };
    let pool = &fixture.store.pool.now();
    // One connection is left, and has prepared whatever it ran.
    let mut held = Vec::new();
    for _ in 1..pool.options().get_max_connections() {
        held.push(pool.acquire().await.unwrap());
    }
    let count = "SELECT count(*) FROM pg_prepared_statements";
    let prepared = async || sqlx::query_scalar::<_, i64>(count).fetch_one(pool).await.unwrap();
    let before = prepared().await;
    let address = Some((Subject::logins([192, 0, 2, 1].into()), LOGINS));
    fixture.store.begin_attempt(Subject::name("ada"), address).await.unwrap();
    assert_eq!(prepared().await - before, 4);
}
