//! Folders with all that lies in them.

use async_trait::async_trait;
use sqlx::FromRow;
use uuid::Uuid;

use super::{
    changes::record,
    folders::{FolderRow, current, down},
    open::PostgresStore,
    retry::retrying,
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
        rows::{At, audience},
    },
};

#[async_trait]
impl SubtreeStore for PostgresStore {
    async fn subtree(&self, owner: &str, top: Option<FolderId>) -> Result<Vec<Entry>, StoreError> {
        let query = match top {
            Some(top) => sqlx::query_as(BELOW).bind(owner).bind(top.0),
            None => sqlx::query_as(ALL).bind(owner),
        };
        let rows: Vec<Row> = query.fetch_all(&self.pool).await?;
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
        retrying(&self.pool, async || {
            let mut tx = self.begin_as(owner).await?;
            let (etag, _) = current(&mut tx, id, owner).await?;
            if seen.is_some_and(|seen| *seen != etag) {
                return Err(StoreError::EtagMismatch);
            }
            let held: i64 =
                sqlx::query_scalar(HELD).bind(id.0).bind(most + 1).fetch_one(&mut *tx).await?;
            if held > most {
                return Err(StoreError::FolderTooLarge);
            }
            let trees: Vec<(Uuid, String)> = sqlx::query_as(DELETE_TREES)
                .bind(id.0)
                .bind(&fresh.0)
                .bind(deletion.deleted_at.unix_millis())
                .bind(deletion.purge_at.unix_millis())
                .fetch_all(&mut *tx)
                .await?;
            let ids: Vec<_> = trees.iter().map(|&(id, _)| id).collect();
            search::unindex(&mut tx, &ids).await?;
            let folders: Vec<Uuid> =
                sqlx::query_scalar(DELETE).bind(id.0).fetch_all(&mut *tx).await?;
            let deleted = Deleted { folders: folders.len() as u64, trees: trees.len() as u64 };
            let stamp = || Stamp { mark: fresh.clone(), at: deletion.deleted_at };
            let trees = trees.into_iter().filter_map(|(id, visibility)| {
                let before = audience(&visibility, false);
                Change::of_tree(TreeId(id), owner, before, Audience::Nobody, stamp())
            });
            let folders = folders
                .into_iter()
                .map(|id| Change::of_folder(FolderId(id), owner, ChangeKind::Deleted, stamp()));
            record(&mut tx, trees.chain(folders)).await?;
            self.commit(tx).await?;
            Ok(deleted)
        })
        .await
    }
}

#[derive(FromRow)]
struct Row {
    #[sqlx(flatten)]
    folder: FolderRow,
    depth: i32,
    tree_count: i64,
}

impl TryFrom<Row> for Entry {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let folder = Folder::try_from(row.folder)?;
        let tree_count = At::row("folders", &folder.id).int("tree_count", row.tree_count)?;
        Ok(Self { folder, depth: row.depth, tree_count })
    }
}

/// The folders of a walk down, each looked up by index.
macro_rules! entries {
    () => {
        "SELECT folders.id, owner_id, parent_id, name, position, etag, created_at, updated_at, \
         depth, tree_count FROM down CROSS JOIN LATERAL \
         (SELECT * FROM folders WHERE id = down.id OFFSET 0) AS folders"
    };
}

pub(super) const BELOW: &str =
    concat!(down!("id, 0 FROM folders WHERE owner_id = $1 AND id = $2"), entries!());
pub(super) const ALL: &str =
    concat!(down!("id, 0 FROM folders WHERE owner_id = $1 AND parent_id IS NULL"), entries!());
/// How many trees there are, as far as one counts.
pub(super) const HELD: &str = concat!(
    down!("$1::uuid, 0"),
    "SELECT count(*) FROM ( \
SELECT 1 FROM trees WHERE folder_id = ANY (ARRAY(SELECT id FROM down)) LIMIT $2) AS held"
);
/// Locked in the order in which a merge of categories locks them.
pub(super) const DELETE_TREES: &str = concat!(
    down!("$1::uuid, 0"),
    "UPDATE trees SET folder_id = NULL, etag = $2, updated_at = greatest(updated_at, $3), \
     deleted_at = $3, purge_at = $4 WHERE id IN ( \
       SELECT id FROM trees WHERE folder_id = ANY (ARRAY(SELECT id FROM down)) \
       ORDER BY id FOR UPDATE) \
     RETURNING id, visibility"
);
/// In one statement, at whose end no folder lies in one that is gone.
pub(super) const DELETE: &str = concat!(
    down!("$1::uuid, 0"),
    "DELETE FROM folders WHERE id = ANY (ARRAY(SELECT id FROM down)) RETURNING id"
);
