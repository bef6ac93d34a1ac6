//! Rows of trees, and how trees are stored in columns.

use sqlx::FromRow;

use crate::{
    domain::{
        etag::Etag,
        id::{CategoryId, FolderId, TreeId},
        node::Nodes,
        tree::{Content, Tree},
    },
    storage::{
        StoreError,
        rows::{At, shown},
    },
};

/// A tree without its nodes.
#[derive(FromRow)]
pub(super) struct TreeRow {
    id: Vec<u8>,
    owner_id: String,
    title: String,
    description: String,
    category_id: Option<Vec<u8>>,
    folder_id: Option<Vec<u8>>,
    status: String,
    visibility: String,
    tags: String,
    revision: i64,
    node_count: i64,
    etag: String,
    created_at: i64,
    updated_at: i64,
    deleted_at: Option<i64>,
    purge_at: Option<i64>,
}

impl TryFrom<TreeRow> for Tree {
    type Error = StoreError;

    fn try_from(row: TreeRow) -> Result<Self, StoreError> {
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
                status: at.status(&row.status)?,
                visibility: at.visibility(&row.visibility)?,
                tags: at.tags(&row.tags)?,
                nodes: Nodes::default(),
            },
            revision: row.revision,
            node_count: at.int("node_count", row.node_count)?,
            etag: Etag(row.etag),
            created_at: at.instant("created_at", row.created_at)?,
            updated_at: at.instant("updated_at", row.updated_at)?,
            deletion: at.deletion(row.deleted_at, row.purge_at)?,
        })
    }
}
