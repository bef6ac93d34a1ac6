//! Search.

use evergreen_proto::api::v1 as pb;
use tonic::{Request, Status};

use super::{
    convert::{caller, page_request},
    service::{Rpc, bad},
    status::IntoStatus as _,
};
use crate::{
    app::{AppError, Hit},
    domain::{page::PageRequest, search::Query},
};

impl Rpc {
    pub(super) async fn found_trees(
        &self,
        request: Request<pb::SearchTreesRequest>,
    ) -> Result<pb::SearchTreesResponse, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let query = Query::parse("query", &request.query).map_err(bad)?;
        let page = page_request(request.page_size, request.page_token).map_err(bad)?;
        let page = PageRequest { size: page.size.of_few(), ..page };
        let page =
            self.app.search_trees(&caller, &query, &page).await.map_err(AppError::into_status)?;
        Ok(pb::SearchTreesResponse {
            results: page.items.into_iter().map(Into::into).collect(),
            next_page_token: page.next_token,
        })
    }
}

impl From<Hit> for pb::SearchResult {
    fn from(hit: Hit) -> Self {
        let Hit { tree, snippet } = hit;
        Self { tree: Some(tree.into()), snippet: snippet.text, field: snippet.field }
    }
}
