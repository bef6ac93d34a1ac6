//! Categories that go, and whose trees move to another.

use async_trait::async_trait;

use super::{categories, open::PostgresStore, retry::retrying, trees::Tx};
use crate::{
    domain::{etag::Etag, id::CategoryId},
    storage::{MergeStore, Step, StoreError, Target},
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
        retrying(async || {
            let mut tx = self.begin().await?;
            let (etag, target) = hold_both(&mut tx, id, into.id).await?;
            let etag = etag.ok_or(StoreError::CategoryNotFound)?;
            if seen.is_some_and(|seen| *seen != etag) {
                return Err(StoreError::EtagMismatch);
            }
            if !target {
                return Err(StoreError::CategoryNotFound);
            }
            let moved = sqlx::query(MOVE)
                .bind(id.0)
                .bind(into.id.0)
                .bind(&into.etag.0)
                .bind(into.now.unix_millis())
                .bind(most)
                .execute(&mut *tx)
                .await?
                .rows_affected();
            let left = sqlx::query(categories::USED).bind(id.0).fetch_optional(&mut *tx).await?;
            let done = left.is_none();
            if done {
                sqlx::query(categories::DELETE).bind(id.0).execute(&mut *tx).await?;
            }
            tx.commit().await?;
            Ok(Step { moved, done })
        })
        .await
    }
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
     WHERE id IN (SELECT id FROM trees WHERE category_id = $1 ORDER BY id LIMIT $5 FOR UPDATE)";
