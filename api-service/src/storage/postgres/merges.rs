//! Categories that go, and whose trees move to another.

use async_trait::async_trait;
use sqlx::FromRow;
use uuid::Uuid;

use super::{categories, changes::record, open::PostgresStore, retry::retrying, trees::Tx};
use crate::{
    domain::{
        change::{Change, ChangeKind, Stamp},
        etag::Etag,
        id::{CategoryId, TreeId},
    },
    storage::{MergeStore, Step, StoreError, Target, rows::audience},
};

#[async_trait]
impl MergeStore for PostgresStore {
    async fn merge_category(
        &self,
        id: CategoryId,
        seen: Option<&Etag>,
        into: &Target,
        most: i64,
    ) -> Result<Step, StoreError> {
        retrying(&self.pool, async || {
            let mut tx = self.begin().await?;
            let (etag, target) = hold_both(&mut tx, id, into.id).await?;
            let etag = etag.ok_or(StoreError::CategoryNotFound)?;
            if seen.is_some_and(|seen| *seen != etag) {
                return Err(StoreError::EtagMismatch);
            }
            if !target {
                return Err(StoreError::CategoryNotFound);
            }
            let moved: Vec<Moved> = sqlx::query_as(MOVE)
                .bind(id.0)
                .bind(into.id.0)
                .bind(&into.etag.0)
                .bind(into.now.unix_millis())
                .bind(most)
                .fetch_all(&mut *tx)
                .await?;
            let count = moved.len() as u64;
            record(&mut tx, moved.into_iter().filter_map(|tree| tree.change(into))).await?;
            let left = sqlx::query(categories::USED).bind(id.0).fetch_optional(&mut *tx).await?;
            let done = left.is_none();
            if done {
                sqlx::query(categories::DELETE).bind(id.0).execute(&mut *tx).await?;
                let change = Change::of_category(id, ChangeKind::Deleted, stamp(into));
                record(&mut tx, [change]).await?;
            }
            self.commit(tx).await?;
            Ok(Step { moved: count, done })
        })
        .await
    }
}

/// A tree that has moved.
#[derive(FromRow)]
struct Moved {
    id: Uuid,
    owner_id: String,
    visibility: String,
    deleted: bool,
}

impl Moved {
    /// What is deleted is nothing to anybody.
    fn change(self, into: &Target) -> Option<Change> {
        let seen = audience(&self.visibility, self.deleted);
        Change::of_tree(TreeId(self.id), &self.owner_id, seen, seen, stamp(into))
    }
}

fn stamp(into: &Target) -> Stamp {
    Stamp { mark: into.etag.clone(), at: into.now }
}

/// Keeps others from filing trees in the first category, and the second from being deleted: the etag
/// of the one, and whether there is the other. In the order of their ids, so that no two merges wait
/// for each other.
async fn hold_both(
    tx: &mut Tx,
    id: CategoryId,
    target: CategoryId,
) -> Result<(Option<Etag>, bool), StoreError> {
    let mut etag = None;
    let mut found = false;
    for held in [id.min(target), id.max(target)] {
        if held == id {
            etag =
                sqlx::query_scalar(categories::HOLD).bind(id.0).fetch_optional(&mut **tx).await?;
        } else {
            let kept = sqlx::query(categories::KEEP).bind(held.0).fetch_optional(&mut **tx).await?;
            found = kept.is_some();
        }
    }
    Ok((etag.map(Etag), found))
}

pub(super) const MOVE: &str = "UPDATE trees SET category_id = $2, etag = $3, \
     updated_at = greatest(updated_at, $4) \
     WHERE id IN (SELECT id FROM trees WHERE category_id = $1 ORDER BY id LIMIT $5 FOR UPDATE) \
     RETURNING id, owner_id, visibility, deleted_at IS NOT NULL AS deleted";
