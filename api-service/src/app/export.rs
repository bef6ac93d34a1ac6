//! A stream of one's own trees.

use std::{collections::VecDeque, fmt, sync::Arc};

use tokio::sync::watch;

use super::{context::App, error::AppError};
use crate::{
    domain::{
        caller::Caller,
        id::{FolderId, TreeId},
        policy::Action,
        tree::Tree,
    },
    storage::{Store, StoreError, TreeKey},
};

/// Goes through the trees of one owner, the oldest first.
///
/// It holds the places of a few trees, and one tree: whoever receives slowly makes it wait, and costs
/// nothing.
pub(crate) struct Exporting {
    store: Arc<dyn Store>,
    closed: watch::Receiver<bool>,
    owner: String,
    folder: Option<FolderId>,
    after: Option<TreeKey>,
    keys: VecDeque<TreeKey>,
}

impl App {
    /// The caller's trees in a folder and those below it, or all, after one of them.
    pub(crate) async fn export_trees(
        &self,
        caller: &Caller,
        folder: Option<FolderId>,
        after: Option<TreeId>,
    ) -> Result<Exporting, AppError> {
        Self::allow(caller, Action::ReadTrees)?;
        let owner = caller.user_id.clone();
        if let Some(folder) = folder {
            self.store.folder(folder, &owner).await?;
        }
        let after = match after {
            Some(id) => {
                let tree = self.store.tree(id, &owner).await?;
                if tree.owner_id != owner {
                    return Err(StoreError::TreeNotFound.into());
                }
                Some(TreeKey { created_at: tree.created_at, id })
            }
            None => None,
        };
        let (store, closed) = (Arc::clone(&self.store), self.stopping());
        Ok(Exporting { store, closed, owner, folder, after, keys: VecDeque::new() })
    }
}

impl Exporting {
    /// The next tree with its nodes; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Tree>, AppError> {
        loop {
            if *self.closed.borrow() {
                return Err(AppError::Stopping);
            }
            let Some(key) = self.keys.pop_front() else {
                let after = self.after.as_ref();
                let keys = self.store.tree_keys(&self.owner, self.folder, after, AT_ONCE).await?;
                if keys.is_empty() {
                    return Ok(None);
                }
                self.keys = keys.into();
                continue;
            };
            self.after = Some(key.clone());
            match self.store.tree(key.id, &self.owner).await {
                Ok(tree) if tree.deletion.is_none() => return Ok(Some(tree)),
                // Gone since its place was read.
                Ok(_) | Err(StoreError::TreeNotFound) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl fmt::Debug for Exporting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporting").field("after", &self.after).finish_non_exhaustive()
    }
}

/// How many places of trees are read ahead.
const AT_ONCE: i64 = 100;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use token::{clock::ManualClock, entropy::SeededEntropy};

    use super::*;
    use crate::{
        domain::tree::Edit,
        storage::memory::{MemoryDatabase, MemoryStore},
    };

    /// What it holds does not grow with what there is.
    #[tokio::test]
    async fn it_holds_a_few_places_and_no_trees() {
        let clock = Arc::new(ManualClock::at(token::clock::Timestamp::UNIX_EPOCH));
        let store = Arc::new(MemoryStore::open(&MemoryDatabase::default()));
        let entropy = Arc::new(SeededEntropy::new(1));
        let app = App::new(store, clock.clone(), entropy, Duration::from_secs(1)).await.unwrap();
        let ada = Caller::new("ada", ["editor"]);
        let mut ids = Vec::new();
        for i in 0..1_050 {
            clock.advance(Duration::from_millis(1));
            let edit = Edit { title: Some(i.to_string()), ..Edit::default() };
            ids.push(app.create_tree(&ada, edit).await.unwrap().id);
        }
        let mut exporting = app.export_trees(&ada, None, None).await.unwrap();
        for i in (0..1_050).filter(|i| ![5, 500].contains(i)) {
            // One whose place was read already, and one whose place was not.
            if i == 1 {
                app.delete_tree(&ada, ids[5], None).await.unwrap();
                app.delete_tree(&ada, ids[500], None).await.unwrap();
            }
            let tree = exporting.next().await.unwrap().unwrap();
            assert_eq!(tree.content.title, i.to_string());
            assert!(exporting.keys.len() <= 100);
        }
        assert_eq!(exporting.next().await.unwrap(), None);
    }
}
