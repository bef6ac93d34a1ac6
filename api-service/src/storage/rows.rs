//! From columns to domain types, and back: what every backend with columns shares. A value that no
//! version of this program writes is named by table, column and row.

use std::{collections::BTreeMap, fmt};

use token::clock::Timestamp;
use uuid::Uuid;

use super::StoreError;
use crate::domain::{
    change::{Audience, ChangeKind},
    id::FolderId,
    tree::{Deletion, Status, Tree, Visibility},
};

/// A row being read: where a bad value is.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    table: &'static str,
    row: &'a dyn fmt::Display,
}

impl<'a> At<'a> {
    pub(super) fn row(table: &'static str, row: &'a dyn fmt::Display) -> Self {
        Self { table, row }
    }

    pub(super) fn bad(self, column: &'static str) -> StoreError {
        StoreError::inconsistent(self.table, column, self.row)
    }

    /// An id that is stored as bytes.
    pub(super) fn uuid(self, column: &'static str, bytes: &[u8]) -> Result<Uuid, StoreError> {
        Uuid::from_slice(bytes).map_err(|_| self.bad(column))
    }

    pub(super) fn int(self, column: &'static str, value: i64) -> Result<i32, StoreError> {
        i32::try_from(value).map_err(|_| self.bad(column))
    }

    pub(super) fn instant(
        self,
        column: &'static str,
        millis: i64,
    ) -> Result<Timestamp, StoreError> {
        // Instants on the wire end with the year 9999.
        const LAST: i64 = 253_402_300_799_999;
        if (0..=LAST).contains(&millis) {
            Ok(Timestamp::from_unix_millis(millis))
        } else {
            Err(self.bad(column))
        }
    }

    pub(super) fn status(self, name: &str) -> Result<Status, StoreError> {
        STATUSES
            .into_iter()
            .find(|&status| status_name(status) == name)
            .ok_or_else(|| self.bad("status"))
    }

    pub(super) fn visibility(self, name: &str) -> Result<Visibility, StoreError> {
        VISIBILITIES
            .into_iter()
            .find(|&visibility| visibility_name(visibility) == name)
            .ok_or_else(|| self.bad("visibility"))
    }

    pub(super) fn kind(self, column: &'static str, name: &str) -> Result<ChangeKind, StoreError> {
        KINDS.into_iter().find(|&kind| kind_name(kind) == name).ok_or_else(|| self.bad(column))
    }

    pub(super) fn tags(self, text: &str) -> Result<Vec<String>, StoreError> {
        serde_json::from_str(text).map_err(|_| self.bad("tags"))
    }

    pub(super) fn deletion(
        self,
        deleted_at: Option<i64>,
        purge_at: Option<i64>,
    ) -> Result<Option<Deletion>, StoreError> {
        match (deleted_at, purge_at) {
            (None, None) => Ok(None),
            (Some(deleted), Some(purge)) => Ok(Some(Deletion {
                deleted_at: self.instant("deleted_at", deleted)?,
                purge_at: self.instant("purge_at", purge)?,
            })),
            _ => Err(self.bad("purge_at")),
        }
    }
}

/// A row's id, stored as bytes, as it can be shown before it is known to be one.
pub(super) fn shown(id: &[u8]) -> String {
    Uuid::from_slice(id).map_or_else(|_| format!("{id:02x?}"), |id| id.to_string())
}

/// What the row of a tree without its nodes is read from.
macro_rules! tree_columns {
    () => {
        "id, owner_id, title, description, category_id, folder_id, status, visibility, tags, \
         revision, node_count, etag, created_at, updated_at, deleted_at, purge_at"
    };
}
pub(super) use tree_columns;

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

pub(super) fn kind_name(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Created => "created",
        ChangeKind::Deleted => "deleted",
        ChangeKind::Updated => "updated",
    }
}

/// Who finds a tree of which this is stored.
pub(super) fn audience(visibility: &str, deleted: bool) -> Audience {
    match (deleted, visibility == visibility_name(Visibility::Shared)) {
        (true, _) => Audience::Nobody,
        (false, true) => Audience::Everybody,
        (false, false) => Audience::Owner,
    }
}

pub(super) fn tags_text(tags: &[String]) -> String {
    serde_json::Value::from(tags).to_string()
}

/// How many of these trees lie in each folder.
pub(super) fn per_folder(trees: &[Tree]) -> BTreeMap<FolderId, i64> {
    let mut counts = BTreeMap::new();
    for folder in trees.iter().filter_map(|tree| tree.content.folder_id) {
        *counts.entry(folder).or_default() += 1;
    }
    counts
}

const KINDS: [ChangeKind; 3] = [ChangeKind::Created, ChangeKind::Deleted, ChangeKind::Updated];
const STATUSES: [Status; 3] = [Status::Archived, Status::Draft, Status::Published];
const VISIBILITIES: [Visibility; 2] = [Visibility::Private, Visibility::Shared];
