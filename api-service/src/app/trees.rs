//! Trees.

use token::clock::Timestamp;

use super::{
    context::{App, TRIES},
    error::AppError,
};
use crate::{
    domain::{
        caller::Caller,
        etag::Etag,
        id::{CategoryId, FolderId, TreeId},
        page::{Page, PageRequest},
        policy::{Action, Verdict},
        tree::{Content, Edit, Misstate, Status, Tree},
    },
    storage::{StoreError, TreeFilter, TreeKey},
};

/// Which trees a caller asks for.
#[derive(Clone, Debug)]
pub(crate) struct TreeQuery {
    pub(crate) category_id: Option<CategoryId>,
    pub(crate) folder_id: Option<FolderId>,
    pub(crate) status: Option<Status>,
    pub(crate) mine: bool,
}

impl App {
    pub(crate) async fn list_trees(
        &self,
        caller: &Caller,
        query: TreeQuery,
        page: &PageRequest,
    ) -> Result<Page<Tree>, AppError> {
        Self::allow(caller, Action::ReadTrees)?;
        let filter = TreeFilter {
            reader: caller.user_id.clone(),
            category_id: query.category_id,
            folder_id: query.folder_id,
            status: query.status,
            mine: query.mine,
        };
        let scope = (
            "ListTrees",
            &filter.reader,
            filter.category_id.map(|id| id.0),
            filter.folder_id.map(|id| id.0),
            filter.status.map(|status| format!("{status:?}")),
            filter.mine,
        );
        let after = self.page_tokens.open(&scope, &page.token)?.map(|(millis, id)| TreeKey {
            created_at: Timestamp::from_unix_millis(millis),
            id: TreeId(id),
        });
        let items = self.store.trees(&filter, after.as_ref(), page.size.with_next()).await?;
        let items = items.into_iter().map(|tree| tree.seen_by(&caller.user_id)).collect();
        Ok(self.page(&scope, page, items, |tree: &Tree| (tree.created_at.unix_millis(), tree.id.0)))
    }

    pub(crate) async fn tree(&self, caller: &Caller, id: TreeId) -> Result<Tree, AppError> {
        Self::allow(caller, Action::ReadTrees)?;
        let tree = self.store.tree(id, &caller.user_id).await?;
        self.judge(caller, Action::ReadTrees, &tree)?;
        Ok(tree.seen_by(&caller.user_id))
    }

    pub(crate) async fn create_tree(&self, caller: &Caller, edit: Edit) -> Result<Tree, AppError> {
        Self::allow(caller, Action::WriteTrees)?;
        let now = self.clock.now();
        let content = edit.apply(Content::default());
        content.check_size("tree.nodes")?;
        let tree = Tree::new(
            TreeId::new(now, &*self.entropy),
            caller.user_id.clone(),
            content,
            Etag::new(&*self.entropy),
            now,
        );
        self.store.insert_tree(&tree).await?;
        Ok(tree)
    }

    pub(crate) async fn update_tree(
        &self,
        caller: &Caller,
        id: TreeId,
        etag: Option<Etag>,
        edit: Edit,
    ) -> Result<Tree, AppError> {
        self.change_tree(caller, id, etag.as_ref(), |tree, etag, now| {
            tree.edited(edit.clone(), etag, now)
        })
        .await
    }

    /// Makes of the tree as it is now what `change` makes of it, given a fresh etag and the time.
    pub(super) async fn change_tree(
        &self,
        caller: &Caller,
        id: TreeId,
        etag: Option<&Etag>,
        change: impl Fn(Tree, Etag, Timestamp) -> Result<Tree, Misstate> + Send + Sync,
    ) -> Result<Tree, AppError> {
        Self::allow(caller, Action::WriteTrees)?;
        for _ in 0..TRIES {
            let current = self.store.tree(id, &caller.user_id).await?;
            self.judge(caller, Action::WriteTrees, &current)?;
            if let Some(written) = self.write_tree(current, etag, &change).await? {
                return Ok(written);
            }
        }
        Err(AppError::Contended)
    }

