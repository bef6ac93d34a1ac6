//! Trees and their nodes.

use async_trait::async_trait;
use sqlx::{FromRow, QueryBuilder, Sqlite, Transaction};

use super::{
    open::SqliteStore,
    row::{At, shown},
};
use crate::{
    domain::{
        etag::Etag,
        id::{CategoryId, FolderId, TreeId},
        node::{Node, NodeKind, Nodes},
        tree::{Content, Status, Tree, Visibility},
    },
    storage::{StoreError, TreeFilter, TreeKey, TreeStore},
};

#[async_trait]
impl TreeStore for SqliteStore {
    async fn trees(
        &self,
        filter: &TreeFilter,
        after: Option<&TreeKey>,
        limit: i64,
    ) -> Result<Vec<Tree>, StoreError> {
        let mut query = list("", filter, after, limit);
        let rows: Vec<Row> = query.build_query_as().fetch_all(&self.reads).await?;
        rows.into_iter().map(Tree::try_from).collect()
    }

    async fn tree(&self, id: TreeId, reader: &str) -> Result<Tree, StoreError> {
        // One snapshot, so that a tree and its nodes belong together.
        let mut tx = self.reads.begin().await?;
        let row: Option<Row> =
            sqlx::query_as(FIND).bind(id.0).bind(reader).fetch_optional(&mut *tx).await?;
        let mut tree = Tree::try_from(row.ok_or(StoreError::TreeNotFound)?)?;
        let rows: Vec<NodeRow> = sqlx::query_as(FIND_NODES).bind(id.0).fetch_all(&mut *tx).await?;
        tx.commit().await?;
        let at = At::row("tree_nodes", &id);
        let nodes: Result<Vec<_>, _> = rows.into_iter().map(|row| row.node(at)).collect();
        tree.content.nodes = Nodes::parse("", nodes?).map_err(|_| at.bad("parent_id"))?;
        Ok(tree)
    }

    async fn insert_tree(&self, tree: &Tree) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        check_references(&mut tx, tree).await?;
        let content = &tree.content;
        sqlx::query(INSERT)
            .bind(tree.id.0)
            .bind(&tree.owner_id)
            .bind(&content.title)
            .bind(&content.description)
            .bind(content.category_id.map(|id| id.0))
            .bind(content.folder_id.map(|id| id.0))
            .bind(status_name(content.status))
            .bind(visibility_name(content.visibility))
            .bind(tags_text(&content.tags))
            .bind(&tree.etag.0)
            .bind(tree.created_at.unix_millis())
            .bind(tree.updated_at.unix_millis())
            .execute(&mut *tx)
            .await?;
        write_nodes(&mut tx, tree).await?;
        Ok(tx.commit().await?)
    }

    async fn update_tree(&self, tree: &Tree, seen: &Etag) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
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
            .bind(&tree.etag.0)
            .bind(tree.updated_at.unix_millis());
        // A tree that is gone comes before what it referred to, and that before the write, or a
        // dangling reference would be a broken key instead of an answer.
        current(&mut tx, tree.id, &tree.owner_id).await?;
        check_references(&mut tx, tree).await?;
        if written.execute(&mut *tx).await?.rows_affected() != 1 {
            return Err(StoreError::EtagMismatch);
        }
        sqlx::query(DELETE_NODES).bind(tree.id.0).execute(&mut *tx).await?;
        write_nodes(&mut tx, tree).await?;
        Ok(tx.commit().await?)
    }

    async fn delete_tree(
        &self,
        id: TreeId,
        owner: &str,
        seen: Option<&Etag>,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let etag = current(&mut tx, id, owner).await?;
        if seen.is_some_and(|seen| *seen != etag) {
            return Err(StoreError::EtagMismatch);
        }
        sqlx::query(DELETE).bind(id.0).execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }
}

type Tx = Transaction<'static, Sqlite>;

