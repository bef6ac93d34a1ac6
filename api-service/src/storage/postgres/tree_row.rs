//! Rows of trees.

use sqlx::FromRow;
use uuid::Uuid;

use crate::{
    domain::{
        etag::Etag,
        id::{CategoryId, FolderId, TreeId},
        node::Nodes,
        tree::{Content, Tree},
    },
    storage::{StoreError, rows::At},
};

/// A tree without its nodes.
#[derive(FromRow)]
pub(super) struct TreeRow {
    id: Uuid,
    owner_id: String,
    title: String,
    description: String,
    category_id: Option<Uuid>,
    folder_id: Option<Uuid>,
    status: String,
    visibility: String,
    tags: String,
    revision: i64,
    node_count: i32,
    etag: String,
    created_at: i64,
    updated_at: i64,
    deleted_at: Option<i64>,
    purge_at: Option<i64>,
}

impl TryFrom<TreeRow> for Tree {
    type Error = StoreError;

    fn try_from(row: TreeRow) -> Result<Self, StoreError> {
        let at = At::row("trees", &row.id);
        Ok(Self {
            id: TreeId(row.id),
            owner_id: row.owner_id,
            content: Content {
                title: row.title,
                description: row.description,
                category_id: row.category_id.map(CategoryId),
                folder_id: row.folder_id.map(FolderId),
                status: at.status(&row.status)?,
                visibility: at.visibility(&row.visibility)?,
                tags: at.tags(&row.tags)?,
                nodes: Nodes::default(),
            },
            revision: row.revision,
            node_count: row.node_count,
            etag: Etag(row.etag),
            created_at: at.instant("created_at", row.created_at)?,
            updated_at: at.instant("updated_at", row.updated_at)?,
            deletion: at.deletion(row.deleted_at, row.purge_at)?,
        })
    }
}
