//! A revoked session is refused by ApiService at once, and not when its token runs out.

#![expect(clippy::unwrap_used, reason = "a test panics on what it did not expect")]

use std::time::Duration;

use client_sdk::Session;
use evergreen_proto::{
    api::v1::{
        ChangeKind, CreateTreeRequest, ImportTreesRequest, ListTreesRequest, Tree,
        WatchChangesRequest, api_service_client::ApiServiceClient,
    },
    auth::v1::{
        ChangePasswordRequest, DisableUserRequest, LogoutRequest, RevokeAllSessionsRequest,
        RevokeSessionRequest, SetUserRolesRequest, TokenPair,
    },
};
use secrecy::ExposeSecret as _;
use tests::{
    PASSWORD, World, auth_client_of, bearing, channel, claims, login, reason, with_metadata,
};
use tokio::time::{Instant, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tower::Layer as _;

/// Whether ApiService lets this token in, and else why not.
async fn list(world: &World, access_token: &str) -> Result<(), Status> {
    let request = bearing(access_token, ListTreesRequest::default());
    world.api_client().list_trees(request).await.map(drop)
}

/// Resolves when ApiService refuses this token, with the reason. It asks again and again: there is
/// no event for what a server does not say.
async fn refused(world: &World, access_token: &str) -> String {
    let refused = async {
        loop {
            match list(world, access_token).await {
                Ok(()) => {}
                refused => return reason(refused),
            }
        }
    };
    timeout(Duration::from_secs(10), refused).await.expect("it is refused")
}

/// ApiService follows as soon as it refuses a session that was revoked for that.
async fn follows(world: &World) {
    let ghost = world.register("ghost").await;
    let logout = bearing(&ghost.access_token, LogoutRequest {});
    world.auth_client().logout(logout).await.unwrap();
    assert_eq!(refused(world, &ghost.access_token).await, "SESSION_REVOKED");
}

fn user_id(tokens: &TokenPair) -> String {
    claims(&tokens.access_token)["sub"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn every_kind_of_revocation_is_refused_at_api_service() {
    let world = World::following(|_| {}).await.with_admin("root").await;
    follows(&world).await;
    let mut auth = world.auth_client();
    let ada = world.register("ada").await;
    let bystander = login(&world, "ada").await;

    let revoked = login(&world, "ada").await;
    let revoke = RevokeSessionRequest { session_id: revoked.session_id.clone() };
    auth.revoke_session(bearing(&ada.access_token, revoke)).await.unwrap();
    assert_eq!(refused(&world, &revoked.access_token).await, "SESSION_REVOKED");
    list(&world, &bystander.access_token).await.unwrap();

    let change =
        ChangePasswordRequest { old_password: PASSWORD.into(), new_password: "a new one!!".into() };
    auth.change_password(bearing(&ada.access_token, change)).await.unwrap();
    assert_eq!(refused(&world, &bystander.access_token).await, "SESSION_REVOKED");
    list(&world, &ada.access_token).await.expect("the one that changed it goes on");
    auth.revoke_all_sessions(bearing(&ada.access_token, RevokeAllSessionsRequest {}))
        .await
        .unwrap();
    assert_eq!(refused(&world, &ada.access_token).await, "SESSION_REVOKED");

    let root = login(&world, "root").await;
    let mut admin = world.admin_client();
    let bob = world.register("bob").await;
    let roles = SetUserRolesRequest { user_id: user_id(&bob), roles: vec!["viewer".into()] };
    admin.set_user_roles(bearing(&root.access_token, roles)).await.unwrap();
    assert_eq!(refused(&world, &bob.access_token).await, "ACCESS_TOKEN_EXPIRED");
    let bob = login(&world, "bob").await;
    list(&world, &bob.access_token).await.expect("the new roles are in it");
    let disable = DisableUserRequest { user_id: user_id(&bob) };
    admin.disable_user(bearing(&root.access_token, disable)).await.unwrap();
    assert_eq!(refused(&world, &bob.access_token).await, "SESSION_REVOKED");
    list(&world, &root.access_token).await.unwrap();
}

/// A change of roles logs nobody out: the client comes back with a token of the new roles.
#[tokio::test]
async fn new_roles_count_within_a_moment_and_end_no_session() {
    let world = World::following(|_| {}).await.with_admin("root").await;
    follows(&world).await;
    let root = login(&world, "root").await;
    let session = Session::builder(world.auth.url()).connect().await.unwrap();
    session.register("ada", PASSWORD).await.unwrap();
    let token = || session.access_token().unwrap().expose_secret().to_owned();
    let before = token();
    let tokens = TokenPair { access_token: before.clone(), ..TokenPair::default() };
    let roles = SetUserRolesRequest { user_id: user_id(&tokens), roles: vec!["viewer".into()] };
    let root = bearing(&root.access_token, roles);
    world.admin_client().set_user_roles(root).await.unwrap();
    assert_eq!(refused(&world, &before).await, "ACCESS_TOKEN_EXPIRED");
    let channel = session.layer().layer(channel(world.api.address));
    let mut api = ApiServiceClient::new(channel);
    api.list_trees(ListTreesRequest::default()).await.expect("refreshed and replayed");
    assert_ne!(token(), before);
}

#[tokio::test]
async fn what_is_revoked_at_one_instance_is_refused_through_the_other() {
    let Some(world) = World::following_on_postgres().await else { return };
    let other = world.another_auth(|_| {}).await;
    follows(&world).await;
    let ada = world.register("ada").await;
    for _ in 0..5 {
        let session = login(&world, "ada").await;
        list(&world, &session.access_token).await.unwrap();
        // ApiService follows the first instance, and never speaks to this one.
        let revoke = RevokeSessionRequest { session_id: session.session_id.clone() };
        let revoke = bearing(&ada.access_token, revoke);
        auth_client_of(&other).revoke_session(revoke).await.unwrap();
        assert_eq!(refused(&world, &session.access_token).await, "SESSION_REVOKED");
    }
    other.stop().await.unwrap();
}

/// Fault 52: good tokens go on being served while AuthService is down, and what was revoked before
/// stays revoked.
#[tokio::test]
async fn while_auth_service_is_down_good_tokens_are_served_and_revoked_ones_refused() {
    let world = World::following(|_| {}).await;
    follows(&world).await;
    let (good, revoked) = (world.register("ada").await, world.register("bob").await);
    list(&world, &good.access_token).await.unwrap();
    let logout = bearing(&revoked.access_token, LogoutRequest {});
    world.auth_client().logout(logout).await.unwrap();
    assert_eq!(refused(&world, &revoked.access_token).await, "SESSION_REVOKED");
    let api = world.api.address;
    let (stopped, _config) = world.stop_auth().await;
    for _ in 0..10 {
        stopped.clock.advance(Duration::from_secs(30));
        let mut client = ApiServiceClient::new(channel(api));
        let request = bearing(&good.access_token, ListTreesRequest::default());
        client.list_trees(request).await.expect("five minutes without AuthService");
        let request = bearing(&revoked.access_token, ListTreesRequest::default());
        assert_eq!(reason(client.list_trees(request).await), "SESSION_REVOKED");
    }
}

/// A stream under way is not asked for its token again, and ends all the same.
#[tokio::test]
async fn a_stream_of_changes_ends_when_its_session_is_revoked() {
    let world = World::following(|_| {}).await;
    follows(&world).await;
    let ada = world.register("ada").await;
    let bystander = login(&world, "ada").await;
    let watch = async |token: &str, cursor: &str| {
        let request = WatchChangesRequest { cursor: cursor.to_owned() };
        let answer = world.api_client().watch_changes(bearing(token, request)).await;
        let mut stream = answer.unwrap().into_inner();
        let first = stream.message().await.unwrap().unwrap();
        assert_eq!(first.change, None);
        (stream, first.cursor)
    };
    let (mut revoked, cursor) = watch(&ada.access_token, "").await;
    let (mut good, _) = watch(&bystander.access_token, "").await;
    let logout = bearing(&ada.access_token, LogoutRequest {});
    world.auth_client().logout(logout).await.unwrap();
    let ended = timeout(Duration::from_secs(10), revoked.message()).await.expect("it ends");
    assert_eq!(reason(ended), "SESSION_REVOKED");
    // Of the same user, so the cursor is as good as ever.
    let (mut resumed, _) = watch(&bystander.access_token, &cursor).await;
    let tree = Tree { title: "t".into(), ..Tree::default() };
    let create = bearing(&bystander.access_token, CreateTreeRequest { tree: Some(tree) });
    world.api_client().create_tree(create).await.unwrap();
    for stream in [&mut good, &mut resumed] {
        let told = stream.message().await.unwrap().unwrap().change.unwrap();
        assert_eq!(told.kind(), ChangeKind::Created);
    }
}

/// What an import without a key has created would be created twice, if a client took the refusal for one
/// before anything was done, and sent the stream again.
#[tokio::test]
async fn an_import_ends_when_its_session_is_revoked() {
    interrupted(None, "IMPORT_INTERRUPTED").await;
    interrupted(Some("import-0123456789"), "SESSION_REVOKED").await;
}

async fn interrupted(key: Option<&str>, told: &str) {
    let world = World::following(|_| {}).await;
    let ada = world.register("ada").await;
    follows(&world).await;
    let (send, trees) = tokio::sync::mpsc::channel(1);
    let mut request = bearing(&ada.access_token, ReceiverStream::new(trees));
    if let Some(key) = key {
        request = with_metadata(request, "idempotency-key", key);
    }
    let mut client = world.api_client();
    let import = tokio::spawn(async move { client.import_trees(request).await });
    let tree = |title: &str| ImportTreesRequest {
        tree: Some(Tree { title: title.into(), ..Tree::default() }),
    };
    send.send(tree("first")).await.unwrap();
    let listed = async || {
        let request = bearing(&ada.access_token, ListTreesRequest::default());
        world.api_client().list_trees(request).await.unwrap().into_inner().trees.len()
    };
    let stored = async { while listed().await == 0 {} };
    timeout(Duration::from_secs(10), stored).await.expect("the first tree is stored");
    let logout = bearing(&ada.access_token, LogoutRequest {});
    world.auth_client().logout(logout).await.unwrap();
    let ended = timeout(Duration::from_secs(10), import).await.expect("it ends").unwrap();
    assert_eq!(reason(ended), told);
    drop(send);
}

/// How long it takes, from the acknowledgement of `RevokeSession` to the first refusal.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_revocations_and_how_long_each_takes() {
    let world = World::following(|_| {}).await;
    follows(&world).await;
    let ada = world.register("ada").await;
    let mut tally = Vec::with_capacity(REVOCATIONS);
    for _ in 0..REVOCATIONS {
        let session = login(&world, "ada").await;
        let revoke = RevokeSessionRequest { session_id: session.session_id.clone() };
        let revoke = bearing(&ada.access_token, revoke);
        world.auth_client().revoke_session(revoke).await.unwrap();
        let acknowledged = Instant::now();
        assert_eq!(refused(&world, &session.access_token).await, "SESSION_REVOKED");
        tally.push(acknowledged.elapsed());
    }
    tally.sort_unstable();
    let at = |percent: usize| tally[(tally.len() * percent / 100).min(tally.len() - 1)];
    println!(
        "{REVOCATIONS} revocations, from acknowledged to refused: p50 {:?}, p99 {:?}, most {:?}",
        at(50),
        at(99),
        at(100)
    );
}

const REVOCATIONS: usize = 1_000;