/// The etag as of this transaction.
async fn current(tx: &mut Tx, id: TreeId, owner: &str) -> Result<Etag, StoreError> {
    let etag: Option<String> =
        sqlx::query_scalar(ETAG).bind(id.0).bind(owner).fetch_optional(&mut **tx).await?;
    etag.map(Etag).ok_or(StoreError::TreeNotFound)
}

async fn check_references(tx: &mut Tx, tree: &Tree) -> Result<(), StoreError> {
    if let Some(id) = tree.content.folder_id
        && sqlx::query(super::folders::FIND)
            .bind(id.0)
            .bind(&tree.owner_id)
            .fetch_optional(&mut **tx)
            .await?
            .is_none()
    {
        return Err(StoreError::FolderNotFound);
    }
    if let Some(id) = tree.content.category_id
        && sqlx::query(super::categories::EXISTS)
            .bind(id.0)
            .fetch_optional(&mut **tx)
            .await?
            .is_none()
    {
        return Err(StoreError::CategoryNotFound);
    }
    Ok(())
}

async fn write_nodes(tx: &mut Tx, tree: &Tree) -> Result<(), StoreError> {
    // Eight columns each, well below the number of variables that a statement may have.
    const BATCH: usize = 500;
    let mut ordinal = 0_i64;
    for batch in tree.content.nodes.as_slice().chunks(BATCH) {
        let mut query = QueryBuilder::<Sqlite>::new(
            "INSERT INTO tree_nodes (tree_id, ordinal, node_id, parent_id, kind, title, body, \
             position) ",
        );
        query.push_values(batch, |mut row, node| {
            row.push_bind(tree.id.0)
                .push_bind(ordinal)
                .push_bind(&node.node_id)
                .push_bind(&node.parent_id)
                .push_bind(kind_name(node.kind))
                .push_bind(&node.title)
                .push_bind(&node.body)
                .push_bind(node.position);
            ordinal += 1;
        });
        query.build().execute(&mut **tx).await?;
    }
    Ok(())
}

/// The reader's own trees and the shared ones of others, each read in order from an index and no
/// further than the page needs, then merged.
pub(super) fn list(
    prefix: &'static str,
    filter: &TreeFilter,
    after: Option<&TreeKey>,
    limit: i64,
) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(prefix);
    query.push("SELECT * FROM (SELECT ").push(COLUMNS).push(" FROM trees WHERE owner_id = ");
    query.push_bind(filter.reader.clone());
    if let Some(folder) = filter.folder_id {
        query.push(" AND folder_id = ").push_bind(folder.0);
    }
    narrow(&mut query, filter, after, limit);
    // A folder holds only trees of its owner's.
    if filter.folder_id.is_none() {
        query.push(") UNION ALL SELECT * FROM (SELECT ").push(COLUMNS);
        query.push(" FROM trees WHERE visibility = 'shared' AND owner_id <> ");
        query.push_bind(filter.reader.clone());
        narrow(&mut query, filter, after, limit);
    }
    query.push(") ORDER BY created_at DESC, id DESC LIMIT ").push_bind(limit);
    query
}

fn narrow(
    query: &mut QueryBuilder<Sqlite>,
    filter: &TreeFilter,
    after: Option<&TreeKey>,
    limit: i64,
) {
    if let Some(category) = filter.category_id {
        query.push(" AND category_id = ").push_bind(category.0);
    }
    if let Some(status) = filter.status {
        query.push(" AND status = ").push_bind(status_name(status));
    }
    if let Some(after) = after {
        query.push(" AND (created_at, id) < (").push_bind(after.created_at.unix_millis());
        query.push(", ").push_bind(after.id.0).push(")");
    }
    query.push(" ORDER BY created_at DESC, id DESC LIMIT ").push_bind(limit);
}

#[derive(FromRow)]
struct Row {
    id: Vec<u8>,
    owner_id: String,
    title: String,
    description: String,
    category_id: Option<Vec<u8>>,
    folder_id: Option<Vec<u8>>,
    status: String,
    visibility: String,
    tags: String,
    etag: String,
    created_at: i64,
    updated_at: i64,
}

