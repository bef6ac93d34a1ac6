//! Trees.

use std::slice;

use async_trait::async_trait;
use sqlx::{FromRow, Postgres, Transaction};
use uuid::Uuid;

use super::{
    changes::record, folders, new_trees::create, open::PostgresStore, retry::retrying,
    revisions::write_revision, search, tree_row::TreeRow,
};
use crate::{
    domain::{etag::Etag, id::TreeId, search::Document, tree::Tree},
    storage::{
        StoreError, TreeFilter, TreeKey, TreeStore,
        rows::{At, audience, status_name, tags_text, tree_columns, visibility_name},
        statements, stored_nodes,
    },
};

#[async_trait]
impl TreeStore for PostgresStore {
    async fn trees(
        &self,
        filter: &TreeFilter,
        after: Option<&TreeKey>,
        limit: i64,
    ) -> Result<Vec<Tree>, StoreError> {
        let mut query = statements::trees("", filter, after, limit);
        let rows: Vec<TreeRow> = query.build_query_as().fetch_all(&self.pool).await?;
        rows.into_iter().map(Tree::try_from).collect()
    }

    async fn tree(&self, id: TreeId, reader: &str) -> Result<Tree, StoreError> {
        let row: Option<FullRow> =
            sqlx::query_as(FIND).bind(id.0).bind(reader).fetch_optional(&self.pool).await?;
        row.ok_or(StoreError::TreeNotFound)?.try_into()
    }

    async fn insert_tree(&self, tree: &Tree) -> Result<(), StoreError> {
        // Made before anybody waits for the transaction to end.
        let document = Document::of(&tree.content);
        retrying(&self.pool, async || {
            let mut tx = self.begin_as(&tree.owner_id).await?;
            hold_references(&mut tx, tree).await??;
            create(&mut tx, slice::from_ref(tree), slice::from_ref(&document)).await?;
            self.commit(tx).await
        })
        .await
    }

    async fn update_tree(&self, tree: &Tree, seen: &Etag) -> Result<(), StoreError> {
        let document = Document::of(&tree.content);
        retrying(&self.pool, async || {
            let mut tx = self.begin_as(&tree.owner_id).await?;
            // A category is locked before any tree. But a tree that is gone comes before what it
            // referred to, and so does one that is another now: what was seen of it may refer to
            // what is gone since.
            let references = hold_references(&mut tx, tree).await?;
            let current: Option<(i64, String, bool, String, Option<Uuid>)> = sqlx::query_as(STATE)
                .bind(tree.id.0)
                .bind(&tree.owner_id)
                .fetch_optional(&mut *tx)
                .await?;
            let (current, visibility, deleted, etag, folder) =
                current.ok_or(StoreError::TreeNotFound)?;
            if etag != seen.0 {
                return Err(StoreError::EtagMismatch);
            }
            references?;
            // Whoever moves a category's trees does so without their owners' locks.
            if !update(&mut tx, tree, seen).await? {
                return Err(StoreError::EtagMismatch);
            }
            let to = tree.content.folder_id.map(|id| id.0);
            if folder != to {
                let counts = [(folder, -1), (to, 1)];
                let counts = counts.into_iter().filter_map(|(id, by)| id.map(|id| (id, by)));
                folders::count_trees(&mut tx, counts).await?;
            }
            if tree.revision > current {
                write_revision(&mut tx, tree).await?;
            }
            search::index(&mut tx, tree, &document).await?;
            record(&mut tx, tree.change(audience(&visibility, deleted))).await?;
            self.commit(tx).await
        })
        .await
    }
}

pub(super) type Tx = Transaction<'static, Postgres>;

/// A tree with its nodes, whoever may read it.
pub(super) async fn whole(tx: &mut Tx, id: TreeId) -> Result<Tree, StoreError> {
    let row: Option<FullRow> = sqlx::query_as(WHOLE).bind(id.0).fetch_optional(&mut **tx).await?;
    row.ok_or(StoreError::TreeNotFound)?.try_into()
}

