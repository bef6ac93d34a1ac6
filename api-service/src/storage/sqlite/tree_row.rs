//! Rows of trees, and how trees are stored in columns.

use sqlx::FromRow;

use super::row::{At, shown};
use crate::{
    domain::{
        etag::Etag,
        id::{CategoryId, FolderId, TreeId},
        node::Nodes,
        tree::{Content, Deletion, Status, Tree, Visibility},
    },
    storage::StoreError,
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

/// What a [`TreeRow`] is read from.
macro_rules! tree_columns {
    () => {
        "id, owner_id, title, description, category_id, folder_id, status, visibility, tags, \
         revision, node_count, etag, created_at, updated_at, deleted_at, purge_at"
    };
}
pub(super) use tree_columns;

impl TryFrom<TreeRow> for Tree {
    type Error = StoreError;

    fn try_from(row: TreeRow) -> Result<Self, StoreError> {
        let shown = shown(&row.id);
        let at = At::row("trees", &shown);
        let category = row.category_id.map(|id| at.uuid("category_id", &id)).transpose()?;
        let folder = row.folder_id.map(|id| at.uuid("folder_id", &id)).transpose()?;
        let deletion = match (row.deleted_at, row.purge_at) {
            (None, None) => None,
            (Some(deleted), Some(purge)) => Some(Deletion {
                deleted_at: at.instant("deleted_at", deleted)?,
                purge_at: at.instant("purge_at", purge)?,
            }),
            _ => return Err(at.bad("purge_at")),
        };
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
                tags: read_tags(&row.tags).ok_or_else(|| at.bad("tags"))?,
                nodes: Nodes::default(),
            },
            revision: row.revision,
            node_count: at.int("node_count", row.node_count)?,
            etag: Etag(row.etag),
            created_at: at.instant("created_at", row.created_at)?,
            updated_at: at.instant("updated_at", row.updated_at)?,
            deletion,
        })
    }
}

const STATUSES: [Status; 3] = [Status::Archived, Status::Draft, Status::Published];
const VISIBILITIES: [Visibility; 2] = [Visibility::Private, Visibility::Shared];

pub(super) fn status_name(status: Status) -> &'static str {
    match status {
        Status::Archived => "archived",
        Status::Draft => "draft",
        Status::Published => "published",
    }
}

pub(super) fn visibility_name(visibility: Visibility) -> &'static str {
    match visibility {
        Visibility::Private => "private",
        Visibility::Shared => "shared",
    }
}

pub(super) fn tags_text(tags: &[String]) -> String {
    serde_json::Value::from(tags).to_string()
}

pub(super) fn read_tags(text: &str) -> Option<Vec<String>> {
    serde_json::from_str(text).ok()
}
