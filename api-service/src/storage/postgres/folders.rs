//! Folders.

use async_trait::async_trait;
use sqlx::FromRow;
use uuid::Uuid;

use super::{changes::record, error::or_broken, open::PostgresStore, retry::retrying, trees::Tx};
use crate::{
    domain::{
        change::{Change, ChangeKind, Stamp},
        etag::Etag,
        folder::{Content, Folder, Misplaced, check_place},
        id::FolderId,
    },
    storage::{FolderKey, FolderStore, StoreError, rows::At, statements},
};

#[async_trait]
impl FolderStore for PostgresStore {
    async fn folders(
        &self,
        owner: &str,
        parent: Option<FolderId>,
        after: Option<&FolderKey>,
        limit: i64,
    ) -> Result<Vec<Folder>, StoreError> {
        let mut query = statements::folders("", owner, parent, after, limit);
        let rows: Vec<FolderRow> = query.build_query_as().fetch_all(&self.pool).await?;
        rows.into_iter().map(Folder::try_from).collect()
    }

    async fn folder(&self, id: FolderId, owner: &str) -> Result<Folder, StoreError> {
        let row: Option<FolderRow> =
            sqlx::query_as(FIND).bind(id.0).bind(owner).fetch_optional(&self.pool).await?;
        row.ok_or(StoreError::FolderNotFound)?.try_into()
    }

    async fn insert_folder(&self, folder: &Folder, most: i64) -> Result<(), StoreError> {
        retrying(&self.pool, async || {
            let mut tx = self.begin_as(&folder.owner_id).await?;
            place(&mut tx, folder, 1).await?;
            let count: i64 =
                sqlx::query_scalar(COUNT).bind(&folder.owner_id).fetch_one(&mut *tx).await?;
            if count >= most {
                return Err(StoreError::TooManyFolders);
            }
            sqlx::query(INSERT)
                .bind(folder.id.0)
                .bind(&folder.owner_id)
                .bind(folder.content.parent_id.map(|parent| parent.0))
                .bind(&folder.content.name)
                .bind(folder.content.position)
                .bind(&folder.etag.0)
                .bind(folder.created_at.unix_millis())
                .bind(folder.updated_at.unix_millis())
                .execute(&mut *tx)
                .await
                .map_err(or_taken)?;
            let (kind, stamp) = (ChangeKind::Created, folder.stamp());
            let change = Change::of_folder(folder.id, &folder.owner_id, kind, stamp);
            record(&mut tx, [change]).await?;
            self.commit(tx).await
        })
        .await
    }

    async fn update_folder(&self, folder: &Folder, seen: &Etag) -> Result<(), StoreError> {
        retrying(&self.pool, async || {
            let mut tx = self.begin_as(&folder.owner_id).await?;
            let (etag, parent) = current(&mut tx, folder.id, &folder.owner_id).await?;
            if etag != *seen {
                return Err(StoreError::EtagMismatch);
            }
            if parent != folder.content.parent_id {
                let height: i32 =
                    sqlx::query_scalar(HEIGHT).bind(folder.id.0).fetch_one(&mut *tx).await?;
                place(&mut tx, folder, usize::try_from(height).unwrap_or(usize::MAX)).await?;
            }
            sqlx::query(UPDATE)
                .bind(folder.id.0)
                .bind(folder.content.parent_id.map(|parent| parent.0))
                .bind(&folder.content.name)
                .bind(folder.content.position)
                .bind(&folder.etag.0)
                .bind(folder.updated_at.unix_millis())
                .execute(&mut *tx)
                .await
                .map_err(or_taken)?;
            let (kind, stamp) = (ChangeKind::Updated, folder.stamp());
            let change = Change::of_folder(folder.id, &folder.owner_id, kind, stamp);
            record(&mut tx, [change]).await?;
            self.commit(tx).await
        })
        .await
    }

    async fn delete_folder(
        &self,
        id: FolderId,
        owner: &str,
        seen: Option<&Etag>,
        stamp: Stamp,
    ) -> Result<(), StoreError> {
        retrying(&self.pool, async || {
            let mut tx = self.begin_as(owner).await?;
            let (etag, _) = current(&mut tx, id, owner).await?;
            if seen.is_some_and(|seen| *seen != etag) {
                return Err(StoreError::EtagMismatch);
            }
            for held in [HOLDS_FOLDER, HOLDS_TREE] {
                if sqlx::query(held).bind(id.0).fetch_optional(&mut *tx).await?.is_some() {
                    return Err(StoreError::FolderNotEmpty);
                }
            }
            sqlx::query(DELETE).bind(id.0).execute(&mut *tx).await?;
            let change = Change::of_folder(id, owner, ChangeKind::Deleted, stamp.clone());
            record(&mut tx, [change]).await?;
            self.commit(tx).await
        })
        .await
    }
}

fn or_taken(error: sqlx::Error) -> StoreError {
    let names = ["folders_by_name", "folders_by_name_at_top"];
    or_broken(error, &names, StoreError::FolderNameTaken)
}

/// The etag and parent as of this transaction.
pub(super) async fn current(
    tx: &mut Tx,
    id: FolderId,
    owner: &str,
) -> Result<(Etag, Option<FolderId>), StoreError> {
    let row: Option<FolderRow> =
        sqlx::query_as(FIND).bind(id.0).bind(owner).fetch_optional(&mut **tx).await?;
    let folder = Folder::try_from(row.ok_or(StoreError::FolderNotFound)?)?;
    Ok((folder.etag, folder.content.parent_id))
}

