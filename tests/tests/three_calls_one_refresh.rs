//! Idle, three calls at once, one refresh, nobody notices.

#![expect(clippy::unwrap_used, reason = "a test panics on what it did not expect")]

use client_sdk::{Reauth, Session};
use evergreen_proto::api::v1::{
    ListCategoriesRequest, ListFoldersRequest, ListTreesRequest,
    api_service_client::ApiServiceClient,
};
use futures_util::future::join_all;
use tests::{PASSWORD, World, channel};
use tonic::{Code, transport::Channel};
use tower::Layer as _;

type Api = ApiServiceClient<Reauth<Channel>>;

async fn signed_in(world: &World, proactive: bool) -> (Session, Api) {
    world.register("ada").await;
    let session = Session::builder(world.auth.url())
        .proactive(proactive)
        .clock(world.clock.clone())
        .connect()
        .await
        .unwrap();
    session.login("ada", PASSWORD).await.unwrap();
    let api = ApiServiceClient::new(session.layer().layer(channel(world.api.address)));
    (session, api)
}

async fn three_at_once(api: &Api) -> usize {
    let (mut trees, mut folders, mut categories) = (api.clone(), api.clone(), api.clone());
    let (trees, folders, categories) = tokio::join!(
        trees.list_trees(ListTreesRequest::default()),
        folders.list_folders(ListFoldersRequest::default()),
        categories.list_categories(ListCategoriesRequest::default()),
    );
    usize::from(trees.is_err()) + usize::from(folders.is_err()) + usize::from(categories.is_err())
}

/// What the servers answered since the last time: refused calls, calls that succeeded, refreshes.
fn counts(world: &World) -> (usize, usize, usize) {
    let api = world.api_seen.take();
    let of = |code| api.iter().filter(|seen| seen.code == code).count();
    let refreshes = world.auth_seen.take().iter().filter(|seen| seen.method == "Refresh").count();
    (of(Code::Unauthenticated), of(Code::Ok), refreshes)
}

#[tokio::test]
async fn a_client_that_cannot_know_makes_one_refresh_and_three_replays() {
    let world = World::start().await;
    let (_session, api) = signed_in(&world, false).await;
    assert_eq!(three_at_once(&api).await, 0);
    assert_eq!(counts(&world), (0, 3, 0));
    world.access_tokens_run_out();
    assert_eq!(three_at_once(&api).await, 0);
    assert_eq!(counts(&world), (3, 3, 1));
    assert_eq!(three_at_once(&api).await, 0);
    assert_eq!(counts(&world), (0, 3, 0));
}

/// The SDK counts on its own monotonic clock, which no test can turn: the token's life is said to be
/// over from the start.
#[tokio::test]
async fn a_client_that_knows_makes_one_refresh_and_is_never_refused() {
    let world = World::start().await;
    let (session, api) = signed_in(&world, true).await;
    let pair = tests::login(&world, "ada").await;
    let mut known_dead = client_sdk::TokenPair::from(pair);
    known_dead = known_dead.access_expires_in(std::time::Duration::ZERO);
    session.set_tokens(known_dead).await.unwrap();
    counts(&world);
    assert_eq!(three_at_once(&api).await, 0);
    assert_eq!(counts(&world), (0, 3, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_calls_at_once_make_one_refresh_and_no_error() {
    let world = World::start().await;
    let (_session, api) = signed_in(&world, false).await;
    world.access_tokens_run_out();
    counts(&world);
    let calls = (0..1_000).map(|_| {
        let mut api = api.clone();
        async move { api.list_trees(ListTreesRequest::default()).await }
    });
    let errors = join_all(calls).await.iter().filter(|answer| answer.is_err()).count();
    let (refused, succeeded, refreshes) = counts(&world);
    assert_eq!((errors, succeeded, refreshes), (0, 1_000, 1));
    assert!((1..=1_000).contains(&refused), "{refused}");
}
