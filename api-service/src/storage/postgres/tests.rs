//! The contract on a private server, and what is PostgreSQL's own.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use futures_util::future::join;
use private_postgres::{Durability, Postgres};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool, postgres::PgConnectOptions};
use token::{clock::Timestamp, entropy::SeededEntropy};
use transport::schema::Schema;

use super::{OpenError, PostgresStore, lock::LOCK_OWNER};
use crate::{
    domain::{
        category::{self, Category},
        etag::Etag,
        folder::{self, Folder},
        id::{CategoryId, FolderId},
    },
    storage::{
        CategoryStore as _, FolderStore as _, Store as _, StoreError,
        contract::{Opened, contract},
    },
};

mod log;
mod plans;
mod races;

/// The server that the tests share, and the name of a database that none of them has made yet.
fn server() -> Option<(&'static Postgres, String)> {
    static DATABASES: AtomicU64 = AtomicU64::new(0);
    let name = format!("contract_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    Some((Postgres::shared()?, name))
}

/// A new database.
fn database() -> Option<PgConnectOptions> {
    let (server, name) = server()?;
    Some(server.create_database(&name).unwrap().parse().unwrap())
}

async fn store() -> Option<PostgresStore> {
    Some(PostgresStore::open(database()?).await.unwrap())
}

async fn open() -> Opened {
    Some((Arc::new(store().await?), Box::new(())))
}

contract!(open);

fn a_category(name: &str, slug: &str) -> Category {
    let entropy = SeededEntropy::new(slug.len() as u64);
    Category {
        id: CategoryId::new(Timestamp::UNIX_EPOCH, &entropy),
        content: category::Content {
            name: name.into(),
            slug: slug.into(),
            description: String::new(),
            position: 0,
        },
        etag: Etag::new(&entropy),
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
    }
}

fn a_folder(owner: &str, parent: Option<FolderId>, name: &str) -> Folder {
    let entropy = SeededEntropy::new(name.len() as u64);
    Folder {
        id: FolderId::new(Timestamp::UNIX_EPOCH, &entropy),
        owner_id: owner.into(),
        content: folder::Content { parent_id: parent, name: name.into(), position: 0 },
        etag: Etag::new(&entropy),
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
    }
}

#[tokio::test]
async fn a_newer_schema_is_not_touched() {
    let Some(options) = database() else { return };
    let store = PostgresStore::open(options.clone()).await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'from the future', true, '', 0)",
    )
    .execute(&store.pool)
    .await
    .unwrap();
    let error = PostgresStore::open(options).await.unwrap_err();
    assert!(matches!(error, OpenError::Schema(Schema::Newer { found: 9999, .. })), "{error}");
}

#[tokio::test]
async fn instances_that_start_at_once_all_start_and_share_a_key() {
    let Some(options) = database() else { return };
    let start = async |n: u8| {
        let store = PostgresStore::open(options.clone()).await.unwrap();
        store.page_token_key([n; 32]).await.unwrap()
    };
    let (one, two, three) = tokio::join!(start(1), start(2), start(3));
    assert!(one == two && two == three);
}

/// AuthService's tables are in the schema `public`, and so is its table of migrations.
#[tokio::test]
async fn the_database_may_be_somebody_elses_too() {
    let Some((server, name)) = server() else { return };
    let url = server.create_database(&name).unwrap();
    let theirs = "CREATE TABLE _sqlx_migrations (version bigint); CREATE TABLE trees (mine text);
                  INSERT INTO _sqlx_migrations VALUES (1)";
    server.sql(&name, theirs).unwrap();
    let store = PostgresStore::open(url.parse::<PgConnectOptions>().unwrap()).await.unwrap();
    let category = a_category("Name", "slug");
    store.insert_category(&category).await.unwrap();
    assert_eq!(store.category(category.id).await.unwrap(), category);
    let read = "SELECT (SELECT count(*) FROM public._sqlx_migrations),
                       (SELECT count(*) FROM public.trees),
                       (SELECT count(*) FROM evergreen_api.categories)";
    assert_eq!(server.sql(&name, read).unwrap(), "1|0|1");
}

