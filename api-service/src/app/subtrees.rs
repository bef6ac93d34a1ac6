//! Folders with all that lies in them.

use super::{context::App, error::AppError};
use crate::{
    domain::{
        caller::Caller,
        etag::Etag,
        folder::{Entry, MOST_TREES, in_order},
        id::FolderId,
        policy::Action,
        tree::Deletion,
    },
    storage::Deleted,
};

impl App {
    /// A folder and all below it, or all of the caller's, each after its parent.
    pub(crate) async fn subtree(
        &self,
        caller: &Caller,
        top: Option<FolderId>,
    ) -> Result<Vec<Entry>, AppError> {
        Self::allow(caller, Action::ReadFolders)?;
        Ok(in_order(self.store.subtree(&caller.user_id, top).await?))
    }

    /// Deletes a folder with all that is in it.
    pub(crate) async fn delete_subtree(
        &self,
        caller: &Caller,
        id: FolderId,
        etag: Option<Etag>,
    ) -> Result<Deleted, AppError> {
        Self::allow(caller, Action::WriteFolders)?;
        let deletion = Deletion::new(self.clock.now(), self.deleted_retention);
        let fresh = Etag::new(&*self.entropy);
        let owner = &caller.user_id;
        let deleted =
            self.store.delete_subtree(id, owner, etag.as_ref(), deletion, &fresh, MOST_TREES);
        Ok(deleted.await?)
    }
}
