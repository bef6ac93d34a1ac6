//! What the layer adds to a call that succeeds: counted, not timed.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

use std::{
    convert::Infallible,
    future::{Ready, ready},
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use client_sdk::{
    Session,
    testing::{ScriptedRefresher, pair},
};
use evergreen_proto::api::v1::{ListTreesRequest, api_service_client::ApiServiceClient};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::{Status, body::Body};
use tower::Service;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Reads the request, as a transport would, and answers with one empty message.
#[derive(Clone)]
struct Null;

impl Service<Request<Body>> for Null {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut body = request.into_body();
        let mut cx = Context::from_waker(Waker::noop());
        while !body.is_end_stream() {
            match Pin::new(&mut body).poll_frame(&mut cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(None) => break,
                Poll::Ready(Some(Err(status))) => panic!("{status}"),
                Poll::Pending => panic!("a unary request is there at once"),
            }
        }
        ready(Ok(Response::new(Body::new(Answer::Message))))
    }
}

enum Answer {
    Message,
    Trailers,
    Ended,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let (next, frame) = match *self {
            Self::Message => (Self::Trailers, Frame::data(Bytes::from_static(&[0; 5]))),
            Self::Trailers => {
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", HeaderValue::from_static("0"));
                (Self::Ended, Frame::trailers(trailers))
            }
            Self::Ended => return Poll::Ready(None),
        };
        *self = next;
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Ended)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

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
fn a_call_that_succeeds_costs_two_allocations_more_than_without_the_layer() {
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
        assert_eq!(with_layer - bare, 2 * CALLS);
    });
}
