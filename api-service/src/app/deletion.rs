//! Trees that are deleted and can be brought back until they are purged.

use std::time::Duration;

use token::clock::Timestamp;

use super::{context::App, error::AppError};
use crate::{
    domain::{
        caller::Caller,
        etag::Etag,
        id::TreeId,
        page::{Page, PageRequest},
        policy::Action,
        tree::{Deletion, Tree},
    },
    storage::{DeletedKey, StoreError},
};

impl App {
    /// The tree as it is then, without its nodes.
    pub(crate) async fn delete_tree(
        &self,
        caller: &Caller,
        id: TreeId,
        etag: Option<Etag>,
    ) -> Result<Tree, AppError> {
        let deleted = self
            .change_tree(caller, id, etag.as_ref(), |tree, etag, now| {
                tree.deleted(Deletion::new(now, self.deleted_retention), etag)
            })
            .await?;
        Ok(deleted.without_nodes())
    }

    pub(crate) async fn undelete_tree(
        &self,
        caller: &Caller,
        id: TreeId,
        etag: Option<Etag>,
    ) -> Result<Tree, AppError> {
        self.change_tree(caller, id, etag.as_ref(), Tree::undeleted).await
    }

    pub(crate) async fn list_deleted_trees(
        &self,
        caller: &Caller,
        page: &PageRequest,
    ) -> Result<Page<Tree>, AppError> {
        Self::allow(caller, Action::ReadTrees)?;
        let owner = &caller.user_id;
        let scope = ("ListDeletedTrees", owner);
        let after = self.page_tokens.open(&scope, &page.token)?.map(|(millis, id)| DeletedKey {
            deleted_at: Timestamp::from_unix_millis(millis),
            id: TreeId(id),
        });
        let now = self.clock.now();
        let items =
            self.store.deleted_trees(owner, now, after.as_ref(), page.size.with_next()).await?;
        Ok(self.page(&scope, page, items, |tree: &Tree| {
            let deleted_at = tree.deletion.map(|deletion| deletion.deleted_at);
            (deleted_at.map_or(0, Timestamp::unix_millis), tree.id.0)
        }))
    }

    /// Removes all trees whose purge is due, batch by batch, so that writers get their turn between
    /// them; answers how many there were.
    pub(crate) async fn purge(&self) -> Result<u64, StoreError> {
        let mut purged = 0;
        loop {
            let batch = self.store.purge(self.clock.now(), PURGED_AT_ONCE).await?;
            purged += batch;
            if batch < PURGED_AT_ONCE.unsigned_abs() {
                return Ok(purged);
            }
        }
    }

    /// Purges now and every hour. What fails is tried again an hour later.
    pub(crate) async fn keep_purging(&self) {
        let mut rounds = tokio::time::interval(INTERVAL);
        loop {
            rounds.tick().await;
            match self.purge().await {
                Ok(0) => {}
                Ok(trees) => tracing::info!(trees, "removed deleted trees for good"),
                Err(error) => tracing::warn!(%error, "deleted trees could not be removed"),
            }
        }
    }
}

/// A tree may have many revisions of many nodes each, so few are removed at once.
const PURGED_AT_ONCE: i64 = 50;
const INTERVAL: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use token::{
        clock::ManualClock,
        entropy::{Entropy, SeededEntropy},
    };

    use super::*;
    use crate::{
        domain::{caller::Role, tree::Edit},
        storage::{
            Store,
            memory::{MemoryDatabase, MemoryStore},
        },
    };

    const RETENTION: Duration = Duration::from_secs(60);

    struct World {
        app: App,
        clock: Arc<ManualClock>,
        caller: Caller,
    }

    async fn world() -> World {
        let clock = Arc::new(ManualClock::at(Timestamp::from_unix_seconds(1_800_000_000)));
        let store: Arc<dyn Store> = Arc::new(MemoryStore::open(&MemoryDatabase::default()));
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(1));
        let app = App::new(store, clock.clone(), entropy, RETENTION).await.unwrap();
        World { app, clock, caller: Caller { user_id: "ada".into(), role: Some(Role::Editor) } }
    }

    impl World {
        async fn deleted_tree(&self) -> TreeId {
            let edit = Edit { title: Some("t".into()), ..Edit::default() };
            let id = self.app.create_tree(&self.caller, edit).await.unwrap().id;
            self.app.delete_tree(&self.caller, id, None).await.unwrap();
            id
        }

        async fn is_stored(&self, id: TreeId) -> bool {
            self.app.store.tree(id, "ada").await.is_ok()
        }
    }

    #[tokio::test]
    async fn a_purge_removes_all_that_is_due_batch_by_batch() {
        let world = world().await;
        let many = 2 * PURGED_AT_ONCE.unsigned_abs() + 1;
        for _ in 0..many {
            world.deleted_tree().await;
        }
        world.clock.advance(Duration::from_secs(1));
        let later = world.deleted_tree().await;
        assert_eq!(world.app.purge().await.unwrap(), 0);
        world.clock.advance(RETENTION - Duration::from_secs(1));
        assert_eq!(world.app.purge().await.unwrap(), many);
        assert!(world.is_stored(later).await);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_due_goes_at_the_start_and_within_the_hour() {
        let world = world().await;
        let first = world.deleted_tree().await;
        world.clock.advance(RETENTION);
        let purging = tokio::spawn({
            let app = world.app.clone();
            async move { app.keep_purging().await }
        });
        while world.is_stored(first).await {}
        let second = world.deleted_tree().await;
        world.clock.advance(RETENTION);
        // Not before the hour is over, though whoever purges has their turn.
        for _ in 0..2 {
            tokio::time::advance(INTERVAL / 4).await;
            tokio::task::yield_now().await;
            assert!(world.is_stored(second).await);
        }
        tokio::time::advance(INTERVAL / 2).await;
        while world.is_stored(second).await {}
        purging.abort();
    }
}
