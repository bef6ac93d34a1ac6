//! On PostgreSQL.

use sqlx::{Connection as _, Executor as _, PgConnection};
use transport::database_url::DatabaseUrl;
use uuid::Uuid;

use super::row::{OWNER, Row};
use crate::lab::Failure;

pub(super) async fn open(url: &DatabaseUrl) -> Result<PgConnection, Failure> {
    let (_, mut database) = url.servers()?.find().await?;
    database.execute("SET search_path = evergreen_api").await?;
    Ok(database)
}

pub(super) async fn insert(database: &mut PgConnection, rows: &[Row]) -> Result<(), Failure> {
    let mut tx = database.begin().await?;
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let titles = texts(rows, |row| &row.title);
    let descriptions = texts(rows, |row| &row.description);
    let tags = texts(rows, |row| &row.tags);
    let etags = texts(rows, |row| &row.etag);
    let node_counts: Vec<i32> = rows.iter().map(|row| row.node_count).collect();
    sqlx::query(TREES)
        .bind(&ids)
        .bind(OWNER)
        .bind(&titles)
        .bind(&descriptions)
        .bind(rows.iter().map(|row| row.folder_id).collect::<Vec<_>>())
        .bind(texts(rows, |row| row.visibility()))
        .bind(&tags)
        .bind(&etags)
        .bind(&node_counts)
        .execute(&mut *tx)
        .await?;
    sqlx::query(REVISIONS)
        .bind(&ids)
        .bind(&titles)
        .bind(&descriptions)
        .bind(&tags)
        .bind(texts(rows, |row| &row.nodes))
        .bind(&node_counts)
        .execute(&mut *tx)
        .await?;
    sqlx::query(DOCUMENTS)
        .bind(&ids)
        .bind(rows.iter().map(|row| row.scope(&row.head)).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.scope(&row.head) + " " + &row.text).collect::<Vec<_>>())
        .execute(&mut *tx)
        .await?;
    sqlx::query(CHANGES)
        .bind(&ids)
        .bind(OWNER)
        .bind(rows.iter().map(Row::shared_kind).collect::<Vec<_>>())
        .bind(&etags)
        .execute(&mut *tx)
        .await?;
    Ok(tx.commit().await?)
}

/// Leaves the tables as they were found.
pub(super) async fn empty(database: &mut PgConnection) -> Result<(), Failure> {
    database.execute("TRUNCATE trees, folders, change_inbox CASCADE").await?;
    Ok(())
}

fn texts<'a>(rows: &'a [Row], column: impl Fn(&'a Row) -> &'a str) -> Vec<&'a str> {
    rows.iter().map(column).collect()
}

impl Row {
    /// With the words by which those find it who may.
    fn scope(&self, words: &str) -> String {
        if self.shared { format!("={OWNER} * {words}") } else { format!("={OWNER} {words}") }
    }
}

const TREES: &str = "INSERT INTO trees (id, owner_id, title, description, folder_id, status, \
     visibility, tags, etag, created_at, updated_at, revision, node_count) \
     SELECT id, $2, title, description, folder_id, 'draft', visibility, tags, etag, 0, 0, 1, nodes \
     FROM unnest($1::uuid[], $3::text[], $4::text[], $5::uuid[], $6::text[], $7::text[], $8::text[], \
         $9::integer[]) AS written (id, title, description, folder_id, visibility, tags, etag, nodes)";
const REVISIONS: &str = "INSERT INTO tree_revisions (tree_id, revision, title, description, tags, \
     nodes, node_count, created_at) \
     SELECT id, 1, title, description, tags, nodes, node_count, 0 \
     FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::integer[]) \
         AS written (id, title, description, tags, nodes, node_count)";
const DOCUMENTS: &str = "INSERT INTO search_documents (tree_id, version, head, words) \
     SELECT id, 1, array_to_tsvector(string_to_array(head, ' ')), \
         array_to_tsvector(string_to_array(words, ' ')) \
     FROM unnest($1::uuid[], $2::text[], $3::text[]) AS written (id, head, words)";
const CHANGES: &str = "INSERT INTO change_inbox (at, resource, resource_id, owner_id, own_kind, \
     shared_kind, mark) \
     SELECT 0, 'tree', id, $2, 'created', shared_kind, mark \
     FROM unnest($1::uuid[], $3::text[], $4::text[]) AS written (id, shared_kind, mark)";
