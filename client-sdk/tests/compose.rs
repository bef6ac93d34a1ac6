//! The layer among others: above and below it, poll by poll.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

mod common;

use std::{fmt, time::Duration};

use client_sdk::{
    RefreshFuture, RefreshRequest, Refresher, Renewal, Session,
    testing::{ScriptedRefresher, Step, pair},
};
use common::{Server, expired, ok, request, settle, signed_in, status_of};
use http::{Request, Response};
use tonic::{Code, Status, body::Body};
use tower::{Service, ServiceBuilder, ServiceExt as _};
use tower_test::mock;

type Mock = mock::Handle<Request<Body>, Response<Body>>;

fn token_of(request: &Request<Body>) -> &str {
    request.headers()["authorization"].to_str().unwrap().trim_start_matches("Bearer ")
}

async fn next(handle: &mut Mock, token: &str) -> mock::SendResponse<Response<Body>> {
    let (request, respond) = handle.next_request().await.unwrap();
    assert_eq!(token_of(&request), token);
    respond
}

fn plain() -> Request<Body> {
    request("/p.S/M", Body::empty())
}

#[tokio::test(start_paused = true)]
async fn it_is_as_ready_as_what_is_below() {
    let session = signed_in(&ScriptedRefresher::new(), |b| b).await;
    let (mut service, mut handle) = mock::spawn_layer(session.layer());
    handle.allow(0);
    tokio_test::assert_pending!(service.poll_ready());
    handle.allow(1);
    tokio_test::assert_ready_ok!(service.poll_ready());
    let mut call = tokio_test::task::spawn(service.call(plain()));
    tokio_test::assert_pending!(call.poll());
    next(&mut handle, "access-0").await.send_response(ok());
    assert_eq!(status_of(call.await.unwrap()).await.code(), Code::Ok);
}

#[tokio::test(start_paused = true)]
async fn a_replay_waits_until_what_is_below_is_ready_again() {
    let refresher = ScriptedRefresher::new();
    let session = signed_in(&refresher, |b| b).await;
    let (mut service, mut handle) = mock::spawn_layer(session.layer());
    handle.allow(1);
    tokio_test::assert_ready_ok!(service.poll_ready());
    let mut call = tokio_test::task::spawn(service.call(plain()));
    next(&mut handle, "access-0").await.send_response(expired());
    tokio_test::assert_pending!(call.poll());
    refresher.reached(1).await;
    settle().await;
    // The token is there, the permission to send is not.
    tokio_test::assert_pending!(call.poll());
    tokio_test::assert_pending!(handle.poll_request());
    handle.allow(1);
    assert!(call.is_woken());
    tokio_test::assert_pending!(call.poll());
    next(&mut handle, "access-1").await.send_response(ok());
    assert_eq!(status_of(call.await.unwrap()).await.code(), Code::Ok);
}

#[tokio::test(start_paused = true)]
async fn a_transport_that_fails_is_the_callers_error_and_no_refresh() {
    let refresher = ScriptedRefresher::new();
    let session = signed_in(&refresher, |b| b).await;
    let (mut service, mut handle) = mock::spawn_layer(session.layer());
    handle.allow(2);
    tokio_test::assert_ready_ok!(service.poll_ready());
    let call = service.call(plain());
    next(&mut handle, "access-0").await.send_error("the wire is cut");
    assert_eq!(call.await.unwrap_err().to_string(), "the wire is cut");

    tokio_test::assert_ready_ok!(service.poll_ready());
    let mut call = tokio_test::task::spawn(service.call(plain()));
    next(&mut handle, "access-0").await.send_response(expired());
    tokio_test::assert_pending!(call.poll());
    settle().await;
    handle.allow(1);
    tokio_test::assert_pending!(call.poll());
    next(&mut handle, "access-1").await.send_error("the wire is cut again");
    assert_eq!(call.await.unwrap_err().to_string(), "the wire is cut again");
    assert_eq!(refresher.count(), 1);
}

/// Sends a hundred calls at once through clones of `service`, and expects each to succeed.
async fn a_hundred_calls<S, E>(service: S)
where
    S: Service<Request<Body>, Response = Response<Body>, Error = E> + Clone + Send + 'static,
    S::Future: Send,
    E: fmt::Debug + Send + 'static,
{
    let calls: Vec<_> = (0..100).map(|_| tokio::spawn(service.clone().oneshot(plain()))).collect();
    for call in calls {
        assert_eq!(status_of(call.await.unwrap().unwrap()).await.code(), Code::Ok);
    }
}

/// A server that refuses the first token, and takes its time over each call.
fn refusing() -> Server {
    Server { latency: Duration::from_millis(10), ..Server::refusing("access-0") }
}

