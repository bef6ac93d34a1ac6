//! A stream over a real connection ends when its session is revoked.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

#[path = "common/guarded.rs"]
mod guarded;

use std::{sync::Arc, time::Duration};

use client_sdk::guard::{Guard, GuardLayer, KeyCache, Keys, Policy, Revocations};
use guarded::{OneKey, Told, bearers, revoked};
use http::header::AUTHORIZATION;
use token::{
    SigningKey,
    clock::{ManualClock, Timestamp},
    entropy::SeededEntropy,
};
use tokio::net::TcpListener;
use tonic::{
    Code, Request, Streaming,
    metadata::MetadataValue,
    transport::{Channel, Endpoint, Server, server::TcpIncoming},
};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_client::HealthClient};
use tonic_types::StatusExt as _;
use tower_layer::Layer as _;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const WATCH: &str = "/grpc.health.v1.Health/Watch";

#[tokio::test]
async fn a_stream_of_a_revoked_session_ends_and_its_connection_goes_on() {
    let clock = Arc::new(ManualClock::at(NOW));
    let key = SigningKey::generate(&SeededEntropy::new(1));
    let keys = [key.public().clone()].into_iter().collect();
    let keys = OneKey(Keys { keys, max_age: Duration::from_secs(300) });
    let (tell, source) = Told::new();
    let guard = Guard::new("evergreen", "evergreen", KeyCache::new(keys, clock.clone()))
        .revocations(Revocations::of(source, clock).follow());

    let (health, service) = tonic_health::server::health_reporter();
    let policy = Policy::deny_all().authenticated(WATCH);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = Server::builder().add_service(GuardLayer::new(guard, policy).layer(service));
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));

    let channel = Endpoint::from_shared(url).unwrap().connect_lazy();
    let bearers: Vec<_> = bearers(&key, NOW, 2)
        .iter()
        .map(|headers| headers[AUTHORIZATION].to_str().unwrap().parse().unwrap())
        .collect();
    let mut revoked_one = watch(&channel, &bearers[0]).await;
    let mut other = watch(&channel, &bearers[1]).await;
    for stream in [&mut revoked_one, &mut other] {
        stream.message().await.unwrap().unwrap();
    }
    tell.send(revoked(["live-0".to_owned()].into_iter(), NOW)).unwrap();
    let ended = revoked_one.message().await.unwrap_err();
    assert_eq!(ended.code(), Code::Unauthenticated);
    assert_eq!(ended.get_details_error_info().unwrap().reason, "SESSION_REVOKED");
    health.set_service_status("", tonic_health::ServingStatus::NotServing).await;
    assert!(other.message().await.unwrap().is_some(), "the other one goes on");
    let refused = HealthClient::new(channel).watch(request(&bearers[0])).await.unwrap_err();
    assert_eq!(refused.get_details_error_info().unwrap().reason, "SESSION_REVOKED");
}

type Bearer = MetadataValue<tonic::metadata::Ascii>;

async fn watch(channel: &Channel, bearer: &Bearer) -> Streaming<HealthCheckResponse> {
    let answer = HealthClient::new(channel.clone()).watch(request(bearer)).await;
    answer.unwrap().into_inner()
}

fn request(bearer: &Bearer) -> Request<HealthCheckRequest> {
    let mut request = Request::new(HealthCheckRequest::default());
    request.metadata_mut().insert("authorization", bearer.clone());
    request
}