    /// One try of [`Self::change_tree`]: `None` if others wrote in between, and nothing was asked
    /// about the state that they changed.
    pub(super) async fn write_tree(
        &self,
        current: Tree,
        etag: Option<&Etag>,
        change: impl FnOnce(Tree, Etag, Timestamp) -> Result<Tree, Misstate> + Send,
    ) -> Result<Option<Tree>, AppError> {
        let (seen, revision) = (current.etag.clone(), current.revision);
        let next = change(current, Etag::new(&*self.entropy), self.clock.now())?;
        if etag.is_some_and(|etag| *etag != seen) {
            return Err(StoreError::EtagMismatch.into());
        }
        // One that is too large already may still be moved and deleted.
        if next.revision > revision {
            next.content.check_size("tree.nodes")?;
        }
        match self.store.update_tree(&next, &seen).await {
            Err(StoreError::EtagMismatch) if etag.is_none() => Ok(None),
            written => Ok(Some(written.map(|()| next)?)),
        }
    }

    /// Whether the caller may do this to the tree.
    pub(super) fn judge(
        &self,
        caller: &Caller,
        action: Action,
        tree: &Tree,
    ) -> Result<(), AppError> {
        match action.on(tree.relation(&caller.user_id, self.clock.now())) {
            Verdict::Allow => Ok(()),
            Verdict::Deny => Err(AppError::Denied),
            Verdict::Hide => Err(StoreError::TreeNotFound.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use token::{clock::ManualClock, entropy::SeededEntropy};

    use super::*;
    use crate::{
        domain::{
            caller::Role,
            node::{Node, NodeKind, Nodes},
            tree::Visibility,
        },
        storage::memory::{MemoryDatabase, MemoryStore},
    };

    fn steps(count: usize) -> Nodes {
        let node = |i: usize| Node {
            node_id: i.to_string(),
            parent_id: (i > 0).then(|| "0".into()),
            kind: NodeKind::Action,
            title: "t".into(),
            body: "x".repeat(20_000),
            position: 0,
        };
        Nodes::parse("", (0..count).map(node).collect()).unwrap()
    }

    #[tokio::test]
    async fn a_tree_that_was_always_too_large_can_be_moved_cut_and_deleted() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_unix_seconds(1_800_000_000)));
        let store = Arc::new(MemoryStore::open(&MemoryDatabase::default()));
        let entropy = Arc::new(SeededEntropy::new(1));
        let retention = Duration::from_secs(60);
        let app = App::new(store, clock, entropy, retention).await.unwrap();
        let ada = Caller { user_id: "ada".into(), role: Some(Role::Editor) };
        let content = Content { title: "t".into(), nodes: steps(420), ..Content::default() };
        let (now, etag) = (app.clock.now(), Etag::new(&*app.entropy));
        let tree = Tree::new(TreeId::new(now, &*app.entropy), "ada".into(), content, etag, now);
        app.store.insert_tree(&tree).await.unwrap();
        let is_refused = |result: Result<Tree, AppError>| match result {
            Err(AppError::Invalid(violation)) => violation.field == "tree.nodes",
            _ => false,
        };
        let edit = Edit { title: Some("u".into()), ..Edit::default() };
        assert!(is_refused(app.update_tree(&ada, tree.id, None, edit).await));
        let edit = Edit { visibility: Some(Visibility::Shared), ..Edit::default() };
        app.update_tree(&ada, tree.id, None, edit).await.unwrap();
        let edit = Edit { nodes: Some(steps(419)), ..Edit::default() };
        assert_eq!(app.update_tree(&ada, tree.id, None, edit).await.unwrap().revision, 2);
        assert!(is_refused(app.roll_back_tree(&ada, tree.id, 1, None).await));
        app.delete_tree(&ada, tree.id, None).await.unwrap();
    }
}
