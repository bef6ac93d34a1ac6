//! The least that keeping trees can cost: their rows, without any rule, log or search.

use std::{fs, path::Path};

use evergreen_proto::api::v1::TreeNode;
use serde_json::{Value, json};
use sqlx::{
    Connection as _, Executor as _, Postgres, QueryBuilder, Sqlite, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use tokio::time::Instant;
use transport::database_url::DatabaseUrl;

use super::{
    BATCH,
    fill::{Size, tree},
};
use crate::lab::Failure;

/// How many trees a second the same driver inserts into bare tables, each tree a row and its nodes
/// another one: as many in a transaction that is made durable as ApiService takes into one.
pub(super) async fn bare_rate(
    dir: &Path,
    database_url: Option<&DatabaseUrl>,
    size: Size,
) -> Result<f64, Failure> {
    let rows: Vec<_> = (0..size.trees).map(Row::of).collect();
    let start;
    if let Some(url) = database_url {
        let (_, mut database) = url.servers()?.find().await?;
        database.execute(sqlx::raw_sql("CREATE SCHEMA bare; SET search_path = bare")).await?;
        database.execute(sqlx::raw_sql(TABLES)).await?;
        start = Instant::now();
        for batch in rows.chunks(BATCH) {
            let mut tx = database.begin().await?;
            heads::<Postgres>(batch).build().execute(&mut *tx).await?;
            nodes::<Postgres>(batch).build().execute(&mut *tx).await?;
            tx.commit().await?;
        }
    } else {
        fs::create_dir_all(dir)?;
        let options = SqliteConnectOptions::new()
            .filename(dir.join("bare.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let mut database = SqliteConnection::connect_with(&options).await?;
        database.execute(sqlx::raw_sql(TABLES)).await?;
        start = Instant::now();
        for batch in rows.chunks(BATCH) {
            let mut tx = database.begin().await?;
            heads::<Sqlite>(batch).build().execute(&mut *tx).await?;
            nodes::<Sqlite>(batch).build().execute(&mut *tx).await?;
            tx.commit().await?;
        }
    }
    Ok(f64::from(size.trees) / start.elapsed().as_secs_f64())
}

/// What is stored of a tree.
struct Row {
    id: i64,
    owner: String,
    title: String,
    description: String,
    tags: String,
    nodes: String,
}

impl Row {
    fn of(number: u32) -> Self {
        let tree = tree(0, number, "");
        let nodes: Vec<Value> = tree.nodes.iter().map(stored).collect();
        Self {
            id: number.into(),
            owner: format!("0199ffff-7000-7000-8000-{number:012x}"),
            title: tree.title,
            description: tree.description,
            tags: json!(tree.tags).to_string(),
            nodes: json!(nodes).to_string(),
        }
    }
}

pub(super) fn stored(node: &TreeNode) -> Value {
    json!({
        "node_id": node.node_id, "parent_id": node.parent_id, "kind": "question",
        "title": node.title, "body": node.body, "position": node.position,
    })
}

fn heads<'a, DB>(rows: &'a [Row]) -> QueryBuilder<DB>
where
    DB: sqlx::Database,
    &'a str: sqlx::Encode<'a, DB> + sqlx::Type<DB>,
    i64: sqlx::Encode<'a, DB> + sqlx::Type<DB>,
{
    let mut query = QueryBuilder::new("INSERT INTO trees (id, owner, title, description, tags) ");
    query.push_values(rows, |mut values, row| {
        values.push_bind(row.id).push_bind(&*row.owner).push_bind(&*row.title);
        values.push_bind(&*row.description).push_bind(&*row.tags);
    });
    query
}

fn nodes<'a, DB>(rows: &'a [Row]) -> QueryBuilder<DB>
where
    DB: sqlx::Database,
    &'a str: sqlx::Encode<'a, DB> + sqlx::Type<DB>,
    i64: sqlx::Encode<'a, DB> + sqlx::Type<DB>,
{
    let mut query = QueryBuilder::new("INSERT INTO revisions (tree_id, revision, title, nodes) ");
    query.push_values(rows, |mut values, row| {
        values.push_bind(row.id).push_bind(1_i64).push_bind(&*row.title).push_bind(&*row.nodes);
    });
    query
}

const TABLES: &str = "
    CREATE TABLE trees (
        id BIGINT NOT NULL PRIMARY KEY, owner TEXT NOT NULL, title TEXT NOT NULL,
        description TEXT NOT NULL, tags TEXT NOT NULL
    );
    CREATE TABLE revisions (
        tree_id BIGINT NOT NULL, revision BIGINT NOT NULL, title TEXT NOT NULL,
        nodes TEXT NOT NULL, PRIMARY KEY (tree_id, revision)
    )";
