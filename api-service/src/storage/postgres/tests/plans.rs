//! How statements find their rows.

use sqlx::{AssertSqlSafe, PgConnection, Postgres, QueryBuilder, Row as _};
use token::clock::Timestamp;
use uuid::Uuid;

use super::store;
use crate::{
    domain::{
        id::{CategoryId, FolderId, TreeId},
        tree::Status,
    },
    storage::{
        CategoryKey, DeletedKey, FolderKey, TreeFilter, TreeKey,
        postgres::{
            PostgresStore, categories, changes, deletion, folders, merges, revisions, search,
            subtrees, transfer, trees,
        },
        statements,
    },
};

/// A store that holds enough for the planner to tell one index from another.
async fn filled() -> Option<PostgresStore> {
    let store = store().await?;
    for statement in [
        "INSERT INTO categories
         SELECT gen_random_uuid(), n::text, n::text, '', n, 'e', n, n
         FROM generate_series(1, 500) AS n",
        "INSERT INTO folders
         SELECT gen_random_uuid(), (n % 20)::text, NULL, n::text, n, 'e', n, n
         FROM generate_series(1, 500) AS n",
        "INSERT INTO folders
         SELECT gen_random_uuid(), owner_id, id, n::text, n, 'e', n, n
         FROM folders, generate_series(1, 4) AS n",
        "INSERT INTO trees
         SELECT gen_random_uuid(), owner_id, '', '', categories.id,
                CASE WHEN n % 10 > 0 THEN numbered.id END,
                (ARRAY['draft', 'published', 'archived'])[n % 3 + 1],
                (ARRAY['private', 'shared'])[n % 2 + 1],
                '[]', 'e', n, n, 1, 0,
                CASE WHEN n % 10 = 0 THEN n END, CASE WHEN n % 10 = 0 THEN n END
         FROM (SELECT id, owner_id, (row_number() OVER ())::integer AS n FROM folders) AS numbered
         JOIN categories ON categories.position = n % 500 + 1",
        "INSERT INTO tree_revisions
         SELECT id, n, '', '', '[]', '[]', 0, n FROM trees, generate_series(1, 3) AS n",
        "INSERT INTO search_documents (tree_id, version, head, words)
         SELECT id, n % 2, array_to_tsvector(ARRAY['*', 'title', 'title' || n]),
                array_to_tsvector(ARRAY['*', 'title', 'title' || n, 'text', 'text' || n])
         FROM (SELECT id, row_number() OVER () AS n FROM trees) AS numbered",
        "INSERT INTO changes
         SELECT n + 1, n, 'tree', gen_random_uuid(),
                CASE WHEN n % 10 > 0 THEN (n % 20)::text END, 'updated',
                CASE WHEN n % 2 = 0 THEN 'updated' END, 'm'
         FROM generate_series(1, 5000) AS n",
        "INSERT INTO change_inbox (at, resource, resource_id, own_kind, mark)
         SELECT n, 'tree', gen_random_uuid(), 'updated', 'm' FROM generate_series(1, 2000) AS n",
        "INSERT INTO imports SELECT n % 20, n, 1, '', n FROM generate_series(1, 2000) AS n",
        "INSERT INTO secrets SELECT n::text, '' FROM generate_series(1, 500) AS n",
        "VACUUM ANALYZE",
    ] {
        sqlx::raw_sql(statement).execute(&store.pool).await.unwrap();
    }
    Some(store)
}

