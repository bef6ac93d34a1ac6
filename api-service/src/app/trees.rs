//! Trees.

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
        tree::{Content, Edit, Status, Tree},
    },
    storage::{StoreError, TreeFilter, TreeKey},
};

/// Which trees a caller asks for.
#[derive(Clone, Debug)]
pub(crate) struct TreeQuery {
    pub(crate) category_id: Option<CategoryId>,
    pub(crate) folder_id: Option<FolderId>,
    pub(crate) status: Option<Status>,
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
        };
        let scope = (
            "ListTrees",
            &filter.reader,
            filter.category_id.map(|id| id.0),
            filter.folder_id.map(|id| id.0),
            filter.status.map(|status| format!("{status:?}")),
        );
        let after = self.page_tokens.open(&scope, &page.token)?.map(|(millis, id)| TreeKey {
            created_at: token::clock::Timestamp::from_unix_millis(millis),
            id: TreeId(id),
        });
        let items = self.store.trees(&filter, after.as_ref(), page.size.with_next()).await?;
        let items = items.into_iter().map(|tree| tree.seen_by(&caller.user_id)).collect();
        Ok(self.page(&scope, page, items, |tree: &Tree| (tree.created_at.unix_millis(), tree.id.0)))
    }

    pub(crate) async fn tree(&self, caller: &Caller, id: TreeId) -> Result<Tree, AppError> {
        Self::allow(caller, Action::ReadTrees)?;
        let tree = self.related(caller, Action::ReadTrees, id).await?;
        Ok(tree.seen_by(&caller.user_id))
    }

    pub(crate) async fn create_tree(&self, caller: &Caller, edit: Edit) -> Result<Tree, AppError> {
        Self::allow(caller, Action::WriteTrees)?;
        let now = self.clock.now();
        let tree = Tree {
            id: TreeId::new(now, &*self.entropy),
            owner_id: caller.user_id.clone(),
            content: edit.apply(Content::default()),
            etag: Etag::new(&*self.entropy),
            created_at: now,
            updated_at: now,
        };
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
        Self::allow(caller, Action::WriteTrees)?;
        for _ in 0..TRIES {
            let current = self.related(caller, Action::WriteTrees, id).await?;
            if etag.as_ref().is_some_and(|etag| *etag != current.etag) {
                return Err(StoreError::EtagMismatch.into());
            }
            let seen = current.etag.clone();
            let next = Tree {
                content: edit.clone().apply(current.content),
                etag: Etag::new(&*self.entropy),
                updated_at: self.clock.now().max(current.updated_at),
                ..current
            };
            match self.store.update_tree(&next, &seen).await {
                // Nothing was asked about the state: what others wrote in between is read anew.
                Err(StoreError::EtagMismatch) if etag.is_none() => {}
                written => return Ok(written.map(|()| next)?),
            }
        }
        Err(AppError::Contended)
    }

    pub(crate) async fn delete_tree(
        &self,
        caller: &Caller,
        id: TreeId,
        etag: Option<Etag>,
    ) -> Result<(), AppError> {
        Self::allow(caller, Action::WriteTrees)?;
        self.related(caller, Action::WriteTrees, id).await?;
        Ok(self.store.delete_tree(id, &caller.user_id, etag.as_ref()).await?)
    }

    /// The tree, if the caller may do this to it.
    async fn related(&self, caller: &Caller, action: Action, id: TreeId) -> Result<Tree, AppError> {
        let tree = self.store.tree(id, &caller.user_id).await?;
        match action.on(tree.relation(&caller.user_id)) {
            Verdict::Allow => Ok(tree),
            Verdict::Deny => Err(AppError::Denied),
            Verdict::Hide => Err(StoreError::TreeNotFound.into()),
        }
    }
}
