//! Revisions.

use async_trait::async_trait;
use sqlx::FromRow;

use super::{open::PostgresStore, tree_row::TreeRow, trees::Tx};
use crate::{
    domain::{
        id::TreeId,
        node::Nodes,
        revision::{KEPT, Revision},
        tree::Tree,
    },
    storage::{
        RevisionStore, StoreError,
        rows::{At, tags_text, tree_columns},
        statements, stored_nodes,
    },
};

#[async_trait]
impl RevisionStore for PostgresStore {
    async fn revisions(
        &self,
        id: TreeId,
        reader: &str,
        before: Option<i64>,
        limit: i64,
    ) -> Result<(Tree, Vec<Revision>), StoreError> {
        let mut tx = self.begin_snapshot().await?;
        let tree = head(&mut tx, id, reader).await?;
        let mut query = statements::revisions("", id, before, limit);
        let rows: Vec<Row> = query.build_query_as().fetch_all(&mut *tx).await?;
        tx.commit().await?;
        let found: Result<_, _> = rows.into_iter().map(|row| row.revision(id)).collect();
        Ok((tree, found?))
    }

    async fn revision(
        &self,
        id: TreeId,
        reader: &str,
        number: i64,
    ) -> Result<(Tree, Option<Revision>), StoreError> {
        let mut tx = self.begin_snapshot().await?;
        let tree = head(&mut tx, id, reader).await?;
        let row: Option<Row> =
            sqlx::query_as(FIND).bind(id.0).bind(number).fetch_optional(&mut *tx).await?;
        tx.commit().await?;
        Ok((tree, row.map(|row| row.revision(id)).transpose()?))
    }
}

/// Writes what the tree reads now, and drops what is too old to be kept.
pub(super) async fn write_revision(tx: &mut Tx, tree: &Tree) -> Result<(), StoreError> {
    let content = &tree.content;
    sqlx::query(INSERT)
        .bind(tree.id.0)
        .bind(tree.revision)
        .bind(&content.title)
        .bind(&content.description)
        .bind(tags_text(&content.tags))
        .bind(stored_nodes::write(&content.nodes))
        .bind(tree.node_count)
        .bind(tree.updated_at.unix_millis())
        .execute(&mut **tx)
        .await?;
    if tree.revision > KEPT {
        sqlx::query(PRUNE).bind(tree.id.0).bind(tree.revision - KEPT).execute(&mut **tx).await?;
    }
    Ok(())
}

/// The tree without its nodes.
async fn head(tx: &mut Tx, id: TreeId, reader: &str) -> Result<Tree, StoreError> {
    let row: Option<TreeRow> =
        sqlx::query_as(HEAD).bind(id.0).bind(reader).fetch_optional(&mut **tx).await?;
    row.ok_or(StoreError::TreeNotFound)?.try_into()
}

#[derive(FromRow)]
struct Row {
    revision: i64,
    title: String,
    description: String,
    tags: String,
    /// Not read in lists.
    nodes: Option<String>,
    node_count: i32,
    created_at: i64,
}

impl Row {
    fn revision(self, id: TreeId) -> Result<Revision, StoreError> {
        let shown = format!("{id}, {}", self.revision);
        let at = At::row("tree_revisions", &shown);
        let nodes = match self.nodes {
            Some(nodes) => stored_nodes::read(&nodes).ok_or_else(|| at.bad("nodes"))?,
            None => Nodes::default(),
        };
        Ok(Revision {
            number: self.revision,
            title: self.title,
            description: self.description,
            tags: at.tags(&self.tags)?,
            nodes,
            node_count: self.node_count,
            created_at: at.instant("created_at", self.created_at)?,
        })
    }
}

pub(super) const HEAD: &str = concat!(
    "SELECT ",
    tree_columns!(),
    " FROM trees \
     WHERE id = $1 AND (owner_id = $2 OR (visibility = 'shared' AND deleted_at IS NULL))"
);
pub(super) const FIND: &str = "SELECT revision, title, description, tags, nodes, node_count, \
     created_at FROM tree_revisions WHERE tree_id = $1 AND revision = $2";
const INSERT: &str = "INSERT INTO tree_revisions (tree_id, revision, title, description, tags, \
     nodes, node_count, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
pub(super) const PRUNE: &str = "DELETE FROM tree_revisions WHERE tree_id = $1 AND revision <= $2";