/// The plan that serves a statement whatever its values are. The tables are small here, and a small
/// one is read fastest as a whole: it is now read like that only where there is no index.
async fn plan(connection: &mut PgConnection, sql: &str) -> Vec<String> {
    for setting in [
        "SET plan_cache_mode = force_generic_plan",
        "SET enable_seqscan = off",
        "SET enable_bitmapscan = off",
        "SET enable_hashjoin = off",
        "SET enable_mergejoin = off",
    ] {
        sqlx::raw_sql(setting).execute(&mut *connection).await.unwrap();
    }
    let parameters = (1..100).take_while(|n| sql.contains(&format!("${n}"))).count();
    let prepare = AssertSqlSafe(format!("PREPARE planned AS {sql}"));
    sqlx::raw_sql(prepare).execute(&mut *connection).await.unwrap();
    let values = vec!["NULL"; parameters].join(", ");
    let values = if values.is_empty() { values } else { format!("({values})") };
    let explain = AssertSqlSafe(format!("EXPLAIN (COSTS OFF) EXECUTE planned{values}"));
    let rows = sqlx::raw_sql(explain).fetch_all(&mut *connection).await.unwrap();
    sqlx::raw_sql("DEALLOCATE planned").execute(connection).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// Steps that read a whole table, or a whole index: one is searched only from its first column on.
async fn bad_steps(connection: &mut PgConnection, plan: &[String]) -> Vec<String> {
    let mut bad = Vec::new();
    for (n, step) in plan.iter().enumerate() {
        let scan = step.trim_start().trim_start_matches("->").trim_start();
        let index =
            scan.split_once("Index Scan using ").or(scan.split_once("Index Only Scan using "));
        let Some((_, index)) = index else {
            if scan.contains("Seq Scan") || scan.contains("Bitmap Index Scan") {
                bad.push(step.clone());
            }
            continue;
        };
        let index = index.split(' ').next().unwrap();
        // All in its order, as far as the page goes.
        if n > 0 && plan[n - 1].trim_start().trim_start_matches("->  ").starts_with("Limit") {
            continue;
        }
        let first: String = sqlx::query_scalar("SELECT pg_get_indexdef($1::regclass, 1, true)")
            .bind(index)
            .fetch_one(&mut *connection)
            .await
            .unwrap();
        let condition = plan.get(n + 1).map_or("", |next| next.trim_start());
        let searched = condition.starts_with("Index Cond: ")
            && [" ", ","].iter().any(|end| condition.contains(&format!("({first}{end}")));
        if !searched {
            bad.push(step.clone());
        }
    }
    bad
}

#[tokio::test]
async fn no_statement_reads_a_whole_table() {
    let Some(store) = filled().await else { return };
    let mut connection = store.pool.acquire().await.unwrap();
    for sql in [
        categories::FIND,
        categories::HOLD,
        categories::KEEP,
        categories::UPDATE,
        categories::USED,
        categories::DELETE,
        changes::FOLDER,
        changes::LAST,
        changes::MARK,
        changes::NUMBER,
        changes::OLDEST,
        changes::TREE,
        changes::TRIM,
        changes::WAITING,
        folders::FIND,
        folders::UPDATE,
        folders::ABOVE,
        folders::HEIGHT,
        folders::COUNT_TREES,
        folders::HOLDS_FOLDER,
        folders::HOLDS_TREE,
        folders::DELETE,
        trees::FIND,
        trees::STATE,
        trees::UPDATE,
        revisions::HEAD,
        revisions::FIND,
        revisions::PRUNE,
        deletion::PURGE,
        folders::COUNT,
        merges::MOVE,
        search::ERASE,
        search::STALE,
        transfer::IMPORT,
        transfer::STEP,
        transfer::TRIM,
        trees::WHOLE,
        subtrees::ALL,
        subtrees::BELOW,
        subtrees::DELETE,
        subtrees::DELETE_TREES,
        subtrees::HELD,
    ] {
        let plan = plan(&mut connection, sql).await;
        let bad = bad_steps(&mut connection, &plan).await;
        assert!(!plan.is_empty() && bad.is_empty(), "{sql}\n{plan:#?}");
    }
}

#[tokio::test]
async fn no_filter_of_a_list_reads_a_whole_table_or_sorts_one() {
    let Some(store) = filled().await else { return };
    let id = Uuid::from_u128(1);
    let mut queries: Vec<QueryBuilder<Postgres>> = Vec::new();
    let tree_key = TreeKey { created_at: Timestamp::UNIX_EPOCH, id: TreeId(id) };
    for category_id in [None, Some(CategoryId(id))] {
        for folder_id in [None, Some(FolderId(id))] {
            for status in [None, Some(Status::Draft)] {
                for mine in [false, true] {
                    for after in [None, Some(&tree_key)] {
                        let reader = "ada".into();
                        let filter = TreeFilter { reader, category_id, folder_id, status, mine };
                        queries.push(statements::trees("", &filter, after, 10));
                    }
                }
            }
        }
    }
    for folder in [None, Some(FolderId(id))] {
        for after in [None, Some(&tree_key)] {
            queries.push(transfer::keys("ada", folder, after, 10));
        }
    }
    let deleted_key = DeletedKey { deleted_at: Timestamp::UNIX_EPOCH, id: TreeId(id) };
    for after in [None, Some(&deleted_key)] {
        queries.push(statements::deleted_trees("", "ada", Timestamp::UNIX_EPOCH, after, 10));
    }
    for before in [None, Some(7)] {
        queries.push(statements::revisions("", TreeId(id), before, 10));
    }
    for reader in [None, Some("ada")] {
        queries.push(statements::changes("", reader, 7, 10));
    }
    let folder_key = FolderKey { position: 0, name: "a".into() };
    for parent in [None, Some(FolderId(id))] {
        for after in [None, Some(&folder_key)] {
            queries.push(statements::folders("", "ada", parent, after, 10));
        }
    }
    let category_key = CategoryKey { position: 0, name: "a".into(), id: CategoryId(id) };
    for after in [None, Some(&category_key)] {
        queries.push(statements::categories("", after, 10));
    }
    assert_eq!(queries.len(), 48);
    let mut connection = store.pool.acquire().await.unwrap();
    // From now on only what comes in no order is sorted.
    sqlx::raw_sql("SET enable_sort = off").execute(&mut *connection).await.unwrap();
    for query in queries {
        let plan = plan(&mut connection, query.sql().as_str()).await;
        let bad = bad_steps(&mut connection, &plan).await;
        assert!(bad.is_empty() && !plan.iter().any(|step| step.contains("Sort  ")), "{plan:#?}");
    }
}

/// Whatever the engine takes a word to be: one search reads no further than it should, the other looks
/// up, and neither reads all trees.
#[tokio::test]
async fn the_newest_documents_are_read_in_order_and_all_are_looked_up_in() {
    let Some(store) = filled().await else { return };
    let mut connection = store.pool.acquire().await.unwrap();
    sqlx::raw_sql("SET enable_seqscan = off").execute(&mut *connection).await.unwrap();
    for (newest, all, index, word) in [
        (search::NEWEST_BY_HEAD, search::ALL_BY_HEAD, "search_documents_by_head", "title"),
        (search::NEWEST_BY_TEXT, search::ALL_BY_TEXT, "search_documents_by_words", "text"),
    ] {
        let mut plan = async |find: &str, word: &str| {
            let values = find
                .replace("$1", &format!("'(''=ada'' | ''*'') & {word}'"))
                .replace("$2", "1000000")
                .replace("$3", "'ada'")
                .replace("$4", "10")
                .replace("$5", "1000");
            let explain = AssertSqlSafe(format!("EXPLAIN (COSTS OFF) {values}"));
            let rows = sqlx::raw_sql(explain).fetch_all(&mut *connection).await.unwrap();
            rows.iter().map(|row| row.get(0)).collect::<Vec<String>>().join("\n")
        };
        for end in ["''", "'':*", "7''", "7'':*"] {
            let word = format!("''{word}{end}");
            let newest = plan(newest, &word).await;
            let in_order = "Index Scan Backward using search_documents_pkey";
            assert!(newest.contains(in_order) && !newest.contains("Bitmap"), "{newest}");
            // What is not common.
            if !end.starts_with('7') {
                continue;
            }
            let all = plan(all, &word).await;
            assert!(all.contains(&format!("Bitmap Index Scan on {index}")), "{all}");
            assert!(all.contains("Index Scan using trees_pkey"), "{all}");
        }
    }
}

/// What the others rely on.
#[tokio::test]
async fn a_statement_without_an_index_is_noticed() {
    let Some(store) = filled().await else { return };
    let mut connection = store.pool.acquire().await.unwrap();
    for bad in [
        "SELECT * FROM trees WHERE title = $1",
        "SELECT id FROM folders WHERE name = $1",
        "SELECT count(*) FROM secrets",
    ] {
        let plan = plan(&mut connection, bad).await;
        assert_eq!(bad_steps(&mut connection, &plan).await.len(), 1, "{plan:#?}");
    }
}
