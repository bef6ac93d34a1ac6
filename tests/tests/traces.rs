//! One trace for all that is done for a call, whoever does it.

#![expect(clippy::unwrap_used, reason = "a test panics on what it did not expect")]

use client_sdk::{Reauth, Session, TraceContext};
use evergreen_proto::api::v1::{ListTreesRequest, api_service_client::ApiServiceClient};
use tests::{PASSWORD, World, channel, with_metadata};
use tonic::{Code, Request, transport::Channel};
use tower::Layer as _;

async fn signed_in(world: &World) -> ApiServiceClient<Reauth<Channel>> {
    world.register("ada").await;
    let session = Session::builder(world.auth.url())
        .proactive(false)
        .clock(world.clock.clone())
        .connect()
        .await
        .unwrap();
    session.login("ada", PASSWORD).await.unwrap();
    ApiServiceClient::new(session.layer().layer(channel(world.api.address)))
}

/// What both services have served since the last time, in the order in which it ended there.
fn served(world: &World) -> Vec<(String, Code, TraceContext, Option<String>)> {
    let seen = world.api_seen.take().into_iter().chain(world.auth_seen.take());
    let seen = seen.map(|seen| {
        let parent = seen.parent.map(|parent| parent.to_string());
        (seen.method, seen.code, seen.span.unwrap(), parent)
    });
    seen.collect()
}

#[tokio::test]
async fn a_refused_call_its_refresh_and_its_replay_are_one_trace() {
    let world = World::start().await;
    let mut api = signed_in(&world).await;
    served(&world);
    // ApiService fetches the keys for this one, and says for whom.
    api.list_trees(ListTreesRequest::default()).await.unwrap();
    let first = served(&world);
    let methods: Vec<_> = first.iter().map(|(method, code, ..)| (method.as_str(), *code)).collect();
    assert_eq!(methods, [("ListTrees", Code::Ok), ("GetJwks", Code::Ok)]);
    assert_eq!(first[1].2.trace_id(), first[0].2.trace_id());
    assert_eq!(first[1].3, Some(first[0].2.span_id().to_string()), "its parent is the call");

    world.access_tokens_run_out();
    api.list_trees(ListTreesRequest::default()).await.unwrap();
    let second = served(&world);
    let calls = second.iter().filter(|(method, ..)| method != "GetJwks");
    let calls: Vec<_> = calls.map(|(method, code, ..)| (method.as_str(), *code)).collect();
    let expected =
        [("ListTrees", Code::Unauthenticated), ("ListTrees", Code::Ok), ("Refresh", Code::Ok)];
    assert_eq!(calls, expected);
    let trace = second[0].2.trace_id();
    assert_ne!(trace, first[0].2.trace_id(), "another call, another trace");
    assert!(second.iter().all(|(_, _, span, _)| span.trace_id() == trace), "{second:?}");
}

#[tokio::test]
async fn the_application_s_trace_goes_on() {
    let world = World::start().await;
    let mut api = signed_in(&world).await;
    let sent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let theirs = TraceContext::parse(sent.as_bytes()).unwrap();
    let by_metadata = with_metadata(Request::new(ListTreesRequest::default()), "traceparent", sent);
    let by_task = Request::new(ListTreesRequest::default());
    served(&world);
    world.access_tokens_run_out();
    api.list_trees(by_metadata).await.unwrap();
    world.access_tokens_run_out();
    theirs.scope(api.list_trees(by_task)).await.unwrap();
    let served = served(&world);
    for (method, code, span, parent) in &served {
        assert_eq!(span.trace_id(), theirs.trace_id(), "{method} {code:?}");
        if method != "GetJwks" {
            assert_eq!(*parent, Some(theirs.span_id().to_string()), "{method} {code:?}");
        }
    }
    assert_eq!(served.iter().filter(|(method, ..)| method == "Refresh").count(), 2);
    assert_eq!(served.iter().filter(|(method, ..)| method == "ListTrees").count(), 4);
}