// One permit for all: a call that kept it while it waits for the refresh or for its replay would
// wait for itself.
#[tokio::test(start_paused = true)]
async fn a_concurrency_limit_of_one_below_does_not_deadlock() {
    let refresher = ScriptedRefresher::new();
    let session = signed_in(&refresher, |b| b).await;
    let limited = ServiceBuilder::new().concurrency_limit(1).service(refusing());
    a_hundred_calls(ServiceBuilder::new().layer(session.layer()).service(limited)).await;
    assert_eq!(refresher.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_concurrency_limit_above_does_not_deadlock() {
    let refresher = ScriptedRefresher::new();
    let session = signed_in(&refresher, |b| b).await;
    let stack = ServiceBuilder::new().concurrency_limit(2).layer(session.layer());
    a_hundred_calls(stack.service(refusing())).await;
    assert_eq!(refresher.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn buffers_of_one_above_and_below_do_not_deadlock() {
    let refresher = ScriptedRefresher::new();
    let session = signed_in(&refresher, |b| b).await;
    let stack = ServiceBuilder::new().buffer(1).layer(session.layer()).buffer(1);
    a_hundred_calls(stack.service(refusing())).await;
    assert_eq!(refresher.count(), 1);
}

/// Refreshes over the very channel that the calls go over.
struct Over<S>(S);

impl<S> fmt::Debug for Over<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Over")
    }
}

impl<S> Refresher for Over<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: fmt::Debug,
{
    fn refresh(&self, _: RefreshRequest) -> RefreshFuture<'_> {
        let channel = self.0.clone();
        Box::pin(async move {
            channel.oneshot(plain()).await.unwrap();
            Renewal::Renewed(pair(1))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_its_token_reserves_nothing_below() {
    let server = Server::refusing("access-0");
    let limited = ServiceBuilder::new().concurrency_limit(1).service(server.clone());
    let session = Session::custom(Over(limited.clone())).connect().await.unwrap();
    session.set_tokens(pair(0).access_expires_in(Duration::ZERO)).await.unwrap();
    a_hundred_calls(ServiceBuilder::new().layer(session.layer()).service(limited)).await;
    assert_eq!(server.count(), 101);
}

// Fault 3.
#[tokio::test(start_paused = true)]
async fn a_timeout_above_drops_its_call_and_the_refresh_serves_the_next() {
    let refresher = ScriptedRefresher::new().then(Step::Hold);
    let session = signed_in(&refresher, |b| b).await;
    let server = Server::refusing("access-0");
    let mut hasty = ServiceBuilder::new()
        .timeout(Duration::from_secs(1))
        .layer(session.layer())
        .service(server.clone());
    let dropped = hasty.ready().await.unwrap().call(plain()).await;
    assert!(dropped.unwrap_err().is::<tower::timeout::error::Elapsed>());
    refresher.release();
    settle().await;
    let next = hasty.ready().await.unwrap().call(plain()).await.unwrap();
    assert_eq!(status_of(next).await.code(), Code::Ok);
    assert_eq!(refresher.count(), 1);
    assert_eq!(server.tokens(), ["access-0", "access-1"]);
}

#[tokio::test(start_paused = true)]
async fn what_load_shedding_below_turns_away_is_no_refusal() {
    let refresher = ScriptedRefresher::new();
    let session = signed_in(&refresher, |b| b).await;
    let shedding = ServiceBuilder::new().load_shed().concurrency_limit(1).service(refusing());
    let mut service = ServiceBuilder::new().layer(session.layer()).service(shedding);
    let first = service.ready().await.unwrap().call(plain());
    let second = service.ready().await.unwrap().call(plain());
    assert!(second.await.unwrap_err().is::<tower::load_shed::error::Overloaded>());
    assert_eq!(status_of(first.await.unwrap()).await.code(), Code::Ok);
    assert_eq!(refresher.count(), 1);
}

// Two layers over one channel: the one nearest to the caller decides.
#[tokio::test(start_paused = true)]
async fn a_layer_leaves_alone_what_a_layer_above_has_authenticated() {
    let (hers, his) = (ScriptedRefresher::new(), ScriptedRefresher::new());
    let outer = signed_in(&hers, |b| b).await;
    let inner = signed_in(&his, |b| b).await;
    inner.set_tokens(client_sdk::TokenPair::new("inner")).await.unwrap();
    let server = Server::refusing("access-0");
    let stack = ServiceBuilder::new().layer(outer.layer()).layer(inner.layer());
    let response = stack.service(server.clone()).oneshot(plain()).await.unwrap();
    assert_eq!(Status::from_header_map(response.headers()).unwrap().code(), Code::Ok);
    assert_eq!(server.tokens(), ["access-0", "access-1"]);
    assert_eq!((hers.count(), his.count()), (1, 0));
}