impl TryFrom<Row> for Tree {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let shown = shown(&row.id);
        let at = At::row("trees", &shown);
        let category = row.category_id.map(|id| at.uuid("category_id", &id)).transpose()?;
        let folder = row.folder_id.map(|id| at.uuid("folder_id", &id)).transpose()?;
        Ok(Self {
            id: TreeId(at.uuid("id", &row.id)?),
            owner_id: row.owner_id,
            content: Content {
                title: row.title,
                description: row.description,
                category_id: category.map(CategoryId),
                folder_id: folder.map(FolderId),
                status: STATUSES
                    .into_iter()
                    .find(|&status| status_name(status) == row.status)
                    .ok_or_else(|| at.bad("status"))?,
                visibility: VISIBILITIES
                    .into_iter()
                    .find(|&visibility| visibility_name(visibility) == row.visibility)
                    .ok_or_else(|| at.bad("visibility"))?,
                tags: serde_json::from_str(&row.tags).map_err(|_| at.bad("tags"))?,
                nodes: Nodes::default(),
            },
            etag: Etag(row.etag),
            created_at: at.instant("created_at", row.created_at)?,
            updated_at: at.instant("updated_at", row.updated_at)?,
        })
    }
}

#[derive(FromRow)]
struct NodeRow {
    node_id: String,
    parent_id: Option<String>,
    kind: String,
    title: String,
    body: String,
    position: i64,
}

impl NodeRow {
    fn node(self, at: At<'_>) -> Result<Node, StoreError> {
        Ok(Node {
            kind: KINDS
                .into_iter()
                .find(|&kind| kind_name(kind) == self.kind)
                .ok_or_else(|| at.bad("kind"))?,
            position: at.int("position", self.position)?,
            node_id: self.node_id,
            parent_id: self.parent_id,
            title: self.title,
            body: self.body,
        })
    }
}

const STATUSES: [Status; 3] = [Status::Archived, Status::Draft, Status::Published];
const VISIBILITIES: [Visibility; 2] = [Visibility::Private, Visibility::Shared];
const KINDS: [NodeKind; 3] = [NodeKind::Action, NodeKind::Question, NodeKind::Solution];

fn status_name(status: Status) -> &'static str {
    match status {
        Status::Archived => "archived",
        Status::Draft => "draft",
        Status::Published => "published",
    }
}

fn visibility_name(visibility: Visibility) -> &'static str {
    match visibility {
        Visibility::Private => "private",
        Visibility::Shared => "shared",
    }
}

fn kind_name(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Action => "action",
        NodeKind::Question => "question",
        NodeKind::Solution => "solution",
    }
}

fn tags_text(tags: &[String]) -> String {
    serde_json::Value::from(tags).to_string()
}

const COLUMNS: &str = "id, owner_id, title, description, category_id, folder_id, status, \
     visibility, tags, etag, created_at, updated_at";

pub(super) const FIND: &str = "SELECT id, owner_id, title, description, category_id, folder_id, \
     status, visibility, tags, etag, created_at, updated_at FROM trees \
     WHERE id = $1 AND (owner_id = $2 OR visibility = 'shared')";
pub(super) const FIND_NODES: &str = "SELECT node_id, parent_id, kind, title, body, position \
     FROM tree_nodes WHERE tree_id = $1 ORDER BY ordinal";
pub(super) const ETAG: &str = "SELECT etag FROM trees WHERE id = $1 AND owner_id = $2";
const INSERT: &str = "INSERT INTO trees (id, owner_id, title, description, category_id, \
     folder_id, status, visibility, tags, etag, created_at, updated_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
pub(super) const UPDATE: &str = "UPDATE trees SET title = $4, description = $5, category_id = $6, \
     folder_id = $7, status = $8, visibility = $9, tags = $10, etag = $11, updated_at = $12 \
     WHERE id = $1 AND owner_id = $2 AND etag = $3";
pub(super) const DELETE: &str = "DELETE FROM trees WHERE id = $1";
pub(super) const DELETE_NODES: &str = "DELETE FROM tree_nodes WHERE tree_id = $1";
