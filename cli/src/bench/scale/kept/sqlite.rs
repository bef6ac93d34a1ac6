//! On the embedded database.

use std::path::Path;

use sqlx::{
    Connection as _, QueryBuilder, Sqlite, SqliteConnection, Transaction,
    query_builder::Separated,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use super::row::{OWNER, Row};
use crate::lab::Failure;

pub(super) async fn open(file: &Path) -> Result<SqliteConnection, Failure> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        .pragma("cache_size", "-16384")
        .pragma("wal_autocheckpoint", "4000")
        .synchronous(SqliteSynchronous::Full);
    Ok(SqliteConnection::connect_with(&options).await?)
}

pub(super) async fn insert(database: &mut SqliteConnection, rows: &[Row]) -> Result<(), Failure> {
    let scope: String = OWNER.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut tx = database.begin().await?;
    write(&mut tx, TREES, rows, |mut values, row| {
        values.push_bind(row.id).push_bind(OWNER).push_bind(row.title.clone());
        values.push_bind(row.description.clone()).push_bind(row.folder_id).push_bind("draft");
        values.push_bind(row.visibility()).push_bind(row.tags.clone()).push_bind(row.etag.clone());
        values.push_bind(0).push_bind(0).push_bind(1).push_bind(row.node_count);
    })
    .await?;
    write(&mut tx, REVISIONS, rows, |mut values, row| {
        values.push_bind(row.id).push_bind(1).push_bind(row.title.clone());
        values.push_bind(row.description.clone()).push_bind(row.tags.clone());
        values.push_bind(row.nodes.clone()).push_bind(row.node_count).push_bind(0);
    })
    .await?;
    write(&mut tx, DOCUMENTS, rows, |mut values, row| {
        values.push_bind(row.number).push_bind(row.id).push_bind(1);
    })
    .await?;
    write(&mut tx, ENTRIES, rows, |mut values, row| {
        let scope = if row.shared { format!("o{scope} shared") } else { format!("o{scope}") };
        values.push_bind(row.number).push_bind(scope);
        values.push_bind(row.head.clone()).push_bind(row.text.clone());
    })
    .await?;
    write(&mut tx, CHANGES, rows, |mut values, row| {
        values.push_bind(0).push_bind("tree").push_bind(row.id).push_bind(OWNER);
        values.push_bind("created").push_bind(row.shared_kind()).push_bind(row.etag.clone());
    })
    .await?;
    Ok(tx.commit().await?)
}

async fn write(
    tx: &mut Transaction<'_, Sqlite>,
    into: &'static str,
    rows: &[Row],
    row: impl Fn(Separated<'_, Sqlite, &'static str>, &Row),
) -> Result<(), Failure> {
    let mut query = QueryBuilder::new(into);
    query.push_values(rows, row);
    query.build().execute(&mut **tx).await?;
    Ok(())
}

const TREES: &str = "INSERT INTO trees (id, owner_id, title, description, folder_id, status, \
     visibility, tags, etag, created_at, updated_at, revision, node_count) ";
const REVISIONS: &str = "INSERT INTO tree_revisions (tree_id, revision, title, description, tags, \
     nodes, node_count, created_at) ";
const DOCUMENTS: &str = "INSERT INTO search_documents (number, tree_id, version) ";
const ENTRIES: &str = "INSERT INTO search_index (rowid, scope, head, text) ";
const CHANGES: &str =
    "INSERT INTO changes (at, resource, resource_id, owner_id, own_kind, shared_kind, mark) ";
