//! Categories that go, and whose trees move to another.

use async_trait::async_trait;

use super::database::{MemoryStore, Tables, most};
use crate::{
    domain::{
        change::{Change, ChangeKind, Stamp},
        etag::Etag,
        id::CategoryId,
    },
    storage::{MergeStore, Step, StoreError, Target},
};

#[async_trait]
impl MergeStore for MemoryStore {
    async fn merge_category(
        &self,
        id: CategoryId,
        seen: Option<&Etag>,
        into: &Target,
        limit: i64,
    ) -> Result<Step, StoreError> {
        let mut tables = self.transaction().await?;
        let current = tables.category(id)?;
        if seen.is_some_and(|seen| *seen != current.etag) {
            return Err(StoreError::EtagMismatch);
        }
        tables.category(into.id)?;
        let (mut moved, limit) = (0, most(limit));
        let Tables { trees, log, .. } = &mut *tables;
        let held = trees.values_mut().filter(|tree| tree.content.category_id == Some(id));
        for tree in held.take(limit) {
            tree.content.category_id = Some(into.id);
            tree.etag = into.etag.clone();
            tree.updated_at = tree.updated_at.max(into.now);
            let audience = tree.audience();
            log.record(Change::of_tree(tree.id, &tree.owner_id, audience, audience, tree.stamp()));
            moved += 1;
        }
        let done = !tables.trees.values().any(|tree| tree.content.category_id == Some(id));
        if done {
            tables.categories.remove(&id);
            let stamp = Stamp { mark: into.etag.clone(), at: into.now };
            tables.log.record(Change::of_category(id, ChangeKind::Deleted, stamp));
        }
        Ok(Step { moved, done })
    }
}
