//! The contract on files, and what is SQLite's own.

use std::{
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, QueryBuilder, Row as _, Sqlite,
    sqlite::SqliteConnectOptions,
};
use token::clock::Timestamp;
use uuid::Uuid;

use super::{
    SqliteStore, categories, changes, deletion, folders, merges, revisions, search, subtrees,
    transfer, trees,
};
use crate::{
    domain::{
        id::{CategoryId, FolderId, TreeId},
        search::Query,
        tree::Status,
    },
    storage::{
        CategoryKey, DeletedKey, FolderKey, SearchStore as _, Store as _, StoreError,
        SubtreeStore as _, TreeFilter, TreeKey, TreeStore as _,
        contract::{Opened, contract},
        statements,
    },
};

mod upgrade;

async fn file() -> (SqliteStore, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (SqliteStore::open(&dir.path().join("api.db")).await.unwrap(), dir)
}

async fn open() -> Opened {
    let (store, dir) = file().await;
    Some((Arc::new(store), Box::new(dir)))
}

contract!(open);

#[tokio::test]
async fn a_commit_is_durable_and_references_are_enforced() {
    let (store, _dir) = file().await;
    for (pragma, expected) in
        [("PRAGMA synchronous", 2), ("PRAGMA foreign_keys", 1), ("PRAGMA busy_timeout", 5_000)]
    {
        for pool in [&store.reads, &store.writes] {
            let value: i64 = sqlx::query_scalar(pragma).fetch_one(pool).await.unwrap();
            assert_eq!(value, expected, "{pragma}");
        }
    }
    let mode: String =
        sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&store.writes).await.unwrap();
    assert_eq!(mode, "wal");
    let written = sqlx::query("DELETE FROM secrets").execute(&store.reads).await;
    assert!(written.is_err(), "a read connection wrote");
}

