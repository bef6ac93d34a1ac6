//! Answers lost, services restarted, services gone: the session is kept.

#![expect(clippy::unwrap_used, reason = "a test panics on what it did not expect")]

use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use cli::lab::LossyProxy;
use client_sdk::{
    AuthenticationError, Event, OnUnreachable, Session, SignOutReason,
    store::{FileStore, MemoryStore},
};
use evergreen_proto::api::v1::{ListTreesRequest, api_service_client::ApiServiceClient};
use tests::{PASSWORD, World, channel};
use tonic::Code;
use tower::Layer as _;

async fn list(session: &Session, world: &World) -> Result<(), tonic::Status> {
    let channel = session.layer().layer(channel(world.api.address));
    ApiServiceClient::new(channel).list_trees(ListTreesRequest::default()).await.map(drop)
}

/// Fault 18, over a network that loses the answer.
#[tokio::test]
async fn a_lost_answer_costs_nothing() {
    let world = World::start().await;
    world.register("ada").await;
    let proxy = LossyProxy::start(world.auth.address).await.unwrap();
    let session = Session::builder(proxy.url()).connect().await.unwrap();
    session.login("ada", PASSWORD).await.unwrap();
    proxy.lose_answers();
    world.auth_seen.take();
    let refresh = tokio::spawn({
        let session = session.clone();
        async move { session.refresh().await }
    });
    world.auth_seen.ended("Refresh", 1).await;
    proxy.mend();
    refresh.await.unwrap().unwrap();
    assert_eq!(world.auth_seen.count("Refresh", Code::Ok), 2, "the attempt was repeated once");
    session.refresh().await.unwrap();
    list(&session, &world).await.unwrap();
}

#[tokio::test]
async fn a_session_survives_a_restart_of_either_service() {
    let mut world = World::start().await;
    world.register("ada").await;
    let session = Session::builder(world.auth.url()).connect().await.unwrap();
    session.login("ada", PASSWORD).await.unwrap();
    list(&session, &world).await.unwrap();
    world = world.restart_auth().await;
    list(&session, &world).await.unwrap();
    session.refresh().await.unwrap();
    world = world.restart_api().await;
    list(&session, &world).await.unwrap();
    world.access_tokens_run_out();
    list(&session, &world).await.unwrap();
}

/// Fault 19, without the crash: the store alone carries the session over.
#[tokio::test]
async fn a_session_survives_a_restart_of_the_client() {
    let world = World::start().await;
    world.register("ada").await;
    let path = world.data_dir().join("tokens.json");
    let connect = async || {
        let store = FileStore::open(&path).unwrap();
        Session::builder(world.auth.url()).store(store).connect().await.unwrap()
    };
    let first = connect().await;
    first.login("ada", PASSWORD).await.unwrap();
    let id = first.verify().await.unwrap().session_id;
    drop(first);
    world.access_tokens_run_out();
    world.auth_seen.take();
    let second = connect().await;
    list(&second, &world).await.unwrap();
    assert_eq!(second.verify().await.unwrap().session_id, id);
    assert_eq!(world.auth_seen.count("Login", Code::Ok), 0);
    assert_eq!(world.auth_seen.count("Refresh", Code::Ok), 1);
}

#[tokio::test]
async fn a_session_past_its_life_is_signed_out_with_one_event_and_a_typed_error() {
    let world = World::start().await;
    world.register("ada").await;
    let session = Session::builder(world.auth.url()).connect().await.unwrap();
    session.login("ada", PASSWORD).await.unwrap();
    let mut events = session.events();
    world.clock.advance(Duration::from_secs(8 * 86_400));
    world.auth_seen.take();
    let status = list(&session, &world).await.unwrap_err();
    let error = AuthenticationError::from_status(&status);
    assert!(
        matches!(&error, Some(AuthenticationError::Rejected { reason }) if reason == "REFRESH_TOKEN_EXPIRED"),
        "{error:?}"
    );
    // Later calls fail at once, without asking anybody.
    world.api_seen.take();
    let status = list(&session, &world).await.unwrap_err();
    assert!(matches!(
        AuthenticationError::from_status(&status),
        Some(AuthenticationError::SignedOut { .. })
    ));
    assert_eq!(world.api_seen.take().len(), 0);
    assert_eq!(world.auth_seen.count("Refresh", Code::Unauthenticated), 1);
    assert_eq!(world.auth_seen.count("Refresh", Code::Ok), 0);
    let told: Vec<Event> = std::iter::from_fn(|| events.try_recv()).collect();
    let expected = SignOutReason::Rejected("REFRESH_TOKEN_EXPIRED".into());
    assert_eq!(told, [Event::SignedOut { reason: expected }]);
}

/// A client of an AuthService that is not there, and a token that has run out.
async fn outage(world: &World, policy: OnUnreachable) -> (Session, AuthenticationError) {
    world.register("ada").await;
    let proxy = LossyProxy::start(world.auth.address).await.unwrap();
    let session = Session::builder(proxy.url())
        .store(MemoryStore::new())
        .on_unreachable(policy)
        .budget(Duration::from_millis(300))
        .connect()
        .await
        .unwrap();
    session.login("ada", PASSWORD).await.unwrap();
    drop(proxy);
    world.access_tokens_run_out();
    let status = list(&session, world).await.unwrap_err();
    (session, AuthenticationError::from_status(&status).expect("an authentication error"))
}

#[tokio::test]
async fn an_outage_keeps_the_session() {
    let world = World::start().await;
    let (session, error) = outage(&world, OnUnreachable::Keep).await;
    assert!(matches!(error, AuthenticationError::Unreachable { .. }), "{error:?}");
    assert!(session.access_token().is_some());
}

#[tokio::test]
async fn an_outage_ends_the_session_of_a_client_that_chose_so() {
    let world = World::start().await;
    let (session, _) = outage(&world, OnUnreachable::SignOut).await;
    assert!(session.access_token().is_none());
}

/// A log that a test can read.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_token_rpcs_bypass_the_layer_and_the_log_says_so() {
    use evergreen_proto::auth::v1::{GetJwksRequest, auth_service_client::AuthServiceClient};
    let world = World::start().await;
    world.register("ada").await;
    let session = Session::builder(world.auth.url()).connect().await.unwrap();
    session.login("ada", PASSWORD).await.unwrap();
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing_subscriber::util::SubscriberInitExt::set_default(subscriber);
    let channel = session.layer().layer(channel(world.auth.address));
    AuthServiceClient::new(channel).get_jwks(GetJwksRequest {}).await.unwrap();
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("bypass") && text.contains("GetJwks"), "{text}");
}
