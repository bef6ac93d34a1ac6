//! What trees read at each time.

use evergreen_proto::api::v1 as pb;
use tonic::{Request, Status};

use super::{
    convert::{caller, page_request},
    service::{Rpc, bad},
    status::IntoStatus as _,
};
use crate::{
    app::AppError,
    domain::{etag::Etag, id::TreeId, revision},
};

impl Rpc {
    pub(super) async fn revisions(
        &self,
        request: Request<pb::ListTreeRevisionsRequest>,
    ) -> Result<pb::ListTreeRevisionsResponse, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let id = TreeId::parse("tree_id", &request.tree_id).map_err(bad)?;
        let page = page_request(request.page_size, request.page_token).map_err(bad)?;
        let page = self.app.list_revisions(&caller, id, &page).await;
        let page = page.map_err(AppError::into_status)?;
        Ok(pb::ListTreeRevisionsResponse {
            revisions: page.items.into_iter().map(Into::into).collect(),
            next_page_token: page.next_token,
        })
    }

    pub(super) async fn revision(
        &self,
        request: Request<pb::GetTreeRevisionRequest>,
    ) -> Result<pb::TreeRevision, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let id = TreeId::parse("tree_id", &request.tree_id).map_err(bad)?;
        let number = revision::number("revision", request.revision).map_err(bad)?;
        let revision = self.app.revision(&caller, id, number).await;
        Ok(revision.map_err(AppError::into_status)?.into())
    }

    pub(super) async fn roll_back(
        &self,
        request: Request<pb::RollbackTreeRequest>,
    ) -> Result<pb::Tree, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let id = TreeId::parse("tree_id", &request.tree_id).map_err(bad)?;
        let number = revision::number("revision", request.revision).map_err(bad)?;
        let etag = Etag::from_request(request.etag);
        let tree = self.app.roll_back_tree(&caller, id, number, etag).await;
        Ok(tree.map_err(AppError::into_status)?.into())
    }
}
