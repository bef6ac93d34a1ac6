//! Folders.

use evergreen_proto::api::v1 as pb;
use tonic::{Request, Status};

use super::{
    convert::{FOLDER_FIELDS, caller, count, folder_edit, new_folder, page_request, required},
    mask::Mask,
    service::{Rpc, bad},
    status::IntoStatus as _,
};
use crate::{
    app::AppError,
    domain::{
        etag::Etag,
        folder::Edit,
        id::{self, FolderId},
    },
    storage::Deleted,
};

impl Rpc {
    pub(super) async fn folders(
        &self,
        request: Request<pb::ListFoldersRequest>,
    ) -> Result<pb::ListFoldersResponse, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let parent = id::optional("parent_id", &request.parent_id, FolderId::parse).map_err(bad)?;
        let page = page_request(request.page_size, request.page_token).map_err(bad)?;
        let page =
            self.app.list_folders(&caller, parent, &page).await.map_err(AppError::into_status)?;
        Ok(pb::ListFoldersResponse {
            folders: page.items.into_iter().map(Into::into).collect(),
            next_page_token: page.next_token,
        })
    }

    pub(super) async fn folder(
        &self,
        request: Request<pb::GetFolderRequest>,
    ) -> Result<pb::Folder, Status> {
        let caller = caller(&request)?;
        let id = FolderId::parse("folder_id", &request.get_ref().folder_id).map_err(bad)?;
        Ok(self.app.folder(&caller, id).await.map_err(AppError::into_status)?.into())
    }

    pub(super) async fn new_folder(
        &self,
        request: Request<pb::CreateFolderRequest>,
    ) -> Result<pb::Folder, Status> {
        let caller = caller(&request)?;
        let folder = required("folder", request.into_inner().folder).map_err(bad)?;
        let content = new_folder(folder).map_err(bad)?;
        Ok(self.app.create_folder(&caller, content).await.map_err(AppError::into_status)?.into())
    }

    pub(super) async fn change_folder(
        &self,
        request: Request<pb::UpdateFolderRequest>,
    ) -> Result<pb::Folder, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let mut folder = required("folder", request.folder).map_err(bad)?;
        let id = FolderId::parse("folder.folder_id", &folder.folder_id).map_err(bad)?;
        let etag = Etag::from_request(std::mem::take(&mut folder.etag));
        let mask = Mask::parse(request.update_mask, &FOLDER_FIELDS).map_err(bad)?;
        let edit = folder_edit(folder, &mask).map_err(bad)?;
        let folder = self.app.update_folder(&caller, id, etag, edit).await;
        Ok(folder.map_err(AppError::into_status)?.into())
    }

    pub(super) async fn relocate_folder(
        &self,
        request: Request<pb::MoveFolderRequest>,
    ) -> Result<pb::Folder, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let id = FolderId::parse("folder_id", &request.folder_id).map_err(bad)?;
        let parent = id::optional("parent_id", &request.parent_id, FolderId::parse).map_err(bad)?;
        let etag = Etag::from_request(request.etag);
        let edit = Edit { parent_id: Some(parent), name: None, position: request.position };
        let folder = self.app.update_folder(&caller, id, etag, edit).await;
        Ok(folder.map_err(AppError::into_status)?.into())
    }

    pub(super) async fn subtree(
        &self,
        request: Request<pb::GetFolderSubtreeRequest>,
    ) -> Result<pb::GetFolderSubtreeResponse, Status> {
        let caller = caller(&request)?;
        let folder_id = &request.get_ref().folder_id;
        let top = id::optional("folder_id", folder_id, FolderId::parse).map_err(bad)?;
        let entries = self.app.subtree(&caller, top).await.map_err(AppError::into_status)?;
        let entries = entries.into_iter().map(|entry| pb::FolderEntry {
            folder: Some(entry.folder.into()),
            depth: entry.depth,
            tree_count: entry.tree_count,
        });
        Ok(pb::GetFolderSubtreeResponse { entries: entries.collect() })
    }

    pub(super) async fn drop_folder(
        &self,
        request: Request<pb::DeleteFolderRequest>,
    ) -> Result<pb::DeleteFolderResponse, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let id = FolderId::parse("folder_id", &request.folder_id).map_err(bad)?;
        let etag = Etag::from_request(request.etag);
        let deleted = if request.force {
            self.app.delete_subtree(&caller, id, etag).await
        } else {
            let deleted = self.app.delete_folder(&caller, id, etag).await;
            deleted.map(|()| Deleted { folders: 1, trees: 0 })
        };
        let deleted = deleted.map_err(AppError::into_status)?;
        Ok(pb::DeleteFolderResponse {
            deleted_folder_count: count(deleted.folders),
            deleted_tree_count: count(deleted.trees),
        })
    }
}
