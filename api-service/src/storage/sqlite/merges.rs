//! Categories that go, and whose trees move to another.

use async_trait::async_trait;

use super::{categories, open::SqliteStore};
use crate::{
    domain::{etag::Etag, id::CategoryId},
    storage::{MergeStore, Step, StoreError, Target},
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
        let moved = sqlx::query(MOVE)
            .bind(id.0)
            .bind(into.id.0)
            .bind(&into.etag.0)
            .bind(into.now.unix_millis())
            .bind(most)
            .execute(&mut *tx)
            .await?
            .rows_affected();
        let done = sqlx::query(categories::USED).bind(id.0).fetch_optional(&mut *tx).await?;
        let done = done.is_none();
        if done {
            sqlx::query(categories::DELETE).bind(id.0).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(Step { moved, done })
    }
}

pub(super) const MOVE: &str = "UPDATE trees SET category_id = $2, etag = $3, \
     updated_at = MAX(updated_at, $4) \
     WHERE id IN (SELECT id FROM trees WHERE category_id = $1 ORDER BY id LIMIT $5)";
