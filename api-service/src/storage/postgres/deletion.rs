//! Deleted trees.

use async_trait::async_trait;
use token::clock::Timestamp;

use super::{open::PostgresStore, retry::retrying, tree_row::TreeRow};
use crate::{
    domain::tree::Tree,
    storage::{DeletedKey, DeletionStore, StoreError, statements},
};

#[async_trait]
impl DeletionStore for PostgresStore {
    async fn deleted_trees(
        &self,
        owner: &str,
        now: Timestamp,
        after: Option<&DeletedKey>,
        limit: i64,
    ) -> Result<Vec<Tree>, StoreError> {
        let mut query = statements::deleted_trees("", owner, now, after, limit);
        let rows: Vec<TreeRow> = query.build_query_as().fetch_all(&self.pool).await?;
        rows.into_iter().map(Tree::try_from).collect()
    }

    async fn purge(&self, now: Timestamp, most: i64) -> Result<u64, StoreError> {
        retrying(&self.pool, async || {
            let purged =
                sqlx::query(PURGE).bind(now.unix_millis()).bind(most).execute(&self.pool).await?;
            Ok(purged.rows_affected())
        })
        .await
    }
}

/// Of several instances each takes others, and none waits for a tree that is just brought back.
pub(super) const PURGE: &str = "DELETE FROM trees WHERE id IN ( \
     SELECT id FROM trees WHERE purge_at <= $1 ORDER BY purge_at, id LIMIT $2 \
     FOR UPDATE SKIP LOCKED)";