#[tokio::test]
async fn a_user_who_may_not_create_schemas_uses_the_one_that_is_there() {
    let Some((server, name)) = server() else { return };
    let url = server.create_database(&name).unwrap();
    server.sql(&name, &format!("CREATE ROLE {name} LOGIN")).unwrap();
    let options = url.parse::<PgConnectOptions>().unwrap().username(&name);
    let error = PostgresStore::open(options.clone()).await.unwrap_err();
    assert!(matches!(error, OpenError::Server { mend, .. } if mend.contains("evergreen_api")));
    server.sql(&name, &format!("CREATE SCHEMA evergreen_api AUTHORIZATION {name}")).unwrap();
    PostgresStore::open(options).await.unwrap();
}

#[tokio::test]
async fn a_server_that_does_not_let_us_in_is_named_with_the_mend() {
    let Some(options) = database() else { return };
    let refused = async |options: PgConnectOptions| match PostgresStore::open(options).await {
        Err(OpenError::Server { detail, mend }) => format!("{detail}; {mend}"),
        other => panic!("{other:?}"),
    };
    let error = refused(options.clone().database("nowhere")).await;
    assert!(error.contains("create the database"), "{error}");
    let pool = PgPool::connect_with(options.clone()).await.unwrap();
    let name = options.get_database().unwrap();
    let standby = format!("ALTER DATABASE {name} SET default_transaction_read_only = on");
    sqlx::query(AssertSqlSafe(standby)).execute(&pool).await.unwrap();
    let error = refused(options).await;
    assert!(error.contains("standby") && error.contains("primary"), "{error}");
}

#[tokio::test]
async fn commits_are_durable_where_the_server_does_not_make_them_so() {
    let Some(options) = database() else { return };
    let options = options.options([("synchronous_commit", "off")]);
    let store = PostgresStore::open(options).await.unwrap();
    let durable: String =
        sqlx::query_scalar("SHOW synchronous_commit").fetch_one(&store.pool).await.unwrap();
    assert_eq!(durable, "on");
}

/// In English, `a` comes before `B` and `ä` right after `a`.
#[tokio::test]
async fn lists_are_ordered_by_bytes_whatever_the_databases_language_is() {
    let Some((server, name)) = server() else { return };
    let english =
        format!("CREATE DATABASE {name} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'");
    server.sql("postgres", &english).unwrap();
    let options: PgConnectOptions = server.url(&name).parse().unwrap();
    let store = PostgresStore::open(options).await.unwrap();
    let names = ["ä", "a", "B"];
    for (n, name) in names.into_iter().enumerate() {
        let mut category = a_category(name, &"s".repeat(n + 1));
        category.content.name = name.into();
        store.insert_category(&category).await.unwrap();
        let mut folder = a_folder("ada", None, &"f".repeat(n + 1));
        folder.content.name = name.into();
        store.insert_folder(&folder, 5_000).await.unwrap();
    }
    let (mut categories, mut folders) = (Vec::new(), Vec::new());
    let (mut after_category, mut after_folder) = (None, None);
    for _ in names {
        let category = store.categories(after_category.as_ref(), 1).await.unwrap().remove(0);
        let folder = store.folders("ada", None, after_folder.as_ref(), 1).await.unwrap().remove(0);
        after_category = Some(crate::storage::CategoryKey {
            position: 0,
            name: category.content.name.clone(),
            id: category.id,
        });
        after_folder =
            Some(crate::storage::FolderKey { position: 0, name: folder.content.name.clone() });
        categories.push(category.content.name);
        folders.push(folder.content.name);
    }
    assert_eq!(categories, ["B", "a", "ä"]);
    assert_eq!(folders, ["B", "a", "ä"]);
}

