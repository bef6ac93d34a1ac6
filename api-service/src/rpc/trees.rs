//! Trees.

use evergreen_proto::api::v1 as pb;
use tonic::{Request, Status};

use super::{
    convert::{TREE_FIELDS, caller, page_request, required, status, tree_edit},
    mask::Mask,
    service::{Rpc, bad},
    status::IntoStatus as _,
};
use crate::{
    app::{AppError, TreeQuery},
    domain::{
        etag::Etag,
        id::{self, CategoryId, FolderId, TreeId},
    },
};

impl Rpc {
    pub(super) async fn trees(
        &self,
        request: Request<pb::ListTreesRequest>,
    ) -> Result<pb::ListTreesResponse, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let query = TreeQuery {
            category_id: id::optional("category_id", &request.category_id, CategoryId::parse)
                .map_err(bad)?,
            folder_id: id::optional("folder_id", &request.folder_id, FolderId::parse)
                .map_err(bad)?,
            status: status("status", request.status).map_err(bad)?,
            mine: request.mine,
        };
        let page = page_request(request.page_size, request.page_token).map_err(bad)?;
        let page =
            self.app.list_trees(&caller, query, &page).await.map_err(AppError::into_status)?;
        Ok(pb::ListTreesResponse {
            trees: page.items.into_iter().map(Into::into).collect(),
            next_page_token: page.next_token,
        })
    }

    pub(super) async fn tree(
        &self,
        request: Request<pb::GetTreeRequest>,
    ) -> Result<pb::Tree, Status> {
        let caller = caller(&request)?;
        let id = TreeId::parse("tree_id", &request.get_ref().tree_id).map_err(bad)?;
        Ok(self.app.tree(&caller, id).await.map_err(AppError::into_status)?.into())
    }

    pub(super) async fn new_tree(
        &self,
        request: Request<pb::CreateTreeRequest>,
    ) -> Result<pb::Tree, Status> {
        let caller = caller(&request)?;
        let tree = required("tree", request.into_inner().tree).map_err(bad)?;
        let edit = tree_edit(tree, &Mask::all()).map_err(bad)?;
        Ok(self.app.create_tree(&caller, edit).await.map_err(AppError::into_status)?.into())
    }

    pub(super) async fn change_tree(
        &self,
        request: Request<pb::UpdateTreeRequest>,
    ) -> Result<pb::Tree, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let mut tree = required("tree", request.tree).map_err(bad)?;
        let id = TreeId::parse("tree.tree_id", &tree.tree_id).map_err(bad)?;
        let etag = Etag::from_request(std::mem::take(&mut tree.etag));
        let mask = Mask::parse(request.update_mask, &TREE_FIELDS).map_err(bad)?;
        let edit = tree_edit(tree, &mask).map_err(bad)?;
        let tree = self.app.update_tree(&caller, id, etag, edit).await;
        Ok(tree.map_err(AppError::into_status)?.into())
    }
}
