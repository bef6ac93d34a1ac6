//! What trees read at each time.

use super::{
    context::{App, TRIES},
    error::AppError,
};
use crate::domain::{
    caller::Caller,
    etag::Etag,
    id::TreeId,
    page::{Page, PageRequest},
    policy::Action,
    revision::Revision,
    tree::Tree,
};

impl App {
    pub(crate) async fn list_revisions(
        &self,
        caller: &Caller,
        id: TreeId,
        page: &PageRequest,
    ) -> Result<Page<Revision>, AppError> {
        Self::allow(caller, Action::ReadTrees)?;
        let reader = &caller.user_id;
        let scope = ("ListTreeRevisions", reader, id.0);
        let before = self.page_tokens.open(&scope, &page.token)?;
        let (tree, items) = self.store.revisions(id, reader, before, page.size.with_next()).await?;
        self.judge(caller, Action::ReadTrees, &tree)?;
        Ok(self.page(&scope, page, items, |revision: &Revision| revision.number))
    }

    pub(crate) async fn revision(
        &self,
        caller: &Caller,
        id: TreeId,
        number: i64,
    ) -> Result<Revision, AppError> {
        Self::allow(caller, Action::ReadTrees)?;
        let (tree, revision) = self.store.revision(id, &caller.user_id, number).await?;
        self.judge(caller, Action::ReadTrees, &tree)?;
        revision.ok_or(AppError::TreeRevisionNotFound)
    }

    pub(crate) async fn roll_back_tree(
        &self,
        caller: &Caller,
        id: TreeId,
        number: i64,
        etag: Option<Etag>,
    ) -> Result<Tree, AppError> {
        Self::allow(caller, Action::WriteTrees)?;
        for _ in 0..TRIES {
            let (tree, revision) = self.store.revision(id, &caller.user_id, number).await?;
            self.judge(caller, Action::WriteTrees, &tree)?;
            let to = revision.ok_or(AppError::TreeRevisionNotFound)?;
            let rolled_back = |tree: Tree, etag, now| tree.rolled_back(to, etag, now);
            if let Some(written) = self.write_tree(tree, etag.as_ref(), rolled_back).await? {
                return Ok(written);
            }
        }
        Err(AppError::Contended)
    }
}