/// SQLite removes its log when the last connection closes.
#[tokio::test]
async fn what_is_closed_is_left_whoever_has_given_up_reading() {
    let dir = tempfile::tempdir().unwrap();
    let (file, log) = (dir.path().join("api.db"), dir.path().join("api.db-wal"));
    for round in 0..60 {
        let store = SqliteStore::open(&file).await.unwrap();
        assert!(log.exists());
        let mut reads: Vec<_> =
            (0..8).map(|n| Box::pin(store.tree(TreeId(Uuid::from_u128(n)), "ada"))).collect();
        for read in &mut reads {
            assert!(read.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        drop(reads);
        store.close().await;
        assert!(!log.exists(), "round {round}");
    }
}

/// They are busy with other reads, and nothing is wrong with the storage.
#[tokio::test]
async fn a_read_waits_for_a_connection_as_long_as_its_request_may() {
    let (store, _dir) = file().await;
    let mut busy = Vec::new();
    for _ in 0..store.reads.options().get_max_connections() {
        busy.push(store.reads.acquire().await.unwrap());
    }
    tokio::time::pause();
    let mut read = store.subtree("ada", None);
    let mut poll = || read.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(poll().is_pending());
    // The life of a request, unless a setting says otherwise.
    tokio::time::advance(Duration::from_secs(10)).await;
    assert!(poll().is_pending());
    tokio::time::resume();
    drop(busy);
    assert!(read.await.unwrap().is_empty());
}

#[tokio::test]
async fn a_transaction_that_may_write_keeps_other_programs_from_writing_at_once() {
    let (store, dir) = file().await;
    let tx = store.begin().await.unwrap();
    let options = SqliteConnectOptions::new()
        .filename(dir.path().join("api.db"))
        .busy_timeout(Duration::ZERO);
    let mut other = options.connect().await.unwrap();
    let write = "DELETE FROM secrets";
    let refused = sqlx::query(write).execute(&mut other).await.map(drop).unwrap_err();
    assert!(matches!(StoreError::from(refused), StoreError::Unavailable(_)));
    drop(tx);
    // The roll-back is queued behind the drop; the next transaction begins after it.
    store.begin().await.unwrap().rollback().await.unwrap();
    sqlx::query(write).execute(&mut other).await.unwrap();
}

/// The engine has ended the transaction by itself, and nobody has told the pool.
#[tokio::test]
async fn a_transaction_that_a_full_disk_has_ended_leaves_the_writer_usable() {
    let (store, _dir) = file().await;
    // Less than there is: the file may not grow.
    sqlx::query("PRAGMA max_page_count = 1").execute(&store.writes).await.unwrap();
    let mut tx = store.begin().await.unwrap();
    let full = "INSERT INTO secrets (name, value) VALUES ('large', zeroblob(1000000))";
    let written = sqlx::query(full).execute(&mut *tx).await;
    assert!(written.unwrap_err().to_string().contains("full"));
    drop(tx);
    store.begin().await.unwrap().commit().await.unwrap();
}

/// What an arm of a merge has gathered.
const ARMS: [&str; 3] = ["SCAN arm_", "SCAN own", "SCAN shared"];

/// Steps of a plan that read a whole table, or build an index to avoid it.
fn bad_steps(plan: &[String]) -> Vec<&String> {
    // What a recursive walk or a merge has gathered is read whole, as it must be; and a constant row
    // is no table's.
    let gathered = ["SCAN up", "SCAN down", "SCAN begun", "SCAN (subquery", "SCAN CONSTANT ROW"];
    let gathered = gathered.iter().chain(&ARMS);
    plan.iter()
        .filter(|step| step.starts_with("SCAN") || step.contains("AUTOMATIC"))
        .filter(|step| !gathered.clone().any(|allowed| step.starts_with(allowed)))
        // What an expression of FTS5 matches is found by the index that the table is.
        .filter(|step| {
            let by = step.strip_prefix("SCAN search_index VIRTUAL TABLE INDEX ");
            by.and_then(|by| by.split_once(':')).is_none_or(|(_, by)| by.is_empty())
        })
        // Words from one on, in their order.
        .filter(|step| !step.starts_with("SCAN search_terms VIRTUAL TABLE INDEX 513:"))
        // All shared trees in their order, as far as the page goes.
        .filter(|step| *step != "SCAN trees USING INDEX trees_shared")
        // The whole shelf in its order, as far as the page goes.
        .filter(|step| !step.starts_with("SCAN categories USING INDEX categories_by_position"))
        .collect()
}

#[tokio::test]
async fn no_statement_reads_a_whole_table() {
    let (store, _dir) = file().await;
    let plan_of = async |sql: String| -> Vec<String> {
        let steps = sqlx::query(AssertSqlSafe(sql)).fetch_all(&store.writes).await.unwrap();
        steps.iter().map(|step| step.get("detail")).collect()
    };
    for sql in [
        categories::FIND,
        changes::FOLDER,
        changes::LAST,
        changes::MARK,
        changes::TREE,
        changes::TRIM,
        categories::EXISTS,
        categories::UPDATE,
        categories::USED,
        categories::DELETE,
        folders::FIND,
        folders::UPDATE,
        folders::ABOVE,
        folders::COUNT,
        folders::HEIGHT,
        folders::COUNT_TREES,
        folders::HOLDS_FOLDER,
        folders::HOLDS_TREE,
        folders::DELETE,
        deletion::PURGE,
        merges::MOVE,
        revisions::FIND,
        revisions::HEAD,
        revisions::PRUNE,
        subtrees::ALL,
        subtrees::BELOW,
        subtrees::DELETE,
        subtrees::DELETE_TREES,
        subtrees::HELD,
        subtrees::LOG_TREES,
        transfer::IMPORT,
        transfer::STEP,
        transfer::TRIM,
        trees::FIND,
        trees::STATE,
        trees::WHOLE,
        search::BEGUN,
        search::ERASE,
        search::ERASE_BELOW,
        search::FIND,
        search::STALE,
        trees::UPDATE,
    ] {
        let plan = plan_of(format!("EXPLAIN QUERY PLAN {sql}")).await;
        assert!(!plan.is_empty());
        assert!(bad_steps(&plan).is_empty(), "{sql}\n{plan:#?}");
    }
}

#[tokio::test]
async fn no_filter_of_a_list_reads_a_whole_table_or_sorts_one() {
    const EXPLAIN: &str = "EXPLAIN QUERY PLAN ";
    let (store, _dir) = file().await;
    let id = Uuid::from_u128(1);
    let mut queries: Vec<QueryBuilder<Sqlite>> = Vec::new();
    let tree_key = TreeKey { created_at: Timestamp::UNIX_EPOCH, id: TreeId(id) };
    for category in [None, Some(CategoryId(id))] {
        for folder in [None, Some(FolderId(id))] {
            for status in [None, Some(Status::Draft)] {
                for mine in [false, true] {
                    for after in [None, Some(&tree_key)] {
                        let filter = TreeFilter {
                            reader: "ada".into(),
                            category_id: category,
                            folder_id: folder,
                            status,
                            mine,
                        };
                        queries.push(statements::trees(EXPLAIN, &filter, after, 10));
                    }
                }
            }
        }
    }
    let folder_key = FolderKey { position: 0, name: "a".into() };
    for parent in [None, Some(FolderId(id))] {
        for after in [None, Some(&folder_key)] {
            queries.push(statements::folders(EXPLAIN, "ada", parent, after, 10));
        }
    }
    let category_key = CategoryKey { position: 0, name: "a".into(), id: CategoryId(id) };
    for after in [None, Some(&category_key)] {
        queries.push(statements::categories(EXPLAIN, after, 10));
    }
    let deleted_key = DeletedKey { deleted_at: Timestamp::UNIX_EPOCH, id: TreeId(id) };
    for after in [None, Some(&deleted_key)] {
        queries.push(statements::deleted_trees(EXPLAIN, "ada", Timestamp::UNIX_EPOCH, after, 10));
    }
    for before in [None, Some(7)] {
        queries.push(statements::revisions(EXPLAIN, TreeId(id), before, 10));
    }
    for reader in [None, Some("ada")] {
        queries.push(statements::changes(EXPLAIN, reader, 1, 10));
    }
    for folder in [None, Some(FolderId(id))] {
        for after in [None, Some(&tree_key)] {
            queries.push(transfer::keys(EXPLAIN, "ada", folder, after, 10));
        }
    }
    assert_eq!(queries.len(), 48);
    for mut query in queries {
        let steps = query.build().fetch_all(&store.writes).await.unwrap();
        let plan: Vec<String> = steps.iter().map(|step| step.get("detail")).collect();
        assert!(bad_steps(&plan).is_empty(), "{plan:#?}");
        // Only what an arm has gathered, at most a page, may be sorted again for the merge.
        let sorted: Vec<_> =
            plan.windows(2).filter(|pair| pair[1].contains("TEMP B-TREE")).collect();
        assert!(
            sorted.iter().all(|pair| ARMS.iter().any(|arm| pair[0].starts_with(arm))),
            "{plan:#?}"
        );
    }
}

#[tokio::test]
async fn documents_that_are_missing_or_old_are_made_anew() {
    let (store, _dir) = file().await;
    let insert = "INSERT INTO trees (id, owner_id, title, description, status, visibility, tags, \
                  etag, created_at, updated_at) \
                  VALUES ($1, 'ada', $2, '', 'draft', 'private', '[]', 'e', $3, 0)";
    // As a version that searched nothing left them, the newest first.
    for n in 0..5_i64 {
        sqlx::query(insert)
            .bind(Uuid::from_u128(n as u128))
            .bind(format!("vpn {n}"))
            .bind(100 - n)
            .execute(&store.writes)
            .await
            .unwrap();
        sqlx::query(REVISION)
            .bind(Uuid::from_u128(n as u128))
            .execute(&store.writes)
            .await
            .unwrap();
    }
    let migration = include_str!("../../../migrations/sqlite/0003_search.sql");
    let fill = migration.lines().find(|line| line.starts_with("INSERT")).unwrap();
    sqlx::query(AssertSqlSafe(fill)).execute(&store.writes).await.unwrap();
    let found = async || {
        let query = Query::parse("query", "vpn").unwrap();
        let found = store.search("ada", &query, None, 100).await.unwrap();
        found.into_iter().map(|found| found.tree.content.title).collect::<Vec<_>>()
    };
    assert_eq!(found().await, [""; 0]);
    let renewed = async || store.renew_documents(2).await.unwrap();
    assert_eq!([renewed().await, renewed().await, renewed().await, renewed().await], [2, 2, 1, 0]);
    let expected = ["vpn 0", "vpn 1", "vpn 2", "vpn 3", "vpn 4"];
    assert_eq!(found().await, expected);
    for spoil in [
        "UPDATE search_documents SET version = 0",
        // Words as other rules made them.
        "INSERT OR REPLACE INTO search_index (rowid, scope, head, text) \
         SELECT number, 'o616461', 'dsl', '' FROM search_documents",
    ] {
        sqlx::query(spoil).execute(&store.writes).await.unwrap();
    }
    assert_eq!(found().await, [""; 0]);
    assert_eq!(store.renew_documents(100).await.unwrap(), 5);
    assert_eq!(found().await, expected);
}

const REVISION: &str = "INSERT INTO tree_revisions (tree_id, revision, title, description, tags, \
     nodes, node_count, created_at) VALUES ($1, 1, 't', '', '[]', '[]', 0, 0)";

#[tokio::test]
async fn an_impossible_row_is_named() {
    let (store, _dir) = file().await;
    let id = Uuid::from_u128(7);
    let insert = "INSERT INTO trees (id, owner_id, title, description, status, visibility, tags, \
                  etag, created_at, updated_at) \
                  VALUES ($1, 'ada', 't', '', 'draft', 'private', '[]', 'e', 0, 0)";
    sqlx::query(insert).bind(id).execute(&store.writes).await.unwrap();
    sqlx::query(REVISION).bind(id).execute(&store.writes).await.unwrap();
    store.tree(TreeId(id), "ada").await.unwrap();
    for (column, bad) in [("tags", "'not JSON'"), ("tags", "'[1]'"), ("created_at", "-1")] {
        let sql = format!("UPDATE trees SET tags = '[]', created_at = 0, {column} = {bad}");
        let sql = if column == "tags" { sql.replace("tags = '[]', ", "") } else { sql };
        let sql = if column == "created_at" { sql.replace("created_at = 0, ", "") } else { sql };
        sqlx::query(AssertSqlSafe(sql)).execute(&store.writes).await.unwrap();
        match store.tree(TreeId(id), "ada").await {
            Err(StoreError::Inconsistent { table: "trees", column: named, id: row }) => {
                assert_eq!((named, row), (column, id.to_string()));
            }
            other => panic!("{other:?}"),
        }
    }
    sqlx::query("UPDATE trees SET created_at = 0").execute(&store.writes).await.unwrap();
    for bad in ["UPDATE tree_revisions SET nodes = '[{}]'", "DELETE FROM tree_revisions"] {
        sqlx::query(bad).execute(&store.writes).await.unwrap();
        let read = store.tree(TreeId(id), "ada").await;
        assert!(matches!(read, Err(StoreError::Inconsistent { table: "tree_revisions", .. })));
    }
    for bad in ["deleted_at = 0", "purge_at = 0", "deleted_at = 0, purge_at = 0, folder_id = id"] {
        let sql = format!("PRAGMA foreign_keys = OFF; UPDATE trees SET {bad}");
        let written = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&store.writes).await;
        assert!(written.unwrap_err().to_string().contains("CHECK"), "{bad}");
    }
}