/// Resolves when this many statements wait for a lock.
async fn waiting_for_a_lock(pool: &PgPool, statements: i64) {
    let count = "SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while sqlx::query_scalar::<_, i64>(count).fetch_one(pool).await.unwrap() < statements {
        tokio::task::yield_now().await;
    }
}

async fn lock_owner(connection: &mut PgConnection, owner: &str) {
    sqlx::query(LOCK_OWNER).bind(owner).execute(connection).await.unwrap();
}

#[tokio::test]
async fn what_a_deadlock_sacrificed_is_run_again() {
    let Some(options) = database() else { return };
    let store = PostgresStore::open(options.options([("deadlock_timeout", "2s")])).await.unwrap();
    let folder = a_folder("ada", None, "f");
    store.insert_folder(&folder, 5_000).await.unwrap();
    let mut other = store.pool.begin().await.unwrap();
    // The store notices first, so it is the one that is sacrificed. It looks once: the other one has
    // until then to make it a deadlock.
    sqlx::query("SET LOCAL deadlock_timeout = '30s'").execute(&mut *other).await.unwrap();
    sqlx::query("SELECT id FROM folders FOR UPDATE").execute(&mut *other).await.unwrap();
    let rival = async {
        waiting_for_a_lock(&store.pool.now(), 1).await;
        lock_owner(&mut other, "ada").await;
        other.commit().await.unwrap();
    };
    let (deleted, ()) =
        join(store.delete_folder(folder.id, "ada", None, folder.stamp()), rival).await;
    deleted.unwrap();
    let gone = store.folder(folder.id, "ada").await;
    assert!(matches!(gone, Err(StoreError::FolderNotFound)), "{gone:?}");
}

#[tokio::test]
async fn owners_do_not_wait_for_each_other() {
    let Some(store) = store().await else { return };
    let adas = store.begin_as("ada").await.unwrap();
    store.insert_folder(&a_folder("bob", None, "f"), 5_000).await.unwrap();
    // What ada writes has to wait: given no time to, it is unavailable.
    let mut impatient =
        PgConnection::connect_with(&store.pool.now().connect_options()).await.unwrap();
    sqlx::query("SET lock_timeout = '1ms'").execute(&mut impatient).await.unwrap();
    let refused = sqlx::query(LOCK_OWNER).bind("ada").execute(&mut impatient).await;
    let refused = StoreError::from(refused.map(drop).unwrap_err());
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
    adas.commit().await.unwrap();
    lock_owner(&mut impatient, "ada").await;
}

#[tokio::test]
async fn connections_that_died_with_the_server_are_made_anew() {
    let Some(server) = Postgres::start(Durability::ProcessCrash).unwrap() else { return };
    let url = server.create_database("gone").unwrap();
    let store = PostgresStore::open(url.parse::<PgConnectOptions>().unwrap()).await.unwrap();
    for n in 1..=3 {
        store.insert_folder(&a_folder("ada", None, &"f".repeat(n)), 5_000).await.unwrap();
        assert_eq!(store.folders("ada", None, None, 10).await.unwrap().len(), n);
        server.kill().unwrap();
        let refused = store.folders("ada", None, None, 10).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        server.serve().unwrap();
    }
}

#[tokio::test]
async fn no_statement_runs_on_for_ever() {
    let Some(store) = store().await else { return };
    for setting in ["statement_timeout", "idle_in_transaction_session_timeout"] {
        let value: String = sqlx::query_scalar(AssertSqlSafe(format!("SHOW {setting}")))
            .fetch_one(&store.pool)
            .await
            .unwrap();
        assert_eq!(value, "10s", "{setting}");
    }
    let mut connection = store.pool.acquire().await.unwrap();
    sqlx::query("SET statement_timeout = '1ms'").execute(&mut *connection).await.unwrap();
    let cut = sqlx::query("SELECT pg_sleep(10)").execute(&mut *connection).await;
    let cut = StoreError::from(cut.map(drop).unwrap_err());
    assert!(matches!(cut, StoreError::Unavailable(_)), "{cut:?}");
}
