//! Folders with all that lies in them.

use async_trait::async_trait;
use sqlx::FromRow;

use super::{
    changes::record_all,
    folders::{FolderRow, current, down},
    open::SqliteStore,
    search,
};
use crate::{
    domain::{
        change::{Change, ChangeKind, Stamp},
        etag::Etag,
        folder::{Entry, Folder},
        id::FolderId,
        tree::Deletion,
    },
    storage::{
        Deleted, StoreError, SubtreeStore,
        rows::{At, shown},
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
        most: i64,
    ) -> Result<Deleted, StoreError> {
        let mut tx = self.begin().await?;
        let (etag, _) = current(&mut tx, id, owner).await?;
        if seen.is_some_and(|seen| *seen != etag) {
            return Err(StoreError::EtagMismatch);
        }
        let held: i64 =
            sqlx::query_scalar(HELD).bind(id.0).bind(most + 1).fetch_one(&mut *tx).await?;
        if held > most {
            return Err(StoreError::FolderTooLarge);
        }
        search::unindex_below(&mut tx, id).await?;
        sqlx::query(LOG_TREES)
            .bind(id.0)
            .bind(&fresh.0)
            .bind(deletion.deleted_at.unix_millis())
            .execute(&mut *tx)
            .await?;
        let trees = sqlx::query(DELETE_TREES)
            .bind(id.0)
            .bind(&fresh.0)
            .bind(deletion.deleted_at.unix_millis())
            .bind(deletion.purge_at.unix_millis())
            .execute(&mut *tx)
            .await?
            .rows_affected();
        let folders: Vec<Vec<u8>> =
            sqlx::query_scalar(DELETE).bind(id.0).fetch_all(&mut *tx).await?;
        let stamp = || Stamp { mark: fresh.clone(), at: deletion.deleted_at };
        let changes = folders.iter().map(|id| {
            let id = FolderId(At::row("folders", &shown(id)).uuid("id", id)?);
            Ok(Change::of_folder(id, owner, ChangeKind::Deleted, stamp()))
        });
        record_all(&mut tx, &changes.collect::<Result<Vec<_>, StoreError>>()?).await?;
        self.commit(tx).await?;
        Ok(Deleted { folders: folders.len() as u64, trees })
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

/// The folders of a walk down. To SQLite, CROSS says which side to begin with: it would rather read all
/// folders than guess how few are below.
macro_rules! entries {
    () => {
        "SELECT folders.id, owner_id, parent_id, name, position, etag, created_at, updated_at, \
         depth, tree_count FROM down CROSS JOIN folders ON folders.id = down.id"
    };
}

pub(super) const BELOW: &str =
    concat!(down!("id, 0 FROM folders WHERE owner_id = $1 AND id = $2"), entries!());
pub(super) const ALL: &str =
    concat!(down!("id, 0 FROM folders WHERE owner_id = $1 AND parent_id IS NULL"), entries!());
/// How many trees there are, as far as one counts.
pub(super) const HELD: &str = concat!(
    down!("$1, 0"),
    "SELECT COUNT(*) FROM ( \
       SELECT 1 FROM down CROSS JOIN trees ON trees.folder_id = down.id LIMIT $2)"
);
/// For all trees at once what [`Change::of_tree`] says of one that is gone: it is gone for its owner,
/// and for the others if they found it.
pub(super) const LOG_TREES: &str = concat!(
    down!("$1, 0"),
    "INSERT INTO changes (at, resource, resource_id, owner_id, own_kind, shared_kind, mark) \
     SELECT $3, 'tree', trees.id, trees.owner_id, 'deleted', \
            CASE visibility WHEN 'shared' THEN 'deleted' END, $2 \
     FROM down CROSS JOIN trees ON trees.folder_id = down.id"
);
pub(super) const DELETE_TREES: &str = concat!(
    down!("$1, 0"),
    "UPDATE trees SET folder_id = NULL, etag = $2, updated_at = MAX(updated_at, $3), \
     deleted_at = $3, purge_at = $4 WHERE folder_id IN (SELECT id FROM down)"
);
/// In one statement, at whose end no folder lies in one that is gone.
pub(super) const DELETE: &str =
    concat!(down!("$1, 0"), "DELETE FROM folders WHERE id IN (SELECT id FROM down) RETURNING id");