/// Whether what the tree refers to is there, and stays until the transaction ends: the folder by its
/// owner's lock, the category by its own.
pub(super) async fn hold_references(
    tx: &mut Tx,
    tree: &Tree,
) -> Result<Result<(), StoreError>, StoreError> {
    let mut held = Ok(());
    if let Some(id) = tree.content.category_id
        && sqlx::query(super::categories::KEEP)
            .bind(id.0)
            .fetch_optional(&mut **tx)
            .await?
            .is_none()
    {
        held = Err(StoreError::CategoryNotFound);
    }
    if let Some(id) = tree.content.folder_id
        && sqlx::query(folders::FIND)
            .bind(id.0)
            .bind(&tree.owner_id)
            .fetch_optional(&mut **tx)
            .await?
            .is_none()
    {
        held = Err(StoreError::FolderNotFound);
    }
    Ok(held)
}

/// Whether the etag was the one that is seen.
async fn update(tx: &mut Tx, tree: &Tree, seen: &Etag) -> Result<bool, StoreError> {
    let content = &tree.content;
    let written = sqlx::query(UPDATE)
        .bind(tree.id.0)
        .bind(&tree.owner_id)
        .bind(&seen.0)
        .bind(&content.title)
        .bind(&content.description)
        .bind(content.category_id.map(|id| id.0))
        .bind(content.folder_id.map(|id| id.0))
        .bind(status_name(content.status))
        .bind(visibility_name(content.visibility))
        .bind(tags_text(&content.tags))
        .bind(tree.revision)
        .bind(tree.node_count)
        .bind(&tree.etag.0)
        .bind(tree.updated_at.unix_millis())
        .bind(tree.deletion.map(|deletion| deletion.deleted_at.unix_millis()))
        .bind(tree.deletion.map(|deletion| deletion.purge_at.unix_millis()))
        .execute(&mut **tx)
        .await?;
    Ok(written.rows_affected() == 1)
}

/// A tree with its nodes.
#[derive(FromRow)]
struct FullRow {
    #[sqlx(flatten)]
    tree: TreeRow,
    nodes: Option<String>,
}

impl TryFrom<FullRow> for Tree {
    type Error = StoreError;

    fn try_from(row: FullRow) -> Result<Self, StoreError> {
        let mut tree = Self::try_from(row.tree)?;
        let nodes = row.nodes.and_then(|nodes| stored_nodes::read(&nodes));
        let at = At::row("tree_revisions", &tree.id);
        tree.content.nodes = nodes.ok_or_else(|| at.bad("nodes"))?;
        Ok(tree)
    }
}

/// Trees with their nodes.
macro_rules! whole {
    () => {
        concat!(
            "SELECT ",
            tree_columns!(),
            ", (SELECT nodes FROM tree_revisions \
                WHERE tree_id = trees.id AND tree_revisions.revision = trees.revision) AS nodes \
             FROM trees "
        )
    };
}

pub(super) const WHOLE: &str = concat!(whole!(), "WHERE id = $1");
pub(super) const FIND: &str = concat!(
    whole!(),
    "WHERE id = $1 AND (owner_id = $2 OR (visibility = 'shared' AND deleted_at IS NULL))"
);
pub(super) const STATE: &str = "SELECT revision, visibility, deleted_at IS NOT NULL, etag, folder_id \
     FROM trees WHERE id = $1 AND owner_id = $2";
pub(super) const UPDATE: &str = "UPDATE trees SET title = $4, description = $5, category_id = $6, \
     folder_id = $7, status = $8, visibility = $9, tags = $10, revision = $11, node_count = $12, \
     etag = $13, updated_at = $14, deleted_at = $15, purge_at = $16 \
     WHERE id = $1 AND owner_id = $2 AND etag = $3";
