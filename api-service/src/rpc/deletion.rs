//! Deleted trees.

use evergreen_proto::api::v1 as pb;
use tonic::{Request, Status};

use super::{
    convert::{caller, page_request},
    service::{Rpc, bad},
    status::IntoStatus as _,
};
use crate::{
    app::AppError,
    domain::{etag::Etag, id::TreeId},
};

impl Rpc {
    pub(super) async fn drop_tree(
        &self,
        request: Request<pb::DeleteTreeRequest>,
    ) -> Result<pb::Tree, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let id = TreeId::parse("tree_id", &request.tree_id).map_err(bad)?;
        let etag = Etag::from_request(request.etag);
        let tree = self.app.delete_tree(&caller, id, etag).await;
        Ok(tree.map_err(AppError::into_status)?.into())
    }

    pub(super) async fn bring_back(
        &self,
        request: Request<pb::UndeleteTreeRequest>,
    ) -> Result<pb::Tree, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let id = TreeId::parse("tree_id", &request.tree_id).map_err(bad)?;
        let etag = Etag::from_request(request.etag);
        let tree = self.app.undelete_tree(&caller, id, etag).await;
        Ok(tree.map_err(AppError::into_status)?.into())
    }

    pub(super) async fn deleted_trees(
        &self,
        request: Request<pb::ListDeletedTreesRequest>,
    ) -> Result<pb::ListDeletedTreesResponse, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let page = page_request(request.page_size, request.page_token).map_err(bad)?;
        let page = self.app.list_deleted_trees(&caller, &page).await;
        let page = page.map_err(AppError::into_status)?;
        Ok(pb::ListDeletedTreesResponse {
            trees: page.items.into_iter().map(Into::into).collect(),
            next_page_token: page.next_token,
        })
    }
}
