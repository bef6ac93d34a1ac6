//! Deleted trees.

use async_trait::async_trait;
use token::clock::Timestamp;

use super::{open::SqliteStore, tree_row::TreeRow};
use crate::{
    domain::tree::Tree,
    storage::{DeletedKey, DeletionStore, StoreError, statements},
};

#[async_trait]
impl DeletionStore for SqliteStore {
    async fn deleted_trees(
        &self,
        owner: &str,
        now: Timestamp,
        after: Option<&DeletedKey>,
        limit: i64,
    ) -> Result<Vec<Tree>, StoreError> {
        let mut query = statements::deleted_trees("", owner, now, after, limit);
        let rows: Vec<TreeRow> = query.build_query_as().fetch_all(&self.reads).await?;
        rows.into_iter().map(Tree::try_from).collect()
    }

    async fn purge(&self, now: Timestamp, most: i64) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let purged =
            sqlx::query(PURGE).bind(now.unix_millis()).bind(most).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(purged.rows_affected())
    }
}

pub(super) const PURGE: &str = "DELETE FROM trees WHERE id IN ( \
     SELECT id FROM trees WHERE purge_at <= $1 ORDER BY purge_at, id LIMIT $2)";
