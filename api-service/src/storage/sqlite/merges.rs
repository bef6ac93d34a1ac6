//! Categories that go, and whose trees move to another.

use async_trait::async_trait;
use sqlx::FromRow;

use super::{
    categories,
    changes::{record, record_all},
    open::SqliteStore,
};
use crate::{
    domain::{
        change::{Change, ChangeKind, Stamp},
        etag::Etag,
        id::{CategoryId, TreeId},
    },
    storage::{
        MergeStore, Step, StoreError, Target,
        rows::{At, audience, shown},
    },
};

#[async_trait]
impl MergeStore for SqliteStore {
    async fn merge_category(
        &self,
        id: CategoryId,
        seen: Option<&Etag>,
        into: &Target,
        most: i64,
    ) -> Result<Step, StoreError> {
        let mut tx = self.begin().await?;
        let etag = categories::current(&mut tx, id).await?;
        if seen.is_some_and(|seen| *seen != etag) {
            return Err(StoreError::EtagMismatch);
        }
        categories::current(&mut tx, into.id).await?;
        let moved: Vec<Moved> = sqlx::query_as(MOVE)
            .bind(id.0)
            .bind(into.id.0)
            .bind(&into.etag.0)
            .bind(into.now.unix_millis())
            .bind(most)
            .fetch_all(&mut *tx)
            .await?;
        let changes = moved.iter().filter_map(|tree| tree.change(into).transpose());
        record_all(&mut tx, &changes.collect::<Result<Vec<_>, _>>()?).await?;
        let done = sqlx::query(categories::USED).bind(id.0).fetch_optional(&mut *tx).await?;
        let done = done.is_none();
        if done {
            sqlx::query(categories::DELETE).bind(id.0).execute(&mut *tx).await?;
            let stamp = Stamp { mark: into.etag.clone(), at: into.now };
            record(&mut tx, Change::of_category(id, ChangeKind::Deleted, stamp)).await?;
        }
        self.commit(tx).await?;
        Ok(Step { moved: moved.len() as u64, done })
    }
}

/// A tree that has moved.
#[derive(FromRow)]
struct Moved {
    id: Vec<u8>,
    owner_id: String,
    visibility: String,
    deleted: bool,
}

impl Moved {
    /// What is deleted is nothing to anybody.
    fn change(&self, into: &Target) -> Result<Option<Change>, StoreError> {
        let id = TreeId(At::row("trees", &shown(&self.id)).uuid("id", &self.id)?);
        let seen = audience(&self.visibility, self.deleted);
        let stamp = Stamp { mark: into.etag.clone(), at: into.now };
        Ok(Change::of_tree(id, &self.owner_id, seen, seen, stamp))
    }
}

pub(super) const MOVE: &str = "UPDATE trees SET category_id = $2, etag = $3, \
     updated_at = MAX(updated_at, $4) \
     WHERE id IN (SELECT id FROM trees WHERE category_id = $1 ORDER BY id LIMIT $5) \
     RETURNING id, owner_id, visibility, deleted_at IS NOT NULL AS deleted";
