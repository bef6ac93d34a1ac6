//! The generated trait, by the functions of the neighbouring files.

use evergreen_proto::api::v1::{self as pb, api_service_server::ApiService};
use tonic::{Request, Response, Status, Streaming, async_trait};

use super::{
    status::IntoStatus as _,
    stream::{Changes, Exported},
};
use crate::{app::App, domain::violation::Violation};

/// `ApiService`, behind the guard.
#[derive(Clone, Debug)]
pub(crate) struct Rpc {
    pub(super) app: App,
}

impl Rpc {
    pub(crate) fn new(app: App) -> Self {
        Self { app }
    }
}

/// The status of a request that breaks a rule.
pub(super) fn bad(violation: Violation) -> Status {
    violation.into_status()
}

type Answer<T> = Result<Response<T>, Status>;

fn answer<T>(message: T) -> Answer<T> {
    Ok(Response::new(message))
}

#[async_trait]
impl ApiService for Rpc {
    type ExportTreesStream = Exported;
    type WatchChangesStream = Changes;

    async fn list_trees(
        &self,
        request: Request<pb::ListTreesRequest>,
    ) -> Answer<pb::ListTreesResponse> {
        answer(self.trees(request).await?)
    }

    async fn get_tree(&self, request: Request<pb::GetTreeRequest>) -> Answer<pb::GetTreeResponse> {
        answer(pb::GetTreeResponse { tree: Some(self.tree(request).await?) })
    }

    async fn create_tree(
        &self,
        request: Request<pb::CreateTreeRequest>,
    ) -> Answer<pb::CreateTreeResponse> {
        answer(pb::CreateTreeResponse { tree: Some(self.new_tree(request).await?) })
    }

    async fn update_tree(
        &self,
        request: Request<pb::UpdateTreeRequest>,
    ) -> Answer<pb::UpdateTreeResponse> {
        answer(pb::UpdateTreeResponse { tree: Some(self.change_tree(request).await?) })
    }

    async fn delete_tree(
        &self,
        request: Request<pb::DeleteTreeRequest>,
    ) -> Answer<pb::DeleteTreeResponse> {
        answer(pb::DeleteTreeResponse { tree: Some(self.drop_tree(request).await?) })
    }

    async fn undelete_tree(
        &self,
        request: Request<pb::UndeleteTreeRequest>,
    ) -> Answer<pb::UndeleteTreeResponse> {
        answer(pb::UndeleteTreeResponse { tree: Some(self.bring_back(request).await?) })
    }

    async fn list_deleted_trees(
        &self,
        request: Request<pb::ListDeletedTreesRequest>,
    ) -> Answer<pb::ListDeletedTreesResponse> {
        answer(self.deleted_trees(request).await?)
    }

    async fn list_tree_revisions(
        &self,
        request: Request<pb::ListTreeRevisionsRequest>,
    ) -> Answer<pb::ListTreeRevisionsResponse> {
        answer(self.revisions(request).await?)
    }

    async fn get_tree_revision(
        &self,
        request: Request<pb::GetTreeRevisionRequest>,
    ) -> Answer<pb::GetTreeRevisionResponse> {
        answer(pb::GetTreeRevisionResponse { revision: Some(self.revision(request).await?) })
    }

    async fn rollback_tree(
        &self,
        request: Request<pb::RollbackTreeRequest>,
    ) -> Answer<pb::RollbackTreeResponse> {
        answer(pb::RollbackTreeResponse { tree: Some(self.roll_back(request).await?) })
    }

    async fn list_folders(
        &self,
        request: Request<pb::ListFoldersRequest>,
    ) -> Answer<pb::ListFoldersResponse> {
        answer(self.folders(request).await?)
    }

    async fn get_folder(
        &self,
        request: Request<pb::GetFolderRequest>,
    ) -> Answer<pb::GetFolderResponse> {
        answer(pb::GetFolderResponse { folder: Some(self.folder(request).await?) })
    }

    async fn get_folder_subtree(
        &self,
        request: Request<pb::GetFolderSubtreeRequest>,
    ) -> Answer<pb::GetFolderSubtreeResponse> {
        answer(self.subtree(request).await?)
    }

    async fn create_folder(
        &self,
        request: Request<pb::CreateFolderRequest>,
    ) -> Answer<pb::CreateFolderResponse> {
        answer(pb::CreateFolderResponse { folder: Some(self.new_folder(request).await?) })
    }

    async fn update_folder(
        &self,
        request: Request<pb::UpdateFolderRequest>,
    ) -> Answer<pb::UpdateFolderResponse> {
        answer(pb::UpdateFolderResponse { folder: Some(self.change_folder(request).await?) })
    }

    async fn delete_folder(
        &self,
        request: Request<pb::DeleteFolderRequest>,
    ) -> Answer<pb::DeleteFolderResponse> {
        answer(self.drop_folder(request).await?)
    }

    async fn move_folder(
        &self,
        request: Request<pb::MoveFolderRequest>,
    ) -> Answer<pb::MoveFolderResponse> {
        answer(pb::MoveFolderResponse { folder: Some(self.relocate_folder(request).await?) })
    }

    async fn list_categories(
        &self,
        request: Request<pb::ListCategoriesRequest>,
    ) -> Answer<pb::ListCategoriesResponse> {
        answer(self.categories(request).await?)
    }

    async fn get_category(
        &self,
        request: Request<pb::GetCategoryRequest>,
    ) -> Answer<pb::GetCategoryResponse> {
        answer(pb::GetCategoryResponse { category: Some(self.category(request).await?) })
    }

    async fn create_category(
        &self,
        request: Request<pb::CreateCategoryRequest>,
    ) -> Answer<pb::CreateCategoryResponse> {
        answer(pb::CreateCategoryResponse { category: Some(self.new_category(request).await?) })
    }

    async fn update_category(
        &self,
        request: Request<pb::UpdateCategoryRequest>,
    ) -> Answer<pb::UpdateCategoryResponse> {
        answer(pb::UpdateCategoryResponse { category: Some(self.change_category(request).await?) })
    }

    async fn delete_category(
        &self,
        request: Request<pb::DeleteCategoryRequest>,
    ) -> Answer<pb::DeleteCategoryResponse> {
        answer(self.drop_category(request).await?)
    }

    async fn search_trees(
        &self,
        request: Request<pb::SearchTreesRequest>,
    ) -> Answer<pb::SearchTreesResponse> {
        answer(self.found_trees(request).await?)
    }

    async fn watch_changes(
        &self,
        request: Request<pb::WatchChangesRequest>,
    ) -> Answer<Self::WatchChangesStream> {
        answer(self.changes(request).await?)
    }

    async fn export_trees(
        &self,
        request: Request<pb::ExportTreesRequest>,
    ) -> Answer<Self::ExportTreesStream> {
        answer(self.exported_trees(request).await?)
    }

    async fn import_trees(
        &self,
        request: Request<Streaming<pb::ImportTreesRequest>>,
    ) -> Answer<pb::ImportTreesResponse> {
        answer(self.imported_trees(request).await?)
    }
}
