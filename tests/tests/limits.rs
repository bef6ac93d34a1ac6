//! Guesses, haste and greed, as clients see them.

#![expect(clippy::unwrap_used, reason = "a test panics on what it did not expect")]

use std::time::Duration;

use client_sdk::Session;
use evergreen_proto::{
    api::v1::WatchChangesRequest,
    auth::v1::{
        GetCurrentUserRequest, LoginRequest, UnlockUserRequest, WatchRevocationsRequest,
        auth_service_client::AuthServiceClient,
    },
};
use tests::{
    PASSWORD, World, auth_client_of, bearing, login, process::PATIENCE, reason,
    service::service_token,
};
use tokio::time::timeout;
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt as _;

async fn guess(client: &mut AuthServiceClient<Channel>, name: &str) -> Status {
    let request =
        LoginRequest { username: name.into(), password: "wrong".into(), ..LoginRequest::default() };
    client.login(request).await.unwrap_err()
}

fn wait(status: &Status) -> Option<Duration> {
    status.get_error_details().retry_info()?.retry_delay
}

#[tokio::test]
async fn an_administrator_unlocks_a_name_and_the_log_tells_who() {
    let world = World::start().await.with_admin("root").await;
    let ada = world.register("ada").await;
    let root = login(&world, "root").await;
    let mut client = world.auth_client();
    let me = client.get_current_user(bearing(&ada.access_token, GetCurrentUserRequest {})).await;
    let user_id = me.unwrap().into_inner().user.unwrap().user_id;
    for _ in 0..5 {
        assert_eq!(reason(Err::<(), _>(guess(&mut client, "ada").await)), "INVALID_CREDENTIALS");
    }
    let locked = guess(&mut client, "ada").await;
    assert_eq!(wait(&locked), Some(Duration::from_secs(30)));
    assert_eq!(reason(Err::<(), _>(locked)), "ACCOUNT_LOCKED");

    let mut admin = world.admin_client();
    let mut unlock = async |token: &str, user_id: &str| {
        let request = UnlockUserRequest { user_id: user_id.into() };
        admin.unlock_user(bearing(token, request)).await
    };
    assert_eq!(reason(unlock(&ada.access_token, &user_id).await), "PERMISSION_DENIED");
    let nobody = "00000000-0000-7000-8000-000000000000";
    assert_eq!(reason(unlock(&root.access_token, nobody).await), "USER_NOT_FOUND");
    assert_eq!(reason(unlock(&root.access_token, "ada").await), "FIELD_INVALID");
    unlock(&root.access_token, &user_id).await.unwrap();
    unlock(&root.access_token, &user_id).await.unwrap();
    login(&world, "ada").await;

    let events = world.audit_events().await;
    let of = |kind| events.iter().filter(|event| event.kind == kind).collect::<Vec<_>>();
    assert_eq!(of("login_locked").len(), 1);
    assert_eq!(of("login_locked")[0].account_id.as_ref(), Some(&user_id));
    let unlocked = of("user_unlocked");
    assert_eq!(unlocked.len(), 1, "the second time there was nothing to unlock");
    assert_eq!(unlocked[0].account_id.as_ref(), Some(&user_id));
    assert!(unlocked[0].actor.as_ref().unwrap().starts_with("user:"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_count_guesses_together() {
    let Some(world) = World::on_postgres().await else { return };
    let other = world.another_auth(|_| {}).await;
    world.register("ada").await;
    let (one, two) = (world.auth_client(), auth_client_of(&other));
    let guesses = (0..40).map(|n| {
        let mut client = if n % 2 == 0 { one.clone() } else { two.clone() };
        async move { guess(&mut client, "ada").await }
    });
    let refused = futures_util::future::join_all(guesses).await;
    let wrong = refused.iter().filter(|status| status.code() == Code::Unauthenticated).count();
    assert_eq!(wrong, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sdk_waits_when_it_is_told_to_and_keeps_its_session() {
    let world = World::start_with(|config| config.limit_loopback = true).await;
    world.register("ada").await;
    let session = Session::builder(world.auth.url()).connect().await.unwrap();
    session.login("ada", PASSWORD).await.unwrap();
    let id = session.verify().await.unwrap().session_id;
    world.auth_seen.take();
    // As no application does, and as many as a session has at once: the clock stands still.
    for _ in 0..50 {
        session.refresh().await.unwrap();
    }
    let refresh = tokio::spawn({
        let session = session.clone();
        async move { session.refresh().await }
    });
    world.auth_seen.ended("Refresh", 51).await;
    world.clock.advance(Duration::from_secs(5));
    refresh.await.unwrap().unwrap();
    assert!(world.auth_seen.count("Refresh", Code::ResourceExhausted) >= 1);
    assert_eq!(world.auth_seen.count("Refresh", Code::Ok), 51);
    assert_eq!(world.auth_seen.count("Refresh", Code::Unauthenticated), 0);
    assert_eq!(session.verify().await.unwrap().session_id, id);
}

#[tokio::test]
async fn a_user_watches_changes_so_often_and_another_as_well() {
    let world = World::start().await;
    let [ada, bob] = [world.register("ada").await, world.register("bob").await];
    let watch = async |token: &str| {
        let request = bearing(token, WatchChangesRequest::default());
        Ok(world.api_client().watch_changes(request).await?.into_inner())
    };
    let streams = a_hundred(async || watch(&ada.access_token).await).await;
    watch(&bob.access_token).await.unwrap();
    drop(streams);
}

#[tokio::test]
async fn a_service_watches_revocations_so_often() {
    let world = World::start().await;
    let token = service_token(&world, Duration::from_secs(600)).await;
    a_hundred(async || {
        let request = bearing(&token, WatchRevocationsRequest::default());
        Ok(world.auth_client().watch_revocations(request).await?.into_inner())
    })
    .await;
}

/// As many streams as one account may have. Who hangs up makes room.
async fn a_hundred<S>(open: impl AsyncFn() -> Result<S, Status>) -> Vec<S> {
    let mut streams = Vec::new();
    while streams.len() < 100 {
        streams.push(open().await.unwrap());
    }
    let refused = open().await.err().unwrap();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(wait(&refused), Some(Duration::from_secs(10)));
    assert_eq!(reason(Err::<(), _>(refused)), "RATE_LIMITED");
    streams.pop();
    let heard = async {
        loop {
            if let Ok(stream) = open().await {
                return stream;
            }
        }
    };
    streams.push(timeout(PATIENCE, heard).await.expect("the server hears of it"));
    assert_eq!(reason(open().await.map(drop)), "RATE_LIMITED");
    streams
}
