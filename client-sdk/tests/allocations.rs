//! What the layer adds to a call that succeeds: counted, not timed.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

#[path = "common/null.rs"]
mod null;

use bytes::Bytes;
use client_sdk::{
    Session,
    testing::{ScriptedRefresher, pair},
};
use evergreen_proto::api::v1::{ListTreesRequest, api_service_client::ApiServiceClient};
use http_body::Body as HttpBody;
use null::Null;
use tonic::body::Body;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Blocks allocated by `CALLS` calls, after as many that were not counted.
async fn blocks<S>(mut client: ApiServiceClient<S>) -> u64
where
    S: tonic::client::GrpcService<Body>,
    S::Error: Into<tonic::codegen::StdError>,
    S::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
    <S::ResponseBody as HttpBody>::Error: Into<tonic::codegen::StdError> + Send,
{
    for _ in 0..CALLS {
        client.list_trees(ListTreesRequest::default()).await.unwrap();
    }
    let before = dhat::HeapStats::get().total_blocks;
    for _ in 0..CALLS {
        client.list_trees(ListTreesRequest::default()).await.unwrap();
    }
    dhat::HeapStats::get().total_blocks - before
}

const CALLS: u64 = 1_000;

#[test]
fn a_call_that_succeeds_costs_three_allocations_more_than_without_the_layer() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let session = Session::custom(ScriptedRefresher::new()).connect().await.unwrap();
        session.set_tokens(pair(0)).await.unwrap();
        let layered = tower::ServiceBuilder::new().layer(session.layer()).service(Null);

        let _counting = dhat::Profiler::builder().testing().build();
        let bare = blocks(ApiServiceClient::new(Null)).await;
        let with_layer = blocks(ApiServiceClient::new(layered)).await;
        println!(
            "allocations per call: {} bare, {} through the layer",
            bare / CALLS,
            with_layer / CALLS
        );
        assert_eq!(with_layer - bare, 3 * CALLS);
    });
}
