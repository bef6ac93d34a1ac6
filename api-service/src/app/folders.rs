//! Folders. Storage gives out a folder to its owner alone, so what is found is the caller's.

use super::{
    context::{App, TRIES},
    error::AppError,
};
use crate::{
    domain::{
        caller::Caller,
        etag::Etag,
        folder::{Content, Edit, Folder, MOST},
        id::FolderId,
        page::{Page, PageRequest},
        policy::Action,
    },
    storage::{FolderKey, StoreError},
};

impl App {
    pub(crate) async fn list_folders(
        &self,
        caller: &Caller,
        parent: Option<FolderId>,
        page: &PageRequest,
    ) -> Result<Page<Folder>, AppError> {
        Self::allow(caller, Action::ReadFolders)?;
        let owner = &caller.user_id;
        let scope = ("ListFolders", owner, parent.map(|parent| parent.0));
        let after = self
            .page_tokens
            .open(&scope, &page.token)?
            .map(|(position, name)| FolderKey { position, name });
        if let Some(parent) = parent {
            self.store.folder(parent, owner).await?;
        }
        let items =
            self.store.folders(owner, parent, after.as_ref(), page.size.with_next()).await?;
        Ok(self.page(&scope, page, items, |folder: &Folder| {
            (folder.content.position, folder.content.name.clone())
        }))
    }

    pub(crate) async fn folder(&self, caller: &Caller, id: FolderId) -> Result<Folder, AppError> {
        Self::allow(caller, Action::ReadFolders)?;
        Ok(self.store.folder(id, &caller.user_id).await?)
    }

    pub(crate) async fn create_folder(
        &self,
        caller: &Caller,
        content: Content,
    ) -> Result<Folder, AppError> {
        Self::allow(caller, Action::WriteFolders)?;
        let now = self.clock.now();
        let folder = Folder {
            id: FolderId::new(now, &*self.entropy),
            owner_id: caller.user_id.clone(),
            content,
            etag: Etag::new(&*self.entropy),
            created_at: now,
            updated_at: now,
        };
        self.store.insert_folder(&folder, MOST).await?;
        Ok(folder)
    }

    /// Also moves it, if the edit says where to.
    pub(crate) async fn update_folder(
        &self,
        caller: &Caller,
        id: FolderId,
        etag: Option<Etag>,
        edit: Edit,
    ) -> Result<Folder, AppError> {
        Self::allow(caller, Action::WriteFolders)?;
        for _ in 0..TRIES {
            let current = self.store.folder(id, &caller.user_id).await?;
            if etag.as_ref().is_some_and(|etag| *etag != current.etag) {
                return Err(StoreError::EtagMismatch.into());
            }
            let seen = current.etag.clone();
            let next = Folder {
                content: edit.clone().apply(current.content),
                etag: Etag::new(&*self.entropy),
                updated_at: self.clock.now().max(current.updated_at),
                ..current
            };
            match self.store.update_folder(&next, &seen).await {
                // Nothing was asked about the state: what others wrote in between is read anew.
                Err(StoreError::EtagMismatch) if etag.is_none() => {}
                written => return Ok(written.map(|()| next)?),
            }
        }
        Err(AppError::Contended)
    }

    pub(crate) async fn delete_folder(
        &self,
        caller: &Caller,
        id: FolderId,
        etag: Option<Etag>,
    ) -> Result<(), AppError> {
        Self::allow(caller, Action::WriteFolders)?;
        Ok(self.store.delete_folder(id, &caller.user_id, etag.as_ref(), self.stamp()).await?)
    }
}
