//! Folders with all that lies in them.

use async_trait::async_trait;
use sqlx::FromRow;

use super::{
    changes::record,
    folders::{FolderRow, current},
    open::SqliteStore,
    search,
};
use crate::{
    domain::{
        change::{Audience, Change, ChangeKind, Stamp},
        etag::Etag,
        folder::{Entry, Folder},
        id::{FolderId, TreeId},
        tree::Deletion,
    },
    storage::{
        Deleted, StoreError, SubtreeStore,
        rows::{At, audience, shown},
    },
};

#[async_trait]
impl SubtreeStore for SqliteStore {
    async fn subtree(&self, owner: &str, top: Option<FolderId>) -> Result<Vec<Entry>, StoreError> {
        let query = match top {
            Some(top) => sqlx::query_as(BELOW).bind(owner).bind(top.0),
            None => sqlx::query_as(ALL).bind(owner),
        };
        let rows: Vec<Row> = query.fetch_all(&self.reads).await?;
        if top.is_some() && rows.is_empty() {
            return Err(StoreError::FolderNotFound);
        }
        rows.into_iter().map(Entry::try_from).collect()
    }

    async fn delete_subtree(
        &self,
        id: FolderId,
        owner: &str,
        seen: Option<&Etag>,
        deletion: Deletion,
        fresh: &Etag,
    ) -> Result<Deleted, StoreError> {
        let mut tx = self.begin().await?;
        let (etag, _) = current(&mut tx, id, owner).await?;
        if seen.is_some_and(|seen| *seen != etag) {
            return Err(StoreError::EtagMismatch);
        }
        search::unindex_below(&mut tx, id).await?;
        let trees: Vec<(Vec<u8>, String)> = sqlx::query_as(DELETE_TREES)
            .bind(id.0)
            .bind(&fresh.0)
            .bind(deletion.deleted_at.unix_millis())
            .bind(deletion.purge_at.unix_millis())
            .fetch_all(&mut *tx)
            .await?;
        let folders: Vec<Vec<u8>> =
            sqlx::query_scalar(DELETE).bind(id.0).fetch_all(&mut *tx).await?;
        let stamp = || Stamp { mark: fresh.clone(), at: deletion.deleted_at };
        for (id, visibility) in &trees {
            let id = TreeId(At::row("trees", &shown(id)).uuid("id", id)?);
            let before = audience(visibility, false);
            if let Some(change) = Change::of_tree(id, owner, before, Audience::Nobody, stamp()) {
                record(&mut tx, change).await?;
            }
        }
        for id in &folders {
            let id = FolderId(At::row("folders", &shown(id)).uuid("id", id)?);
            record(&mut tx, Change::of_folder(id, owner, ChangeKind::Deleted, stamp())).await?;
        }
        self.commit(tx).await?;
        Ok(Deleted { folders: folders.len() as u64, trees: trees.len() as u64 })
    }
}

#[derive(FromRow)]
struct Row {
    #[sqlx(flatten)]
    folder: FolderRow,
    depth: i64,
    tree_count: i64,
}

impl TryFrom<Row> for Entry {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let folder = Folder::try_from(row.folder)?;
        let at = At::row("folders", &folder.id);
        let depth = at.int("parent_id", row.depth)?;
        let tree_count = at.int("tree_count", row.tree_count)?;
        Ok(Self { folder, depth, tree_count })
    }
}

/// What walks down ends with. A deleted tree is in no folder, so it is not counted. To SQLite, CROSS
/// says which side to begin with: it would rather read all folders than guess how few are below.
macro_rules! entries {
    () => {
        " UNION ALL \
         SELECT folders.id, down.depth + 1 FROM down \
         JOIN folders ON folders.parent_id = down.id WHERE down.depth < 64) \
         SELECT folders.id, owner_id, parent_id, name, position, etag, created_at, updated_at, \
         depth, (SELECT COUNT(*) FROM trees WHERE trees.folder_id = folders.id) AS tree_count \
         FROM down CROSS JOIN folders ON folders.id = down.id"
    };
}

pub(super) const BELOW: &str = concat!(
    "WITH RECURSIVE down (id, depth) AS ( \
     SELECT id, 0 FROM folders WHERE owner_id = $1 AND id = $2",
    entries!()
);
pub(super) const ALL: &str = concat!(
    "WITH RECURSIVE down (id, depth) AS ( \
     SELECT id, 0 FROM folders WHERE owner_id = $1 AND parent_id IS NULL",
    entries!()
);
pub(super) const DELETE_TREES: &str = "WITH RECURSIVE down (id, depth) AS ( \
     SELECT $1, 0 \
     UNION ALL \
     SELECT folders.id, down.depth + 1 FROM down \
     JOIN folders ON folders.parent_id = down.id WHERE down.depth < 64) \
     UPDATE trees SET folder_id = NULL, etag = $2, updated_at = MAX(updated_at, $3), \
     deleted_at = $3, purge_at = $4 WHERE folder_id IN (SELECT id FROM down) \
     RETURNING id, visibility";
/// In one statement, at whose end no folder lies in one that is gone.
pub(super) const DELETE: &str = "WITH RECURSIVE down (id, depth) AS ( \
     SELECT $1, 0 \
     UNION ALL \
     SELECT folders.id, down.depth + 1 FROM down \
     JOIN folders ON folders.parent_id = down.id WHERE down.depth < 64) \
     DELETE FROM folders WHERE id IN (SELECT id FROM down) RETURNING id";
