//! Categories.

use evergreen_proto::api::v1 as pb;
use tonic::{Request, Status};

use super::{
    convert::{
        CATEGORY_FIELDS, caller, category_edit, count, new_category, page_request, required,
    },
    mask::Mask,
    service::{Rpc, bad},
    status::IntoStatus as _,
};
use crate::{
    app::AppError,
    domain::{
        etag::Etag,
        id::{self, CategoryId},
    },
};

impl Rpc {
    pub(super) async fn categories(
        &self,
        request: Request<pb::ListCategoriesRequest>,
    ) -> Result<pb::ListCategoriesResponse, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let page = page_request(request.page_size, request.page_token).map_err(bad)?;
        let page = self.app.list_categories(&caller, &page).await.map_err(AppError::into_status)?;
        Ok(pb::ListCategoriesResponse {
            categories: page.items.into_iter().map(Into::into).collect(),
            next_page_token: page.next_token,
        })
    }

    pub(super) async fn category(
        &self,
        request: Request<pb::GetCategoryRequest>,
    ) -> Result<pb::Category, Status> {
        let caller = caller(&request)?;
        let id = CategoryId::parse("category_id", &request.get_ref().category_id).map_err(bad)?;
        Ok(self.app.category(&caller, id).await.map_err(AppError::into_status)?.into())
    }

    pub(super) async fn new_category(
        &self,
        request: Request<pb::CreateCategoryRequest>,
    ) -> Result<pb::Category, Status> {
        let caller = caller(&request)?;
        let category = required("category", request.into_inner().category).map_err(bad)?;
        let content = new_category(category).map_err(bad)?;
        let category = self.app.create_category(&caller, content).await;
        Ok(category.map_err(AppError::into_status)?.into())
    }

    pub(super) async fn change_category(
        &self,
        request: Request<pb::UpdateCategoryRequest>,
    ) -> Result<pb::Category, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let mut category = required("category", request.category).map_err(bad)?;
        let id = CategoryId::parse("category.category_id", &category.category_id).map_err(bad)?;
        let etag = Etag::from_request(std::mem::take(&mut category.etag));
        let mask = Mask::parse(request.update_mask, &CATEGORY_FIELDS).map_err(bad)?;
        let edit = category_edit(category, &mask).map_err(bad)?;
        let category = self.app.update_category(&caller, id, etag, edit).await;
        Ok(category.map_err(AppError::into_status)?.into())
    }

    pub(super) async fn drop_category(
        &self,
        request: Request<pb::DeleteCategoryRequest>,
    ) -> Result<pb::DeleteCategoryResponse, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let id = CategoryId::parse("category_id", &request.category_id).map_err(bad)?;
        let into = id::optional("move_trees_to", &request.move_trees_to, CategoryId::parse);
        let etag = Etag::from_request(request.etag);
        let moved = match into.map_err(bad)? {
            Some(into) => self.app.merge_category(&caller, id, etag, into).await,
            None => self.app.delete_category(&caller, id, etag).await.map(|()| 0),
        };
        let moved_tree_count = count(moved.map_err(AppError::into_status)?);
        Ok(pb::DeleteCategoryResponse { moved_tree_count })
    }
}