/// Whether the folder, with so many levels of its own, may lie where it should.
async fn place(tx: &mut Tx, folder: &Folder, height: usize) -> Result<(), StoreError> {
    let mut above = Vec::new();
    if let Some(parent) = folder.content.parent_id {
        let ids: Vec<Uuid> = sqlx::query_scalar(ABOVE)
            .bind(parent.0)
            .bind(&folder.owner_id)
            .fetch_all(&mut **tx)
            .await?;
        if ids.is_empty() {
            return Err(StoreError::FolderNotFound);
        }
        above.extend(ids.into_iter().map(FolderId));
    }
    check_place(folder.id, &above, height).map_err(|misplaced| match misplaced {
        Misplaced::Cycle => StoreError::FolderCycle,
        Misplaced::TooDeep => StoreError::FolderTooDeep,
    })
}

/// Counts trees that folders have come to hold in this transaction, which holds their owner's lock, or
/// hold no longer. Each folder is named once.
pub(super) async fn count_trees(
    tx: &mut Tx,
    counts: impl IntoIterator<Item = (Uuid, i64)>,
) -> Result<(), StoreError> {
    let (folders, counts): (Vec<_>, Vec<_>) = counts.into_iter().unzip();
    if !folders.is_empty() {
        sqlx::query(COUNT_TREES).bind(folders).bind(counts).execute(&mut **tx).await?;
    }
    Ok(())
}

#[derive(FromRow)]
pub(super) struct FolderRow {
    id: Uuid,
    owner_id: String,
    parent_id: Option<Uuid>,
    name: String,
    position: i32,
    etag: String,
    created_at: i64,
    updated_at: i64,
}

impl TryFrom<FolderRow> for Folder {
    type Error = StoreError;

    fn try_from(row: FolderRow) -> Result<Self, StoreError> {
        let at = At::row("folders", &row.id);
        Ok(Self {
            id: FolderId(row.id),
            owner_id: row.owner_id,
            content: Content {
                parent_id: row.parent_id.map(FolderId),
                name: row.name,
                position: row.position,
            },
            etag: Etag(row.etag),
            created_at: at.instant("created_at", row.created_at)?,
            updated_at: at.instant("updated_at", row.updated_at)?,
        })
    }
}

pub(super) const FIND: &str = "SELECT id, owner_id, parent_id, name, position, etag, created_at, \
     updated_at FROM folders WHERE id = $1 AND owner_id = $2";
const INSERT: &str = "INSERT INTO folders (id, owner_id, parent_id, name, position, etag, \
     created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
pub(super) const UPDATE: &str = "UPDATE folders SET parent_id = $2, name = $3, position = $4, \
     etag = $5, updated_at = $6 WHERE id = $1";
/// The folders below those that a query names, and those themselves, as `down (id, depth)`: the
/// beginning of a statement that does something with them. The depth bounds the walk even over rows
/// that form a ring.
///
/// OFFSET 0 has each folder's looked up by index. Its guess of how many folders a walk meets is far too
/// high, and it would rather read everybody's.
macro_rules! down {
    ($top:literal) => {
        concat!("WITH RECURSIVE down (id, depth) AS (SELECT ", $top, down!())
    };
    () => {
        " UNION ALL SELECT below.id, down.depth + 1 FROM down CROSS JOIN LATERAL \
         (SELECT id FROM folders WHERE parent_id = down.id OFFSET 0) AS below \
         WHERE down.depth < 64) "
    };
}
pub(super) use down;

/// Each half counts in an index of its own.
pub(super) const COUNT: &str = "SELECT \
     (SELECT count(*) FROM folders WHERE owner_id = $1 AND parent_id IS NOT NULL) + \
     (SELECT count(*) FROM folders WHERE owner_id = $1 AND parent_id IS NULL)";
/// A folder and all that it lies in. The level bounds the walk even over rows that form a ring.
pub(super) const ABOVE: &str = "WITH RECURSIVE up (id, parent_id, level) AS ( \
     SELECT id, parent_id, 1 FROM folders WHERE id = $1 AND owner_id = $2 \
     UNION ALL \
     SELECT above.id, above.parent_id, up.level + 1 FROM up CROSS JOIN LATERAL \
     (SELECT id, parent_id FROM folders WHERE id = up.parent_id OFFSET 0) AS above \
     WHERE up.level < 64) \
     SELECT id FROM up ORDER BY level";
/// How many levels a folder and what lies in it have.
pub(super) const HEIGHT: &str =
    concat!(down!("id, 0 FROM folders WHERE id = $1"), "SELECT MAX(depth) + 1 FROM down");
pub(super) const COUNT_TREES: &str = "UPDATE folders SET tree_count = tree_count + counted.by \
     FROM unnest($1::uuid[], $2::bigint[]) AS counted (id, by) WHERE folders.id = counted.id";
pub(super) const HOLDS_FOLDER: &str = "SELECT 1 FROM folders WHERE parent_id = $1 LIMIT 1";
pub(super) const HOLDS_TREE: &str = "SELECT 1 FROM trees WHERE folder_id = $1 LIMIT 1";
pub(super) const DELETE: &str = "DELETE FROM folders WHERE id = $1";
